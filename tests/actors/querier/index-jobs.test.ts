import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distributorProtocol } from '../../../actors/protocol/ingest.ts';
import { querierProtocol } from '../../../actors/protocol/query.ts';
import { VolumeTable } from '../../../logql/engine/volume-table.ts';
import type { Matcher } from '../../../logql/model.ts';
import { float64View } from '../../../ops/base/bytes.ts';
import { fakeWorld, seededRandom } from '../../../ops/base/world-fake.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { pushAsk } from '../../support/push-ask.ts';
import { SingleStore } from '../../support/single-store.ts';

const HOUR_NS = 3_600_000_000_000n;
const START_NS = 482_120n * HOUR_NS;
const ASKED = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };
const EVERYTHING = { index: 0, of: 1 };
const APP: Matcher[] = [{ name: 'app', op: '=~', value: '.+' }];

type Row = [ns: bigint, line: string, metadata?: Record<string, string>];

/** A store, and what it is asked. */
async function rig() {
  const world = fakeWorld(1, new PowerCutFiles());
  const store = await SingleStore.boot(world, { shards: 1 });
  while (!(await store.ready())) await world.settle();
  const ask = store.system.ask.bind(store.system);
  return {
    store,
    async push(rows: readonly Row[], app = 'a'): Promise<void> {
      const values = rows.map(([ns, line, metadata = {}]) => [String(START_NS + ns), line, { detected_level: 'x', ...metadata }]);
      const streams = [{ stream: { app }, values }];
      const push = pushAsk(streams);
      assert.equal((await ask(distributorProtocol, '0', push, ASKED)).fault, undefined);
    },
    async sizes(from: bigint, to: bigint) {
      const range = { fromNs: START_NS + from, toNs: START_NS + to };
      const { hashes, stats, ...columns } = await ask(
        querierProtocol,
        '0',
        { kind: 'stream_sizes', matchers: APP, ...range, shard: EVERYTHING },
        ASKED,
      );
      const column = (name: keyof typeof columns): number[] => [...float64View(columns[name], 0, hashes.length)];
      return { streams: hashes.length, chunks: column('chunks'), entries: column('entries'), bytes: column('bytes'), stats };
    },
    async volume(from: bigint, to: bigint) {
      const range = { startNs: START_NS + from, endNs: START_NS + to, stepNs: 0 };
      const how = { query: '{app=~".+"}', targetLabels: [], aggregateBy: 'series' as const, maxSeries: 10 };
      const { frame, stats } = await ask(querierProtocol, '0', { kind: 'volumes', ...range, ...how, shard: EVERYTHING }, ASKED);
      const table = new VolumeTable(1, 10);
      table.addFrame(frame);
      return { bytes: table.ranked(10).map(({ points: [{ bytes }] }) => bytes), stats };
    },
  };
}

const random = seededRandom(1);
/** A line that does not get shorter by compression. */
const LONG = Array.from({ length: 3_000 }, () => String.fromCharCode(33 + Math.floor(random.next() * 90))).join('');
/** Of a pair detected_level="x". */
const PAIR = 'detected_levelx'.length;

test('sizes of whole blocks are told by their headers', async () => {
  const { push, store, sizes } = await rig();
  await push([
    [0n, 'abc'],
    [5n, 'de'],
  ]);
  await push([[HOUR_NS, 'f']]);
  await push([[9n, 'g']], 'b');
  await store.flush();
  const { stats, ...found } = await sizes(0n, 2n * HOUR_NS);
  assert.deepEqual(found, { streams: 2, chunks: [2, 1], entries: [3, 1], bytes: [6 + 3 * PAIR, 1 + PAIR] });
  assert.deepEqual([stats.blocksByHeader, stats.fetchedBytes], [3, 0]);
});

test('sizes of a part of a block are told without its lines, in a head as in an object', async () => {
  const { push, store, sizes } = await rig();
  await push([
    [0n, LONG],
    [5n, 'abc', { k: 'v' }],
    [9n, LONG],
  ]);
  for (const where of ['head', 'object']) {
    const { stats, ...found } = await sizes(1n, 9n);
    assert.deepEqual(found, { streams: 1, chunks: [1], entries: [1], bytes: [3 + PAIR + 2] }, where);
    assert.ok(stats.fetchedBytes < 150, `${stats.fetchedBytes} bytes of the ${where} fetched`);
    assert.deepEqual((await sizes(1n, 5n)).streams, 0, where);
    await store.flush();
  }
});

test('volumes are told without lines, in a head as in an object', async () => {
  const { push, store, volume } = await rig();
  await push([
    [0n, LONG],
    [5n, 'abc', { k: 'v' }],
    [9n, LONG],
  ]);
  for (const where of ['head', 'object']) {
    const whole = await volume(0n, 9n);
    assert.deepEqual(whole.bytes, [2 * LONG.length + 3 + 4 * 8 + PAIR + 2], where);
    assert.deepEqual((await volume(1n, 5n)).bytes, [3 + 2 * 8 + PAIR + 2], where);
    assert.ok(whole.stats.fetchedBytes < 150, `${whole.stats.fetchedBytes} bytes of the ${where} fetched`);
    await store.flush();
  }
});

test('what overlaps in time is counted without its lines while nothing can be in it twice', async () => {
  const { push, store, sizes, volume } = await rig();
  await push([
    [0n, LONG],
    [10n, LONG],
  ]);
  await store.flush();
  await push([
    [5n, LONG],
    [10n, `${LONG}!`],
  ]);
  await store.flush();
  const { stats, ...found } = await sizes(0n, 20n);
  assert.deepEqual(found, { streams: 1, chunks: [2], entries: [4], bytes: [4 * LONG.length + 1 + 4 * PAIR] });
  assert.ok(stats.fetchedBytes < 300, `${stats.fetchedBytes} bytes fetched`);
  assert.deepEqual((await volume(0n, 20n)).bytes, [4 * LONG.length + 1 + 4 * 8 + PAIR]);
});

test('what is in several objects or heads counts once', async () => {
  const { push, store, sizes, volume } = await rig();
  const rows: Row[] = [
    [0n, LONG],
    [5n, 'abc'],
    [10n, 'de', { k: 'v' }],
  ];
  await push(rows);
  await store.flush();
  await push([...rows, [5n, 'xyz'], [10n, 'de']]);
  for (const where of ['head', 'object']) {
    const { stats, chunks, ...found } = await sizes(0n, 20n);
    assert.deepEqual(found, { streams: 1, entries: [5], bytes: [LONG.length + 10 + 5 * PAIR + 2] }, where);
    assert.equal(stats.duplicates, 3, where);
    assert.deepEqual(chunks, [2], where);
    assert.deepEqual((await volume(0n, 20n)).bytes, [LONG.length + 10 + 6 * 8 + PAIR + 2], where);
    assert.deepEqual((await sizes(5n, 10n)).entries, [2], where);
    await store.flush();
  }
});

test('volumes of many streams, read ahead of each other, keep apart what each has in its metadata', async () => {
  const { push, store, volume } = await rig();
  for (const from of [0n, HOUR_NS, 2n * HOUR_NS]) {
    for (const app of ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
      await push(
        [
          [from, '-'],
          [from + 1n, '-'],
        ],
        app,
      );
    await store.flush();
  }
  assert.deepEqual(
    (await volume(0n, 3n * HOUR_NS)).bytes,
    Array.from({ length: 7 }, () => 6 + 6 * 8 + PAIR),
  );
});
