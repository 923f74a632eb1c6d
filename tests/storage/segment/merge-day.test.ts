import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { zstd } from '../../../storage/chunk/zstd.ts';
import { Closure } from '../../../storage/segment/closure.ts';
import { Footer, readTail, TAIL_BYTES } from '../../../storage/segment/footer.ts';
import { type MergedDay, mergeDay } from '../../../storage/segment/merge-day.ts';
import { readFooter } from '../../../storage/segment/reader.ts';
import { HOUR, type PlainRow, pick, random, randomRows, seeds, sortedUnique } from '../chunk/rows.ts';
import { decodeAll } from './decode-all.ts';
import { canonical, type PlainStream, segmentOf } from './segments.ts';

const DAY = Math.floor(HOUR / 24);
const world = realWorld();

/** A store of objects that can be merged by key. */
class Rig {
  readonly blobs = new MemoryBlobStore(world.clock);
  turns = 0;

  async put(key: string, body: readonly Uint8Array[]): Promise<string> {
    await this.blobs.put(key, body);
    return key;
  }

  async input(key: string): Promise<{ key: string; footer: Footer }> {
    const size = (await this.blobs.get(key)).length;
    return { key, footer: await readFooter(this.blobs, key, size) };
  }

  /** Those that hold entries of the tenant and day. */
  async withPart(keys: readonly string[], tenant: string, day: number): Promise<string[]> {
    const inputs = await Promise.all(keys.map((key) => this.input(key)));
    return inputs.filter(({ footer }) => footer.parts(tenant).some((part) => part.day === day)).map(({ key }) => key);
  }

  async merge(keys: readonly string[], { tenant = 't', day = DAY, level = 1 } = {}): Promise<MergedDay> {
    const inputs = await Promise.all(keys.map((key) => this.input(key)));
    const info = { level, deletesApplied: 0, oldestMs: 5, first: 'l0', closure: Closure.of([], keys), cover: new Map([['w', 7]]) };
    const giveWay = async () => void this.turns++;
    return mergeDay({ tenant, day, inputs, info }, { blobs: this.blobs, giveWay, filters: { leastLineBytes: 0 } });
  }
}

const identity = ({ time, line, metadata }: PlainRow): string => JSON.stringify([String(time), line, Object.entries(metadata).sort()]);

/** The rows of each stream in the order of time, those of one time in the order of their arrival, each once. */
function expected(objects: readonly (readonly PlainStream[])[], tenant: string, day: number): Record<string, PlainRow[]> {
  const byStream = new Map<string, PlainRow[]>();
  for (const stream of objects.flat()) {
    if (stream.tenant !== tenant) continue;
    const rows = stream.rows.filter(({ time }) => Number(time / BigInt(HOUR_NS * 24)) === day);
    const key = `${tenant} ${canonical(stream.labels)}`;
    byStream.set(key, [...(byStream.get(key) ?? []), ...rows]);
  }
  const merged = [...byStream].filter(([, rows]) => rows.length > 0).map(([key, rows]) => [key, sortedUnique(rows)] as const);
  return Object.fromEntries(merged);
}

const plain = (all: Record<string, PlainRow[]>) => Object.fromEntries(Object.entries(all).map(([key, rows]) => [key, rows.map(identity)]));

/** Streams of two tenants over two days; some rows are in several objects. */
function randomObjects(next: () => number): PlainStream[][] {
  const hours = [DAY * 24, DAY * 24 + 1, DAY * 24 + 13, DAY * 24 + 23, DAY * 24 + 24];
  const sent: PlainRow[] = [];
  return Array.from({ length: 2 + Math.floor(next() * 5) }, () =>
    ['t', 'u'].flatMap((tenant) =>
      Array.from({ length: 1 + Math.floor(next() * 4) }, (_, stream) => {
        const rows = hours.filter(() => next() < 0.5).flatMap((hour) => randomRows(next, 1 + Math.floor(next() * 60), hour));
        for (let again = Math.floor(next() * 20); again > 0 && sent.length > 0; again--) rows.push(pick(next, sent));
        sent.push(...rows.filter(() => next() < 0.2));
        return { tenant, labels: { app: `app-${stream}` }, rows };
      }),
    ),
  ).map((streams) => [...Map.groupBy(streams, ({ tenant, labels }) => `${tenant} ${labels.app}`).values()].map(([stream]) => stream));
}

for (const seed of seeds(40)) {
  test(`a day of several objects becomes one, every entry once and in order, seed ${seed}`, async () => {
    const rig = new Rig();
    const next = random(seed);
    const objects = randomObjects(next);
    const keys = await Promise.all(objects.map(async (streams, index) => rig.put(`l0-${index}`, await segmentOf(streams))));
    for (const tenant of ['t', 'u']) {
      for (const day of [DAY, DAY + 1]) {
        const some = await rig.withPart(keys, tenant, day);
        if (some.length < 2) continue;
        const { body } = await rig.merge(some, { tenant, day });
        const whole = expected(objects, tenant, day);
        assert.deepEqual(plain(await decodeAll(Buffer.concat(body))), plain(whole), `${tenant} ${day}`);
        // In two steps: first some of them, then what came of it.
        const middle = 1 + Math.floor(next() * (some.length - 1));
        const halves = [some.slice(0, middle), some.slice(middle)];
        const firsts = await Promise.all(
          halves.map(async (half, index) => rig.put(`${tenant}-${day}-${index}`, (await rig.merge(half, { tenant, day })).body)),
        );
        const again = await rig.merge(firsts, { tenant, day, level: 2 });
        assert.deepEqual(plain(await decodeAll(Buffer.concat(again.body))), plain(whole), `${tenant} ${day}, in two steps`);
      }
    }
  });
}

const long = (from: number, to: number, hour = HOUR, line = 'y'.repeat(1_000)): PlainRow[] =>
  Array.from({ length: to - from }, (_, index) => ({
    time: BigInt(hour) * BigInt(HOUR_NS) + BigInt(from + index) * 1_000_000n,
    line: `${from + index} ${line}`,
    metadata: { level: index % 2 ? 'info' : 'warn' },
  }));

test('full blocks that overlap no other are taken over as they are, small ones become large', async () => {
  const rig = new Rig();
  const of = (rows: PlainRow[]): PlainStream[] => [{ tenant: 't', labels: { app: 'a' }, rows }];
  const objects = [
    of(long(0, 5_000)),
    of(long(4_990, 8_000)),
    of(long(8_000, 8_100)),
    of(long(8_100, 8_200)),
    of(long(9_000, 20_000, HOUR + 1)),
  ];
  const keys = await Promise.all(objects.map(async (streams, index) => rig.put(`l0-${index}`, await segmentOf(streams))));
  const merged = await rig.merge(keys);
  const object = Buffer.concat(merged.body);
  assert.deepEqual(plain(await decodeAll(object)), plain(expected(objects, 't', DAY)));
  assert.equal(merged.duplicates, 10);
  await rig.put('merged', merged.body);
  const { footer } = await rig.input('merged');
  const [{ chunks }] = footer.select('t', [], 0n, 2n ** 70n);
  assert.equal(chunks.length, 1);
  const [{ blocks, baseNs, level }] = chunks;
  assert.deepEqual([baseNs, level], [BigInt(DAY) * 24n * BigInt(HOUR_NS), 1]);
  assert.ok(merged.copiedBlocks > blocks.length / 2, `${merged.copiedBlocks} of ${blocks.length} blocks copied`);
  assert.ok(blocks.every(({ lineBytes }) => lineBytes > 400_000));
  assert.ok(rig.turns >= blocks.length);
});

test('what a segment says of itself', async () => {
  const rig = new Rig();
  const rows = randomRows(random(3), 50, DAY * 24 + 5);
  await rig.put('l0', await segmentOf([{ tenant: 't', labels: { app: 'a' }, rows }]));
  const inputs = [await rig.input('l0')];
  const closure = Closure.of(
    [
      { log: 'w2', from: 9 },
      { log: 'w1', from: 5 },
      { log: 'w1', from: 3 },
    ],
    ['t/1/1-x', 't/1/1-y'],
  );
  const info = {
    level: 3,
    deletesApplied: 12,
    oldestMs: 1_234_567,
    first: '_l0/w1/0000000000000003',
    closure,
    cover: new Map([['w1', 4]]),
  };
  const { body } = await mergeDay(
    { tenant: 't', day: DAY, inputs, info },
    { blobs: rig.blobs, giveWay: async () => {}, filters: { leastLineBytes: 0 } },
  );
  await rig.put('s', body);
  const { footer } = await rig.input('s');
  assert.deepEqual(
    [footer.level, footer.deletesApplied, footer.oldestMs, footer.first, footer.log, footer.from, footer.to],
    [3, 12, 1_234_567, '_l0/w1/0000000000000003', '', 0, 0],
  );
  assert.deepEqual([...footer.closure.keys()], [...closure.keys()]);
  assert.deepEqual(
    [...footer.cover],
    [
      ['w1', 4],
      ['w2', 0],
    ],
  );
  assert.deepEqual(footer.parts('t'), inputs[0].footer.parts('t'));
  assert.deepEqual(footer.tenants(), ['t']);
});

test('every block of a segment has a filter, whether it was copied or made; level-0 objects and small segments have none', async () => {
  const rig = new Rig();
  const streams: PlainStream[] = [
    { tenant: 't', labels: { app: 'a' }, rows: long(0, 5_000) },
    { tenant: 't', labels: { app: 'b' }, rows: long(0, 3) },
  ];
  const inputs = [await rig.input(await rig.put('l0', await segmentOf(streams)))];
  assert.deepEqual(inputs[0].footer.filters(), []);
  const merge = async (leastLineBytes: number): Promise<{ footer: Footer; body: readonly Uint8Array[] }> => {
    const info = { level: 1, deletesApplied: 0, oldestMs: 1, first: 'l0', closure: Closure.of([], ['l0']), cover: new Map() };
    const { body, copiedBlocks } = await mergeDay(
      { tenant: 't', day: DAY, inputs, info },
      { blobs: rig.blobs, giveWay: async () => {}, filters: { leastLineBytes } },
    );
    assert.ok(copiedBlocks > 0);
    await rig.put('s', body);
    return { footer: (await rig.input('s')).footer, body };
  };
  const { footer } = await merge(5_000_000);
  const places = footer
    .select('t', [], 0n, 2n ** 70n)
    .flatMap(({ chunks }) =>
      chunks.flatMap(({ at, blocks }) =>
        blocks.map((_, number) => blocks.slice(0, number).reduce((sum, block) => sum + block.storedBytes, at)),
      ),
    );
  const [{ sizes, at }] = footer.filters();
  assert.deepEqual(
    sizes.flatMap(({ blocks }) => [...blocks]).sort((a, b) => a - b),
    places,
  );
  assert.ok(at > places[places.length - 1]);
  assert.deepEqual((await merge(6_000_000)).footer.filters(), []);
});

test('damage in an input is not carried over', async () => {
  const rig = new Rig();
  const object = Buffer.concat(await segmentOf([{ tenant: 't', labels: { app: 'a' }, rows: long(0, 5_000) }]));
  object[1_000] ^= 1;
  await rig.put('damaged', [object]);
  await assert.rejects(rig.merge(['damaged']), { code: 'corrupt', key: 'damaged', message: /^object damaged: / });
});

for (const [what, at] of [
  ['times', 2],
  ['lines', -40],
] as const) {
  test(`damage among blocks that overlap names its object: ${what}`, async () => {
    const rig = new Rig();
    const keys = ['l0-0', 'l0-1', 'l0-2'];
    for (const [index, key] of keys.entries())
      await rig.put(key, await segmentOf([{ tenant: 't', labels: { app: 'a' }, rows: long(index, 200) }]));
    const { footer } = await rig.input('l0-1');
    const [{ chunks }] = footer.select('t', [], 0n, 2n ** 70n);
    const object = await rig.blobs.get('l0-1');
    object[at < 0 ? chunks[0].at + chunks[0].blocks[0].storedBytes + at : at] ^= 1;
    await rig.put('l0-1', [object]);
    await assert.rejects(rig.merge(keys), { code: 'corrupt', key: 'l0-1', message: /^object l0-1: / });
  });
}

test('a merge that would lose entries, or make some up, fails', async () => {
  const rig = new Rig();
  const streams = ['a', 'b', 'c'].map((app): PlainStream => ({ tenant: 't', labels: { app }, rows: long(0, 10) }));
  const { key, footer } = await rig.input(await rig.put('l0', await segmentOf(streams)));
  const info = { level: 1, deletesApplied: 0, oldestMs: 1, first: 'l0', closure: Closure.of([], ['l0']), cover: new Map() };
  const merge = (series: number, rows: number): Promise<MergedDay> => {
    const [part] = footer.parts('t');
    const lying = {
      seriesCount: () => series,
      seriesAt: (...args: Parameters<Footer['seriesAt']>) => footer.seriesAt(...args),
      parts: () => [{ ...part, rows }],
    } as unknown as Footer;
    return mergeDay(
      { tenant: 't', day: DAY, inputs: [{ key, footer: lying }], info },
      { blobs: rig.blobs, giveWay: async () => {}, filters: { leastLineBytes: 0 } },
    );
  };
  assert.equal((await merge(3, 30)).rows, 30);
  await assert.rejects(merge(2, 30), { code: 'internal', message: /30 rows of t, day \d+, became 20 and 0 duplicates/ });
  await assert.rejects(merge(3, 29), { code: 'internal' });
});

const golden = (): Buffer => readFileSync(new URL('../../golden/segment/v2/segment.bin', import.meta.url));

test('any changed byte of a segment is corrupt, or changes nothing', async () => {
  const whole = await decodeAll(golden());
  for (let at = 0; at < golden().length; at++) {
    const damaged = golden();
    damaged[at] ^= 1 << (at % 8);
    try {
      assert.deepEqual(await decodeAll(damaged), whole, `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof Fault && error.code === 'corrupt', `byte ${at}: ${error}`);
    }
  }
});

for (const seed of seeds(10)) {
  test(`a segment's footer of any bytes is refused or answers, seed ${seed}`, () => {
    const next = random(seed);
    const object = golden();
    const tail = readTail(object.subarray(-TAIL_BYTES), 'o');
    const raw = zstd.decompress(object.subarray(-TAIL_BYTES - tail.storedBytes, -TAIL_BYTES), tail.rawBytes);
    for (let round = 0; round < 200; round++) {
      const damaged = Buffer.from(raw);
      for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--)
        damaged[Math.floor(next() * raw.length)] = Math.floor(next() * 256);
      try {
        const footer = new Footer('o', damaged, tail.version);
        for (const tenant of footer.tenants()) footer.select(tenant, [], 0n, 2n ** 70n);
        footer.filters();
      } catch (error) {
        assert.ok(error instanceof RangeError || (error instanceof Fault && error.code === 'corrupt'), `${error}`);
      }
    }
  });
}
