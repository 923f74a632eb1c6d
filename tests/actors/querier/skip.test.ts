import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Explanation } from '../../../actors/frontend/explain.ts';
import { distributorProtocol } from '../../../actors/protocol/ingest.ts';
import { FAKE_START_MS, fakeWorld } from '../../../ops/base/world-fake.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { pushAsk } from '../../support/push-ask.ts';
import { SingleStore } from '../../support/single-store.ts';

const START_NS = BigInt(FAKE_START_MS) * 1_000_000n;
const STREAMS = 40;
const ROWS = 60;
const FOREVER = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };

const idOf = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 32);

interface Stream {
  readonly stream: Record<string, string>;
  readonly values: [time: string, line: string, metadata: Record<string, string>][];
}

/** Rows with an id in the line and another as metadata, `from` and following, a second apart. */
function streamOf(number: number, from = 0, labels: Record<string, string> = {}): Stream {
  return {
    stream: { app: `app-${number}`, ...labels },
    values: Array.from({ length: ROWS }, (_, index) => [
      String(START_NS + BigInt(from + index) * 1_000_000_000n),
      `request ${idOf(`line ${number} ${from + index}`)} done`,
      { trace_id: idOf(`trace ${number} ${from + index}`) },
    ]),
  };
}

async function push(store: SingleStore, streams: readonly Stream[]): Promise<void> {
  assert.equal((await store.system.ask(distributorProtocol, '0', pushAsk(streams), FOREVER)).fault, undefined);
}

/** A store with a block of each stream in one segment. */
async function filtered(labels: Record<string, string> = {}): Promise<SingleStore> {
  const compactors = { count: 1, compactionInterval: 365 * 86_400_000, levelZeroAge: 0, filteredSize: 0 };
  const files = new PowerCutFiles();
  const world = fakeWorld(1, files);
  files.clock = world.clock;
  const store = await SingleStore.boot(world, { shards: 1, compactors });
  while (!(await store.ready())) await world.settle();
  await push(
    store,
    Array.from({ length: STREAMS }, (_, number) => streamOf(number, 0, labels)),
  );
  await flushAndCompact(store);
  return store;
}

async function flushAndCompact(store: SingleStore): Promise<void> {
  await store.flush();
  assert.ok((await store.compact()).compacted > 0);
}

async function explained(store: SingleStore, query: string): Promise<Explanation> {
  const range = { startNs: START_NS, endNs: START_NS + 3_600_000_000_000n, stepNs: 1e9, intervalNs: 0, limit: 100 };
  const { data } = await store.ask({ kind: 'explain', query: { kind: 'range', query, ...range, direction: 'forward', categorize: false } });
  return data;
}

for (const [what, query, line] of [
  ['a text', `|= "${idOf('line 7 30')}"`, 30],
  ['two texts', `|= "request" |= "${idOf('line 7 31')}"`, 31],
  ['a pattern', `|~ "(?i)request ${idOf('line 7 32')} D.ne"`, 32],
  ['a line pattern', `|> "<_>${idOf('line 7 33')} done"`, 33],
  ['a text behind a parser', `| logfmt |= "${idOf('line 7 34')}"`, 34],
  ['metadata', `| trace_id="${idOf('trace 7 35')}"`, 35],
  ['metadata and another label', `!= "x" | app="app-7" and trace_id="${idOf('trace 7 36')}"`, 36],
] as const) {
  test(`blocks that cannot have what is asked for are not fetched: ${what}`, async () => {
    const store = await filtered();
    const { blocks, bytes, rows } = await explained(store, `{app=~".+"} ${query}`);
    assert.equal(blocks.all, STREAMS);
    assert.equal(blocks.scanned + blocks.skippedByFilter, STREAMS);
    assert.ok(blocks.scanned >= 1 && blocks.scanned <= 3, `${blocks.scanned} blocks scanned`);
    assert.equal(rows.scanned, blocks.scanned * ROWS);
    assert.ok(bytes.filters > 0);
    assert.deepEqual(await store.lines(`{app=~".+"} ${query}`), [`request ${idOf(`line 7 ${line}`)} done`]);
    assert.equal(await store.count(`{app=~".+"} ${query} `), 1);
    await store.system.stop();
  });
}

for (const [what, query] of [
  ['all have it', '|= "request" |= " done"'],
  ['it is too short', '|= "12345"'],
  ['it must not be there', `!= "${idOf('line 7 30')}"`],
  ['it may be another', `|= "${idOf('line 7 30')}" or "done"`],
  ['the label is parsed', `| regexp "(?P<trace_id>done)" | trace_id="done"`],
  ['the label may be absent', '| trace_id=""'],
  ['the label may be one or the other', `| trace_id="${idOf('trace 7 35')}" or app="app-8"`],
] as const) {
  test(`no filter tells anything: ${what}`, async () => {
    const store = await filtered();
    const { blocks } = await explained(store, `{app=~".+"} ${query}`);
    assert.deepEqual([blocks.scanned, blocks.skippedByFilter], [STREAMS, 0]);
    await store.system.stop();
  });
}

test('a label of the stream is not looked for in metadata, nor is what metadata is called beside it', async () => {
  const store = await filtered({ trace_id: 'of the stream' });
  assert.equal(await store.count('{app=~".+"} | trace_id="of the stream"'), STREAMS * ROWS);
  assert.equal(await store.count(`{app=~".+"} | trace_id_extracted="${idOf('trace 7 35')}"`), 1);
  assert.equal(await store.count(`{app=~".+"} | trace_id="${idOf('trace 7 35')}"`), 0);
  await store.system.stop();
});

test('the label that tells tenants apart is not looked for in metadata', async () => {
  const store = await filtered();
  const query = '{app=~".+"} | __tenant_id__="fake"';
  const range = { startNs: START_NS, endNs: START_NS + 3_600_000_000_000n, stepNs: 1e9, intervalNs: 0, limit: 10_000 };
  const ask = { kind: 'range', query, ...range, direction: 'forward', categorize: false } as const;
  const { data } = await store.ask(ask, 'fake|other');
  assert.equal(data.result.flatMap(({ values }: { values: string[] }) => values).length, STREAMS * ROWS);
  await store.system.stop();
});

test('what is in memory is found, and what overlaps it is skipped if it lacks the text', async () => {
  const store = await filtered();
  await push(store, [streamOf(7), streamOf(9, 30)]);
  for (const [number, row, skipped] of [
    [7, 30, STREAMS - 1],
    [9, 80, STREAMS], // not in the segment
    [8, 30, STREAMS - 1],
  ] as const) {
    const query = `{app=~".+"} |= "${idOf(`line ${number} ${row}`)}"`;
    const { blocks } = await explained(store, query);
    assert.ok(Math.abs(blocks.skippedByFilter - skipped) <= 2, `${blocks.skippedByFilter} blocks skipped`);
    assert.equal(await store.count(query), 1, query);
    assert.deepEqual(await store.lines(query), [`request ${idOf(`line ${number} ${row}`)} done`]);
  }
  await store.system.stop();
});

test('two segments that overlap: a text in either of them is found once, and only a block that has it is read', async () => {
  const store = await filtered();
  await push(store, [streamOf(7, 30), streamOf(9, 30)]);
  await flushAndCompact(store);
  for (const [row, holders] of [
    [10, 1],
    [50, 2], // in both
    [80, 1],
  ]) {
    const query = `{app=~".+"} |= "${idOf(`line 7 ${row}`)}"`;
    const { blocks, rows } = await explained(store, query);
    const skipped = STREAMS + 2 - holders;
    assert.ok(Math.abs(blocks.skippedByFilter - skipped) <= 2, `${blocks.skippedByFilter} blocks skipped`);
    if (blocks.skippedByFilter === skipped) assert.equal(rows.scanned, holders === 2 ? 90 : ROWS); // equal entries once
    assert.equal(await store.count(query), 1);
    assert.deepEqual(await store.lines(query), [`request ${idOf(`line 7 ${row}`)} done`]);
  }
  await store.system.stop();
});
