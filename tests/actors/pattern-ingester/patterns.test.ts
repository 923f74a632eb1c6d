import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS } from '../../../ops/base/world-fake.ts';
import { SingleStore, type SingleStoreOptions } from '../../support/single-store.ts';

const START_MS = FAKE_START_MS - 3_600_000;
const START_NS = BigInt(START_MS) * 1_000_000n;
const MINUTE_NS = 60_000_000_000n;

/** Two streams in storage and in memory: 40 lines of one pattern a minute apart, some of another level, and a few that are none. */
async function filled(options: Partial<SingleStoreOptions> = {}): Promise<SingleStore> {
  const store = await SingleStore.bootReady({ shards: 2, patternBytes: 1e9, ...options });
  const entries = Array.from({ length: 80 }, (_, index) => ({
    labels: { app: `app-${index % 2}` },
    timeNs: START_NS + BigInt(index >> 1) * MINUTE_NS,
    line: index % 8 === 7 ? `level=error: disk ${index} is full now` : `level=info: user ${index} logged in from 10.0.0.${index}`,
  }));
  await store.push(entries.slice(0, 50));
  await store.flush();
  await store.push(entries.slice(50));
  await store.push([{ labels: { app: 'app-0' }, timeNs: START_NS, line: 'seen once and never again' }]);
  return store;
}

const ask = (query: string, more: { endNs?: bigint; stepMs?: number } = {}) => ({
  kind: 'patterns' as const,
  query,
  startNs: START_NS,
  endNs: START_NS + 60n * MINUTE_NS,
  stepMs: 1_200_000,
  ...more,
});

test('patterns of stored lines and of those in memory, by level, added up over streams', async () => {
  const store = await filled();
  const { data } = await store.ask(ask('{app=~".+"}'));
  const [from] = [START_MS / 1_000];
  assert.deepEqual(data, [
    {
      pattern: 'level=info: user <_> logged in from <_>',
      level: 'info',
      samples: [
        [from, 35],
        [from + 1_200, 35],
      ],
    },
  ]);
  const { data: none } = await store.ask(ask('{app="app-9"}'));
  assert.deepEqual(none, []);
  await store.system.stop();
});

test('more lines than are to be looked at: estimates that say so', async () => {
  const store = await filled({ patternBytes: 1 });
  const answer = await store.ask(ask('{app=~".+"}'));
  assert.match(answer.warnings[0], /estimates/);
  await store.system.stop();
});

test('patterns that are turned off are not found; a query with stages is refused', async () => {
  const store = await SingleStore.bootReady({ shards: 1 });
  await assert.rejects(store.ask(ask('{app="a"}')), { code: 'not_found' });
  await store.system.stop();
  const other = await filled();
  await assert.rejects(other.ask(ask('{app="a"} |= "x"')), { message: /only label matchers/ });
  await other.system.stop();
});
