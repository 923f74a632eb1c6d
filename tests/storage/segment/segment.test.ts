import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { HOUR_NS, streamHash } from '../../../storage/batch/batch.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { chunkId } from '../../../storage/chunk/chunk.ts';
import { Head } from '../../../storage/chunk/head.ts';
import { zstd } from '../../../storage/chunk/zstd.ts';
import { Footer, readTail, TAIL_BYTES } from '../../../storage/segment/footer.ts';
import { readBlock, readChunk, readFooter } from '../../../storage/segment/reader.ts';
import { SegmentWriter } from '../../../storage/segment/writer.ts';
import { batchOf, HOUR, HOUR_START_NS, type PlainRow, random, randomRows, rowsOf, seeds, sortedUnique } from '../chunk/rows.ts';
import { decodeAll } from './decode-all.ts';
import { canonical, type PlainStream, randomStreams, segmentOf } from './segments.ts';

const world = realWorld();
const ALWAYS = [-(2n ** 62n), 2n ** 62n] as const;
const isCorrupt = (error: unknown): boolean => error instanceof Fault && error.code === 'corrupt';

function expected(streams: readonly PlainStream[]): Record<string, PlainRow[]> {
  return Object.fromEntries(streams.map(({ tenant, labels, rows }) => [`${tenant} ${canonical(labels)}`, sortedUnique(rows)]));
}

for (const seed of seeds(40)) {
  test(`a segment reads back as it was written, seed ${seed}`, async () => {
    const next = random(seed);
    const streams = randomStreams(next, 1 + Math.floor(next() * 30));
    const object = Buffer.concat(await segmentOf(streams));
    assert.deepEqual(await decodeAll(object), expected(streams));
  });

  test(`a selection finds what a look at every stream finds, seed ${seed}`, async () => {
    const next = random(seed);
    const streams = randomStreams(next, 30);
    const blobs = new MemoryBlobStore(world.clock);
    const parts = await segmentOf(streams);
    await blobs.put('o', parts);
    const footer = await readFooter(blobs, 'o', Buffer.concat(parts).length);
    const from = HOUR_START_NS + BigInt(Math.floor(next() * 22 * HOUR_NS));
    const to = from + BigInt(Math.floor(next() * 22 * HOUR_NS));
    const matchers = [
      { name: 'app', test: (value: string) => value === 'nginx', equals: 'nginx' },
      { name: 'env', test: (value: string) => value !== 'prod' },
      { name: 'env', test: (value: string) => value === '', equals: '' },
      { name: 'pod', test: (value: string) => value.endsWith('1') || value.endsWith('2') },
      { name: 'absent', test: (value: string) => value === 'x', equals: 'x' },
      { name: 'absent', test: (value: string) => value === '' },
    ].filter(() => next() < 0.3);
    for (const tenant of ['fake', 'tenant-2', 'nobody']) {
      const found = footer.select(tenant, matchers, from, to);
      const candidates = streams.filter(
        (stream) => stream.tenant === tenant && matchers.every(({ name, test }) => test(stream.labels[name] ?? '')),
      );
      const wanted = new Map<string, PlainRow[]>();
      for (const { labels, rows } of candidates) {
        const inRange = sortedUnique(rows).filter(({ time }) => time >= from && time < to);
        if (inRange.length > 0) wanted.set(canonical(labels), inRange);
      }
      const answer = new Map<string, PlainRow[]>();
      for (const { labels, hash, chunks } of found) {
        assert.equal(hash, streamHash(tenant, labels));
        for (const { baseNs, minOffset, maxOffset } of chunks)
          assert.ok(baseNs + BigInt(maxOffset) >= from && baseNs + BigInt(minOffset) < to, 'a chunk outside of the range');
        const blocks = await Promise.all(chunks.map((chunk) => readChunk(blobs, 'o', chunk, { fromNs: from, toNs: to })));
        const rows = blocks
          .flat()
          .flatMap(rowsOf)
          .filter(({ time }) => time >= from && time < to);
        if (rows.length > 0) answer.set(labels, rows);
      }
      assert.deepEqual(answer, new Map([...wanted].sort(([a], [b]) => (a < b ? -1 : 1))));
      const values = streams.filter((stream) => stream.tenant === tenant).flatMap(({ labels }) => labels.env ?? []);
      assert.deepEqual(footer.labelValues(tenant, 'env'), [...new Set(values)].sort());
    }
  });
}

test('the footer says what the object holds', async () => {
  const day = Math.floor(HOUR / 24);
  const rows = (hour: number, ...offsets: number[]): PlainRow[] =>
    offsets.map((ns) => ({ time: BigInt(hour) * BigInt(HOUR_NS) + BigInt(ns), line: 'abc', metadata: { k: 'vw' } }));
  const streams = [
    { tenant: 'b', labels: { app: 'x' }, rows: rows(day * 24 + 23, 5, 9) },
    { tenant: 'b', labels: { app: 'y', env: 'z' }, rows: [...rows(day * 24 + 22, 7), ...rows(day * 24 + 24, 1, 2, 3)] },
    { tenant: 'a', labels: { app: 'x' }, rows: rows(0, 0) },
  ];
  const parts = await segmentOf(streams, { log: 'wal-7', from: 40, to: 55 });
  const object = Buffer.concat(parts);
  const blobs = new MemoryBlobStore(world.clock);
  await blobs.put('o', parts);
  const footer = await readFooter(blobs, 'o', object.length);
  const { level, log, from, to, deletesApplied } = footer;
  assert.deepEqual({ level, log, from, to, deletesApplied }, { level: 0, log: 'wal-7', from: 40, to: 55, deletesApplied: 0 });
  assert.deepEqual(footer.tenants(), ['a', 'b']);
  assert.deepEqual(footer.parts('b'), [
    { day, minOffset: 22 * HOUR_NS + 7, maxOffset: 23 * HOUR_NS + 9, rows: 3, lineBytes: 9 },
    { day: day + 1, minOffset: 1, maxOffset: 3, rows: 3, lineBytes: 9 },
  ]);
  assert.deepEqual(footer.labelNames('b'), ['app', 'env']);
  assert.deepEqual(footer.labelNames('nobody'), []);
  const [, y] = footer.select('b', [], ...ALWAYS);
  const [{ id, blocks, at, ...chunk }] = y.chunks.slice(1);
  assert.deepEqual(chunk, {
    level: 0,
    baseNs: BigInt(day + 1) * 24n * BigInt(HOUR_NS),
    minOffset: 1,
    maxOffset: 3,
    rows: 3,
    lineBytes: 9,
    metadataBytes: 9,
  });
  const [block] = await readChunk(blobs, 'o', y.chunks[1]);
  assert.deepEqual(rowsOf(block), streams[1].rows.slice(1));
  assert.deepEqual(rowsOf(await readBlock(blobs, 'o', y.chunks[1], blocks[0], at)), streams[1].rows.slice(1));
  const head = new Head((day + 1) * 24);
  head.append(batchOf(streams[1].rows.slice(1)));
  assert.equal(id, chunkId('b', y.labels, head.block()));
});

test('a chunk of several blocks is read as far as it is wanted, at once', async () => {
  const rows = Array.from({ length: 4000 }, (_, number) => ({
    time: HOUR_START_NS + BigInt(number) * 1_000_000n,
    line: `${number} `.repeat(250),
    metadata: {},
  }));
  const object = Buffer.concat(await segmentOf([{ tenant: 't', labels: { a: 'b' }, rows }]));
  const reads: (readonly [number, number] | undefined)[] = [];
  const blobs = new MemoryBlobStore(world.clock);
  await blobs.put('o', object);
  const get = blobs.get.bind(blobs);
  blobs.get = (key, range) => {
    reads.push(range);
    return get(key, range);
  };
  const footer = await readFooter(blobs, 'o', object.length);
  const [chunk] = footer.select('t', [], ...ALWAYS)[0].chunks;
  assert.ok(chunk.blocks.length > 3);
  reads.length = 0;
  assert.deepEqual((await readChunk(blobs, 'o', chunk)).flatMap(rowsOf), rows);
  assert.equal(reads.length, 1);
  const fromNs = HOUR_START_NS + BigInt(chunk.blocks[1].maxOffset);
  const some = await readChunk(blobs, 'o', chunk, { fromNs, toNs: HOUR_START_NS + BigInt(chunk.blocks[2].minOffset) + 1n });
  assert.deepEqual(
    some.map(({ header }) => header),
    chunk.blocks.slice(1, 3),
  );
  assert.equal(reads.length, 2);
  assert.equal(reads[1]![1] - reads[1]![0], chunk.blocks[1].storedBytes + chunk.blocks[2].storedBytes);
  assert.deepEqual(await readChunk(blobs, 'o', chunk, { fromNs: 0n, toNs: HOUR_START_NS }), []);
  assert.equal(reads.length, 2);
});

test('a footer beyond the first read is fetched by a second', async () => {
  const streams = Array.from({ length: 6000 }, (_, number) => ({
    tenant: 't',
    labels: { id: `${Math.sin(number)}` },
    rows: [{ time: HOUR_START_NS, line: `${number}`, metadata: {} }],
  }));
  const object = Buffer.concat(await segmentOf(streams));
  const blobs = new MemoryBlobStore(world.clock);
  await blobs.put('o', object);
  let reads = 0;
  const get = blobs.get.bind(blobs);
  blobs.get = (key, range) => {
    reads++;
    return get(key, range);
  };
  const footer = await readFooter(blobs, 'o', object.length);
  assert.equal(reads, 2);
  assert.equal(footer.select('t', [], ...ALWAYS).length, 6000);
  const wanted = streams[4321].labels.id;
  const [one] = footer.select('t', [{ name: 'id', test: (value) => value === wanted, equals: wanted }], ...ALWAYS);
  assert.equal(one.labels, canonical({ id: wanted }));
});

test('an object without entries still continues its chain', async () => {
  const object = Buffer.concat(await segmentOf([], { log: 'l', from: 3, to: 4 }));
  assert.deepEqual(await decodeAll(object), {});
  const blobs = new MemoryBlobStore(world.clock);
  await blobs.put('o', object);
  assert.equal((await readFooter(blobs, 'o', object.length)).to, 4);
});

test('streams out of order are refused', async () => {
  const add = async (...streams: [tenant: string, app: string, hour: number][]): Promise<void> => {
    const writer = new SegmentWriter(world);
    for (const [tenant, app, hour] of streams) {
      const labels = canonical({ app });
      const head = new Head(hour);
      head.append(batchOf(randomRows(random(1), 3, hour), labels, tenant));
      await writer.add({ tenant, labels, parsed: [['app', app]], hash: streamHash(tenant, labels) }, head.block());
    }
  };
  await add(['a', 'x', 2], ['a', 'x', 2], ['a', 'x', 3], ['a', 'y', 1], ['b', 'x', 1]);
  for (const wrong of [add(['b', 'x', 1], ['a', 'x', 1]), add(['a', 'y', 1], ['a', 'x', 1]), add(['a', 'x', 2], ['a', 'x', 1])]) {
    await assert.rejects(wrong, (error) => error instanceof Fault && error.code === 'internal');
  }
});

test('the event loop turns while a large stream is written', async () => {
  let turns = 0;
  const writer = new SegmentWriter({ timers: { ...world.timers, yield: async () => void turns++ } });
  const head = new Head(HOUR);
  head.append(
    batchOf(
      Array.from({ length: 80 }, (_, number) => ({ time: HOUR_START_NS + BigInt(number), line: `${number}`.repeat(50_000), metadata: {} })),
    ),
  );
  await writer.add({ tenant: 't', labels: '{a="b"}', parsed: [['a', 'b']], hash: streamHash('t', '{a="b"}') }, head.block());
  assert.ok(turns >= Math.floor(head.lineBytes / 1024 / 1024), `${turns} turns for ${head.lineBytes} bytes`);
});

const small: PlainStream[] = [
  { tenant: 'a', labels: { app: 'x' }, rows: randomRows(random(5), 40) },
  { tenant: 'a', labels: { app: 'y' }, rows: randomRows(random(6), 5, HOUR + 1) },
  { tenant: 'b', labels: { app: 'x', env: 'p' }, rows: randomRows(random(7), 20) },
];

test('any changed byte is corrupt, or changes nothing', async () => {
  const object = Buffer.concat(await segmentOf(small));
  for (let at = 0; at < object.length; at++) {
    const damaged = Buffer.from(object);
    damaged[at] ^= 1 << (at % 8);
    try {
      assert.deepEqual(await decodeAll(damaged), expected(small), `byte ${at}`);
    } catch (error) {
      assert.ok(isCorrupt(error), `byte ${at}: ${error}`);
    }
  }
});

test('an object cut off anywhere is corrupt', async () => {
  const object = Buffer.concat(await segmentOf(small));
  for (let length = 0; length < object.length; length++) await assert.rejects(decodeAll(object.subarray(0, length)), isCorrupt);
});

test('a version that we do not know is named', async () => {
  const object = Buffer.concat(await segmentOf(small));
  object.writeUInt32LE(5, object.length - 12);
  object.writeUInt32LE(crc32(object.subarray(object.length - 24, object.length - 8)), object.length - 8);
  await assert.rejects(decodeAll(object), { code: 'unsupported', message: /segment version 5, this program knows 1, 2, 3, 4/ });
});

for (const seed of seeds(30)) {
  test(`a footer of any bytes is refused or answers, seed ${seed}`, async () => {
    const next = random(seed);
    const object = Buffer.concat(await segmentOf(small));
    const tail = readTail(object.subarray(-TAIL_BYTES), 'o');
    const raw = zstd.decompress(object.subarray(-TAIL_BYTES - tail.storedBytes, -TAIL_BYTES), tail.rawBytes);
    for (let round = 0; round < 100; round++) {
      const damaged = Buffer.from(raw);
      for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--)
        damaged[Math.floor(next() * raw.length)] = Math.floor(next() * 256);
      let footer: Footer;
      try {
        footer = new Footer('o', damaged, tail.version);
      } catch (error) {
        assert.ok(error instanceof RangeError, `${error}`);
        continue;
      }
      try {
        for (const tenant of footer.tenants()) {
          footer.labelNames(tenant).map((name) => footer.labelValues(tenant, name));
          footer.select(tenant, [{ name: 'app', test: (value) => value !== 'x' }], ...ALWAYS);
          footer.select(tenant, [], ...ALWAYS);
        }
      } catch (error) {
        assert.ok(isCorrupt(error), `${error}`);
      }
    }
  });
}
