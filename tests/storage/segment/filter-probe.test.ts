import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { ReadMeter } from '../../../storage/chunk/block.ts';
import { needleHashes } from '../../../storage/chunk/needle-hashes.ts';
import { blocksWithout } from '../../../storage/segment/filter-probe.ts';
import { FilterWriter } from '../../../storage/segment/filter-writer.ts';
import { pick, random, seeds } from '../chunk/rows.ts';
import { blockOf, type FilteredBlocks, filtersOf, STORED_BYTES } from './filters.ts';

const hex = (next: () => number, digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(next() * 16).toString(16)).join('');

interface Asked {
  readonly texts?: readonly string[];
  readonly values?: readonly { key: string; value: string }[];
  /** Of the blocks in question, all without it. */
  readonly places?: readonly number[];
  readonly storedBytes?: number;
}

/** The numbers of the blocks that are left, and how many bytes of filters were read. */
async function left(filters: FilteredBlocks, { texts = [], values = [], places = filters.places, storedBytes = STORED_BYTES }: Asked) {
  const meter = new ReadMeter(realWorld().clock);
  const blocks = new Map(places.map((at) => [at, storedBytes]));
  const without = await blocksWithout({ hashes: needleHashes({ texts, values }), blocks }, { ...filters, meter });
  for (const at of without) assert.ok(blocks.has(at), 'a block that nobody asked about');
  const numbers = places.filter((at) => !without.has(at)).map((at) => filters.places.indexOf(at));
  return { numbers, bytes: meter.filterBytes, damaged: meter.damagedPages };
}

for (const seed of seeds(30)) {
  test(`blocks that hold a text or value are never left out, most others are, seed ${seed}`, async () => {
    const next = random(seed);
    // Blocks of very different sizes, so filters too: some of them are larger than they would be alone.
    const contents = Array.from({ length: 1 + Math.floor(next() * 120) }, () => {
      const count = pick(next, [1, 3, 30, 300]);
      return {
        lines: Array.from({ length: count }, () => `{"level":"info","trace":"${hex(next, 32)}","é":"${hex(next, 6)}"}`),
        metadata: Array.from({ length: count }, () => ({ trace_id: hex(next, 16) })),
      };
    });
    const filters = await filtersOf(contents.map(({ lines, metadata }) => blockOf(lines, metadata)));
    let [others, kept] = [0, 0];
    for (let round = 0; round < 60; round++) {
      const owner = pick(next, contents);
      const row = Math.floor(next() * owner.lines.length);
      const line = owner.lines[row];
      const from = Math.floor(next() * (line.length - 1));
      const needle = line.slice(from, from + 1 + Math.floor(next() * 40));
      const value = owner.metadata[row].trace_id;
      const places = filters.places.filter(() => next() < 0.8);
      for (const [asked, holds] of [
        [{ texts: [needle] }, ({ lines }) => lines.some((one) => one.includes(needle))],
        [{ texts: [needle, '"level":"info"'] }, ({ lines }) => lines.some((one) => one.includes(needle))],
        [{ values: [{ key: 'trace_id', value }] }, ({ metadata }) => metadata.some(({ trace_id }) => trace_id === value)],
      ] as [Asked, (content: (typeof contents)[number]) => boolean][]) {
        const { numbers } = await left(filters, { ...asked, places, storedBytes: MiB });
        for (const at of places) {
          const number = filters.places.indexOf(at);
          if (holds(contents[number])) assert.ok(numbers.includes(number), `${needle} is in block ${number}`);
          else if (asked.values !== undefined) {
            others++;
            kept += Number(numbers.includes(number));
          }
        }
      }
    }
    assert.ok(kept <= 3 + others / 20, `${kept} of ${others} blocks without the value are left`);
  });
}

test('what no block holds costs eight pages, and so does what one holds, or all', async () => {
  const next = random(5);
  const contents = Array.from({ length: 60 }, () =>
    Array.from({ length: 2_000 }, () => `trace=${hex(next, 32)} path=/api/v1/orders status=200`),
  );
  const filters = await filtersOf(contents.map((lines) => blockOf(lines)));
  const [{ pageBytes, log2Pages }] = filters.sections;
  assert.equal(filters.sections.length, 1);
  assert.ok(pageBytes > 2 * KiB && pageBytes < 8 * KiB && log2Pages > 5, `2^${log2Pages} pages of ${pageBytes} bytes`);
  assert.ok(filters.turns > 2 ** log2Pages / 64 - 1, 'pages are put together without a pause');
  assert.deepEqual(await left(filters, { texts: [hex(next, 32)] }), { numbers: [], bytes: 8 * pageBytes, damaged: 0 });
  const one = await left(filters, { texts: [contents[17][99].slice(0, 38)] });
  assert.deepEqual(one.numbers, [17]);
  assert.equal(one.bytes, 8 * pageBytes);
  const common = await left(filters, { texts: ['path=/api/v1/orders status=200'] });
  assert.deepEqual([common.numbers.length, common.bytes], [60, 8 * pageBytes]);
});

test('filters are not read where the blocks themselves are smaller', async () => {
  const next = random(6);
  const filters = await filtersOf(Array.from({ length: 20 }, () => blockOf(Array.from({ length: 300 }, () => hex(next, 60)))));
  const [{ pageBytes }] = filters.sections;
  const asked = { texts: [hex(next, 32)], places: filters.places.slice(0, 2) };
  assert.equal((await left(filters, { ...asked, storedBytes: 4 * pageBytes })).bytes, 0);
  assert.equal((await left(filters, { ...asked, storedBytes: 5 * pageBytes })).numbers.length, 0);
  assert.equal((await left(filters, { ...asked, places: [] })).bytes, 0);
});

test('a section has 1,024 blocks or 16 MiB at most', async () => {
  const small = await filtersOf(Array.from({ length: 2_050 }, (_, number) => blockOf([`line number ${number} of many`])));
  assert.deepEqual(
    small.sections.map(({ sizes }) => sizes.reduce((sum, { blocks }) => sum + blocks.length, 0)),
    [1_024, 1_024, 2],
  );
  for (const number of [0, 1_023, 1_024, 2_049]) {
    const { numbers } = await left(small, { texts: [`line number ${number} of many`] });
    assert.ok(numbers.includes(number) && numbers.length < 300, `${numbers.length} blocks left`);
  }
  const next = random(8);
  const noise = blockOf(
    Array.from({ length: 40 }, () => Buffer.from(Uint8Array.from({ length: 12_000 }, () => 32 + next() * 90)).toString('latin1')),
  );
  const writer = new FilterWriter(async () => {}, { leastLineBytes: 0 });
  for (let number = 0; number < 140; number++) await writer.add(number, noise);
  const { sections, pages } = await writer.finish(0);
  assert.deepEqual(
    sections.map(({ sizes }) => sizes[0].blocks.length),
    [128, 12],
  );
  assert.equal(sections[1].at, pages[0].length);
});

test('objects with few lines have no filters', async () => {
  const writer = new FilterWriter(async () => {}, { leastLineBytes: 1_000 });
  await writer.add(0, blockOf(['x'.repeat(999)]));
  assert.deepEqual(await writer.finish(10), { pages: [], sections: [] });
});

test('a damaged page says nothing: what it would have ruled out is left, and it is counted', async () => {
  const next = random(9);
  const filters = await filtersOf(Array.from({ length: 9 }, () => blockOf(Array.from({ length: 20 }, () => hex(next, 60)))));
  assert.equal(filters.sections[0].log2Pages, 0);
  const object = await filters.ranges.get('o');
  const asked = { texts: [hex(next, 32)] };
  assert.deepEqual([(await left(filters, asked)).numbers.length, (await left(filters, asked)).damaged], [0, 0]);
  for (let at = 123; at < object.length; at += 7) {
    const damaged = Buffer.from(object);
    damaged[at] ^= 1 << (at % 8);
    await filters.ranges.put('o', damaged);
    const { numbers, damaged: pages } = await left(filters, asked);
    assert.deepEqual([numbers.length, pages], [9, 1]);
  }
  await filters.ranges.put('o', object.subarray(0, object.length - 1));
  assert.equal((await left(filters, asked)).damaged, 1);
  await filters.ranges.put('o', Buffer.alloc(0));
  assert.equal((await left(filters, asked)).damaged, 1);
});

test('of many pages one is damaged: the others tell as much as they did', async () => {
  const next = random(5);
  const filters = await filtersOf(Array.from({ length: 60 }, () => blockOf(Array.from({ length: 2_000 }, () => hex(next, 32)))));
  const needle = hex(next, 32);
  const [section] = filters.sections;
  const object = await filters.ranges.get('o');
  object[section.rangeOf(section.pageOf(needleHashes({ texts: [needle], values: [] })[0]))[0]] ^= 1;
  await filters.ranges.put('o', object);
  const { numbers, damaged } = await left(filters, { texts: [needle] });
  assert.ok(numbers.length <= 3 && damaged === 1, `${numbers.length} blocks left, ${damaged} pages damaged`);
});

test('a failing read rejects only when the others are done', async () => {
  const next = random(5);
  const filters = await filtersOf(Array.from({ length: 60 }, () => blockOf(Array.from({ length: 2_000 }, () => hex(next, 32)))));
  const world = fakeWorld(1);
  let [reads, underWay] = [0, 0];
  const get = async (): Promise<Buffer> => {
    underWay++;
    await world.timers.sleep(reads++ === 0 ? 1 : 100);
    underWay--;
    throw new Fault('unavailable', 'storage is away');
  };
  const blobs = { get } as unknown as BlobStore;
  const hashes = needleHashes({ texts: [hex(next, 32)], values: [] });
  const blocks = new Map(filters.places.map((at) => [at, STORED_BYTES]));
  const asking = blocksWithout({ hashes, blocks }, { ...filters, ranges: blobs }).catch((error) => ({ error, underWay }));
  await world.advance(200);
  const answer = (await asking) as { error: Fault; underWay: number };
  assert.deepEqual([answer.error.code, answer.underWay], ['unavailable', 0]);
  assert.ok(reads > 1);
});
