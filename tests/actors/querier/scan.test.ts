import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { distributorProtocol } from '../../../actors/protocol/ingest.ts';
import { frontendProtocol, querierProtocol } from '../../../actors/protocol/query.ts';
import { MiB } from '../../../ops/base/bytes.ts';
import { type FakeWorld, fakeWorld } from '../../../ops/base/world-fake.ts';
import { numbers } from '../../support/checks.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { pushAsk } from '../../support/push-ask.ts';
import { SingleStore, type SingleStoreOptions } from '../../support/single-store.ts';

const HOUR_NS = 3_600_000_000_000n;
const START_NS = 482_120n * HOUR_NS;
const ASKED = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };
const EVERYTHING = { index: 0, of: 1 };

interface Rig {
  readonly world: FakeWorld;
  readonly files: PowerCutFiles;
  readonly store: SingleStore;
}

async function rig(options: Partial<SingleStoreOptions> = {}): Promise<Rig> {
  const files = new PowerCutFiles();
  const world = fakeWorld(1, files);
  const store = await SingleStore.boot(world, { shards: 1, ...options });
  while (!(await store.ready())) await world.settle();
  return { world, files, store };
}

async function push({ store }: Rig, values: [timeNs: bigint, line: string][], app = 'a'): Promise<void> {
  const streams = [{ stream: { app }, values: values.map(([timeNs, line]) => [String(timeNs), line]) }];
  const ask = pushAsk(streams);
  const { fault } = await store.system.ask(distributorProtocol, '0', ask, ASKED);
  assert.equal(fault, undefined);
}

const samples = ({ store }: Rig, query: string, endNs = START_NS + HOUR_NS) =>
  store.system.ask(querierProtocol, '0', { kind: 'samples', query, startNs: endNs, endNs, stepNs: 0, shard: EVERYTHING }, ASKED);

for (const [what, query, fetched] of [
  ['a count', 'sum(count_over_time({app="a"}[2h]))', false],
  ['bytes by a label of the stream', 'sum by (app) (bytes_over_time({app="a"}[2h]))', false],
  ['a rate in a window of years', 'sum(rate({app="a"}[10y]))', false],
  ['an absence', 'absent_over_time({app="a"}[2h])', false],
  ['a count by metadata', 'sum by (detected_level) (count_over_time({app="a"}[2h]))', true],
  ['a line filter', 'sum(count_over_time({app="a"} |= "line" [2h]))', true],
  ['a part of the block', 'sum(count_over_time({app="a"}[1h]))', true],
] as const) {
  test(`${what}: the block is ${fetched ? 'fetched' : 'not fetched, its header does'}`, async () => {
    const one = await rig({ querier: { rangeCache: 0 } });
    await push(one, [
      [START_NS, 'line 1'],
      [START_NS + 5n, 'line 2'],
    ]);
    await one.store.flush();
    await samples(one, query); // lists storage and reads footers
    const before = one.files.steps;
    const { stats } = await samples(one, query);
    assert.equal(one.files.steps > before, fetched);
    assert.equal(stats.blocksByHeader, fetched ? 0 : 1);
    assert.equal(stats.compressedBytes > 0, fetched);
    assert.equal(stats.lines, 2);
  });
}

test('blocks that overlap in time are fetched to count what both have once, others of the stream are not', async () => {
  const one = await rig();
  for (const from of [0n, 5n, 1_000n]) {
    await push(one, [
      [START_NS + from, 'line'],
      [START_NS + from + 5n, 'line'],
    ]);
    await one.store.flush();
  }
  const { stats } = await samples(one, 'sum(count_over_time({app="a"}[2h]))');
  assert.deepEqual([stats.lines, stats.duplicates, stats.blocksByHeader], [5, 1, 2]); // of the two, one was merged
  assert.equal(await one.store.count('{app="a"}'), 5);
});

test('lines are fetched for a count only where overlapping blocks may hold the same entry', async () => {
  const one = await rig();
  const line = randomBytes(60_000).toString('hex');
  const flushed = async (...offsets: bigint[]) => {
    await push(
      one,
      offsets.map((offset): [bigint, string] => [START_NS + offset, line]),
    );
    await one.store.flush();
  };
  const read = async () => {
    const { stats } = await samples(one, 'sum(bytes_over_time({app="a"}[2h]))');
    return [stats.matchedLines, stats.compressedBytes > line.length / 2];
  };
  await flushed(0n, 10n);
  await flushed(5n, 15n);
  assert.deepEqual(await read(), [4, false]);
  assert.deepEqual(await read(), [4, false]); // known by now
  await flushed(7n, 15n);
  assert.deepEqual(await read(), [5, true]);
});

test('overlapping blocks are merged for a count of lines with a text only where they may hold the same entry', async () => {
  const one = await rig();
  const flushed = async (...entries: [offset: bigint, line: string][]) => {
    await push(
      one,
      entries.map(([offset, line]): [bigint, string] => [START_NS + offset, line]),
    );
    await one.store.flush();
  };
  const counted = async (query: string) => {
    const { stats } = await samples(one, query);
    return [stats.blocks, stats.matchedLines, stats.duplicates];
  };
  const [count, last] = ['sum(count_over_time({app="a"} |= "x" [2h]))', 'last_over_time({app="a"} | regexp "(?P<n>.)$" | unwrap n [2h])'];
  await flushed([0n, 'x1'], [10n, 'y1']);
  await flushed([5n, 'x2'], [15n, 'x3']);
  for (let time = 0; time < 2; time++) assert.deepEqual(await counted(count), [2, 3, 0]);
  assert.deepEqual((await counted(last))[0], 1); // here their order matters
  await flushed([7n, 'x4'], [15n, 'x3']);
  for (let time = 0; time < 2; time++) assert.deepEqual(await counted(count), [1, 4, 1]);
  assert.equal(await one.store.count('{app="a"} |= "x"'), 4);
});

for (const place of ['in storage', 'in storage and one head']) {
  test(`copies that are cut at other times than each other take little memory at once, ${place}`, async () => {
    const limits = { maxQueryMemory: 24 * MiB, perStreamRateLimit: 1e12, perStreamRateLimitBurst: 1e12 };
    const one = await rig({ limits, ingester: { flushBytes: 1e9, headCeiling: 4e9 } });
    const rows = numbers(12_000).map((number): [bigint, string] => {
      return [START_NS + BigInt(number * 1_000), `${number} ${number % 500 === 0 ? 'rare' : 'often'} ${'x'.repeat(1_000)}`];
    });
    // Each copy is flushed in pieces of its own size: none of them ends where another's does.
    const pieces = [1_200, 850, 1_550].flatMap((size) =>
      Array.from({ length: Math.ceil(rows.length / size) }, (_, piece) => rows.slice(piece * size, (piece + 1) * size)),
    );
    for (const [index, piece] of pieces.entries()) {
      await push(one, piece);
      if (place === 'in storage' || index < pieces.length - 4) await one.store.flush();
    }
    const rare = rows.filter((_, number) => number % 500 === 0).map(([, line]) => line);
    assert.deepEqual(await one.store.lines('{app="a"} |= "rare"'), rare);
    assert.deepEqual(await one.store.lines('{app="a"} |= "rare"', { direction: 'backward' }), rare.toReversed());
    for (const [query, count] of [
      ['{app="a"}', rows.length],
      ['{app="a"} |= "often"', rows.length - rare.length],
      ['{app="a"} | pattern "<n> <word> <_>" | word = "rare"', rare.length],
    ] as const) {
      assert.equal(await one.store.count(query), count, query);
      assert.equal(await one.store.count(query), count, `${query} once more`);
    }
  });
}

test('the bytes of entries that were pushed with an error are counted where the query lets errors be', async () => {
  const one = await rig();
  const entry = (timeNs: bigint) => [String(timeNs), 'four', { __error__: 'X', __preserve_error__: 'true' }];
  const values = [entry(START_NS), entry(START_NS + 1n)];
  const { fault } = await one.store.system.ask(distributorProtocol, '0', pushAsk([{ stream: { app: 'a' }, values }]), ASKED);
  assert.equal(fault, undefined);
  await one.store.flush();
  const { stats } = await samples(one, 'sum(bytes_over_time({app="a"}[1h]))'); // a part of the block, so that its header does not tell
  assert.equal(stats.matchedLines, 1);
});

test('entries with ever new metadata keys, pushed twice, are found once: in several heads, in one object, in both', async () => {
  const one = await rig();
  const lines = Array.from({ length: 800 }, (_, number) => String(number));
  const values = lines.map((line, number) => [String(START_NS + BigInt(number)), line, { [`key-${number}`]: 'x' }]);
  const pushFrom = async (first: number) => {
    const streams = [{ stream: { app: 'a' }, values: values.slice(first) }];
    const ask = pushAsk(streams);
    assert.equal((await one.store.system.ask(distributorProtocol, '0', ask, ASKED)).fault, undefined);
  };
  const check = async (where: string) => {
    assert.deepEqual(await one.store.lines('{app="a"}'), lines, where);
    assert.deepEqual(await one.store.lines('{app="a"}', { direction: 'backward' }), lines.toReversed(), where);
    assert.equal(await one.store.count('{app="a"}'), lines.length, where);
  };
  await pushFrom(0);
  await pushFrom(37); // so that no two heads are equal
  await check('heads');
  await one.store.flush();
  await check('object');
  await pushFrom(91);
  await check('both');
});

test('lines of one time that are in several blocks of a chunk stay in their order, either way', async () => {
  const one = await rig();
  const line = (number: number): string => `${number} ${'x'.repeat(200_000)}`;
  const numbers = Array.from({ length: 12 }, (_, number) => number);
  await push(one, [[START_NS - 1n, 'before'], ...numbers.map((number): [bigint, string] => [START_NS, line(number)])]);
  const found = async (direction: 'forward' | 'backward') =>
    (await one.store.lines('{app="a"} |= "x"', { direction })).map((text) => Number(text.split(' ')[0]));
  for (const where of ['head', 'object']) {
    assert.deepEqual(await found('forward'), numbers, where);
    assert.deepEqual(await found('backward'), numbers.toReversed(), where);
    await one.store.flush();
  }
});

test('a large head is scanned in pieces', async () => {
  const one = await rig();
  const line = 'x'.repeat(200_000);
  await push(
    one,
    Array.from({ length: 20 }, (_, ns): [bigint, string] => [START_NS + BigInt(ns), line]),
  );
  const { stats } = await samples(one, 'sum(count_over_time({app="a"} |= "x" [2h]))');
  assert.deepEqual([stats.matchedLines, stats.blocks], [20, 6]); // small ones first: nobody knows yet how long a line takes
  const whole = await samples(one, 'sum(count_over_time({app="a"}[2h]))');
  assert.deepEqual([whole.stats.matchedLines, whole.stats.blocks], [20, 1]);
});

test('a log query that would hold too much in memory fails and says what to do; then its memory is free again', async () => {
  const one = await rig({ limits: { maxQueryMemory: 3_000_000 }, querier: { maxMemory: 5_000_000 } });
  const line = 'x'.repeat(200_000);
  await push(
    one,
    Array.from({ length: 30 }, (_, index) => BigInt(index)).map((ns): [bigint, string] => [START_NS + ns, line]),
  );
  const logs = (limit: number) =>
    one.store.system.ask(
      frontendProtocol,
      '0',
      {
        kind: 'range',
        query: '{app="a"}',
        startNs: 0n,
        endNs: START_NS + HOUR_NS,
        stepNs: 1e9,
        intervalNs: 0,
        limit,
        direction: 'backward',
        categorize: false,
      },
      ASKED,
    );
  await logs(1);
  for (let round = 0; round < 5; round++)
    await assert.rejects(logs(25), { code: 'limit_exceeded', message: /max_query_memory: 3000000 bytes/ });
  await logs(1);
  const held = one.store.system.observe().map(({ detail }) => detail.memoryBytes ?? 0);
  assert.deepEqual(
    held.filter((bytes) => bytes !== 0),
    [],
  );
});

for (const [what, query] of [
  ['many series', 'count(count_over_time({app="a"} | logfmt | keep n [2h]))'],
  ['many samples', 'quantile_over_time(0.5, {app="a"} | logfmt | unwrap n [2h]) by (app)'],
] as const) {
  test(`a metric query of ${what} is refused with the number that it broke, or where others hold the memory`, async () => {
    const one = await rig({ limits: { maxQueryMemory: 1_000_000, maxQuerySeries: 1e9 } });
    const ask = (text: string) =>
      one.store.ask({ kind: 'instant', query: text, timeNs: START_NS + HOUR_NS, limit: 1, direction: 'backward', categorize: false });
    for (let part = 0; part < 8; part++) {
      await push(
        one,
        Array.from({ length: 10_000 }, (_, index): [bigint, string] => [
          START_NS + BigInt(part * 10_000 + index),
          `n=${part * 10_000 + index}`,
        ]),
      );
    }
    await assert.rejects(ask(query), { code: 'limit_exceeded', message: /max_query_memory: 1000000 bytes/ });
    assert.equal((await ask('sum(count_over_time({app="a"}[2h]))')).data.result[0].value[1], '80000');
    const crowded = await rig({ querier: { maxMemory: 1_000_000 }, limits: { maxQuerySeries: 1e9 } });
    await push(
      crowded,
      Array.from({ length: 60_000 }, (_, index): [bigint, string] => [START_NS + BigInt(index), `n=${index}`]),
    );
    const refused = crowded.store.ask({
      kind: 'instant',
      query,
      timeNs: START_NS + HOUR_NS,
      limit: 1,
      direction: 'backward',
      categorize: false,
    });
    await assert.rejects(refused, { code: 'overloaded', message: /querier 0 works on hold \d+ bytes together/ });
  });
}

test('a query over many streams gives way, and ends when its caller leaves', async () => {
  const one = await rig();
  for (let number = 0; number < 300; number++) await push(one, [[START_NS, 'line']], `a${number}`);
  await one.store.flush();
  await samples(one, 'sum(count_over_time({app=~"a.*"}[2h]))');
  const monotonicMs = one.world.clock.monotonicMs;
  let now = monotonicMs();
  Object.assign(one.world.clock, { monotonicMs: () => (now += 1) });
  const caller = new AbortController();
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const ask = { kind: 'samples' as const, query: 'sum(count_over_time({app=~"a.*"}[2h]))', stepNs: 0, shard: EVERYTHING };
  const endNs = START_NS + HOUR_NS;
  const { stats } = await one.store.system.ask(querierProtocol, '0', { ...ask, startNs: endNs, endNs }, ASKED);
  over = true;
  assert.equal(stats.blocksByHeader, 300);
  assert.ok(turns > 20, `${turns} turns`);
  const running = () => one.store.system.observe().find(({ address }) => address === 'querier/0')?.detail.running;
  const left = one.store.system.ask(querierProtocol, '0', { ...ask, startNs: endNs, endNs }, { ...ASKED, signal: caller.signal });
  while (running() !== 1) await nextTurn();
  caller.abort();
  await assert.rejects(left);
  for (let wait = 0; wait < 5; wait++) await nextTurn();
  assert.equal(running(), 0);
});

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('copies that are each flushed in pieces of the whole time take little memory at once', async () => {
  const limits = { maxQueryMemory: 40 * MiB, perStreamRateLimit: 1e12, perStreamRateLimitBurst: 1e12 };
  const one = await rig({ limits, ingester: { flushBytes: 1e9, headCeiling: 4e9 } });
  const rows = numbers(20_000).map((number): [bigint, string] => {
    return [START_NS + BigInt(number * 1_000), `${number} ${number % 500 === 0 ? 'rare' : 'often'} ${'x'.repeat(1_000)}`];
  });
  for (const pieces of [17, 12, 23]) {
    for (let piece = 0; piece < pieces; piece++) {
      await push(
        one,
        rows.filter((_, index) => index % pieces === piece),
      );
      await one.store.flush();
    }
  }
  for (const [query, lines] of [
    ['sum(count_over_time({app="a"}[2h]))', 20_000],
    ['sum(count_over_time({app="a"} |= "rare" [2h]))', 40],
  ] as const) {
    const { stats } = await samples(one, query);
    assert.deepEqual([stats.matchedLines, stats.duplicates], [lines, 2 * rows.length]);
  }
  assert.deepEqual(
    await one.store.lines('{app="a"} |= "rare"'),
    rows.map(([, line]) => line).filter((line) => line.includes('rare')),
  );
});
