import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS } from '../../../ops/base/world-fake.ts';
import { SingleStore } from '../../support/single-store.ts';

const START_NS = BigInt(FAKE_START_MS) * 1_000_000n;

/** 100 entries of two streams, a second apart; the first 60 in storage. */
async function filled(): Promise<SingleStore> {
  const store = await SingleStore.bootReady({ shards: 2 });
  const entries = Array.from({ length: 100 }, (_, index) => ({
    labels: { app: `app-${index % 2}` },
    timeNs: START_NS + BigInt(index) * 1_000_000_000n,
    line: `level=${index % 10 === 0 ? 'error' : 'info'} n=${index}`,
  }));
  await store.push(entries.slice(0, 60));
  await store.flush();
  await store.push(entries.slice(60));
  return store;
}

test('the explanation of a log query: what each stage let through, and what was read', async () => {
  const store = await filled();
  const query = {
    kind: 'range' as const,
    query: '{app=~".+"} |= "error" | logfmt | n>20',
    startNs: START_NS,
    endNs: START_NS + 3_600_000_000_000n,
    stepNs: 1e9,
    intervalNs: 0,
    limit: 100,
    direction: 'backward' as const,
    categorize: false,
  };
  const { data } = await store.ask({ kind: 'explain', query });
  assert.equal(data.query, query.query);
  assert.equal(data.kind, 'logs');
  const [part] = data.parts;
  assert.deepEqual([data.parts.length, part.query, part.jobs, part.mergeable], [1, query.query, 2, true]);
  assert.deepEqual(
    part.stages.map(({ stage, over, rowsIn, rowsOut }: Record<string, unknown>) => [stage, over, rowsIn, rowsOut]),
    [
      ['|= "error"', 'columns', 100, 10],
      ['| logfmt', 'rows', 10, 7], // which asks the filter behind it already
      ['| n>20', 'rows', 7, 7],
    ],
  );
  assert.deepEqual(data.rows, { scanned: 100, fromHeads: 40, matched: 7, duplicates: 0 });
  assert.deepEqual([data.objects, data.chunks, data.blocks.skippedByTime], [4, 2, 0]); // each of two jobs looks into both objects
  assert.ok(data.bytes.fetched > 0 && data.bytes.lines > 0);
  await store.system.stop();
});

test('the explanation of a metric query: counts are answered by headers', async () => {
  const store = await filled();
  await store.flush();
  const timeNs = START_NS + 3_600_000_000_000n;
  const query = 'sum(count_over_time({app="app-0"}[2h])) / sum(count_over_time({app=~".+"} | logfmt | level="error" [2h]))';
  const { data } = await store.ask({
    kind: 'explain',
    query: { kind: 'instant', query, timeNs, limit: 1, direction: 'backward', categorize: false },
  });
  assert.equal(data.kind, 'metric');
  const [count, errors] = data.parts;
  assert.deepEqual([data.parts.length, count.stages, errors.stages.length], [2, [], 2]);
  assert.equal(data.blocks.answeredByHeader, 2); // those of app-0, flushed twice
  assert.ok(data.blocks.scanned > 0);
  await store.system.stop();
});

test('blocks outside the time range and behind the limit are told apart', async () => {
  const store = await filled();
  await store.flush();
  const query = { kind: 'range' as const, query: '{app="app-0"}', stepNs: 1e9, intervalNs: 0, direction: 'forward' as const };
  const range = { startNs: START_NS, endNs: START_NS + 3_600_000_000_000n, categorize: false };
  const { data: limited } = await store.ask({ kind: 'explain', query: { ...query, ...range, limit: 1 } });
  assert.deepEqual([limited.blocks.scanned, limited.blocks.skippedByLimit, limited.rows.matched], [1, 1, 2]);
  await store.system.stop();
});
