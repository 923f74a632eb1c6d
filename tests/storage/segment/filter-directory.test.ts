import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter } from '../../../ops/base/bytes.ts';
import { FilterSection, readFilterDirectory, writeFilterDirectory } from '../../../storage/segment/filter-directory.ts';
import { random, seeds } from '../chunk/rows.ts';

function written(sections: readonly FilterSection[]): Buffer {
  const out = new ByteWriter();
  writeFilterDirectory(out, sections);
  return Buffer.from(out.view());
}

const sizesOf = (...sizes: [log2Bits: number, ...blocks: number[]][]) =>
  sizes.map(([log2Bits, ...blocks]) => ({ log2Bits, blocks: Float64Array.from(blocks) }));

for (const seed of seeds(30)) {
  test(`a filter directory reads back as it was written, seed ${seed}`, () => {
    const next = random(seed);
    const sections = Array.from({ length: Math.floor(next() * 4) }, () => {
      const sizes = [20, 17, 14, 9]
        .filter(() => next() < 0.7)
        .map((log2Bits) => {
          const blocks = Array.from({ length: 1 + Math.floor(next() * 50) }, () => Math.floor(next() * 2 ** 40)).sort((a, b) => a - b);
          return [log2Bits, ...blocks] as [number, ...number[]];
        });
      if (sizes.length === 0) sizes.push([12, 0]);
      return new FilterSection(Math.floor(next() * 2 ** 40), 7 + Math.floor(next() * 3), sizesOf(...sizes));
    });
    const reader = new ByteReader(written(sections));
    assert.deepEqual(readFilterDirectory(reader), sections);
    assert.equal(reader.left, 0);
  });
}

test('pages lie one after the other, and each hash has one', () => {
  const section = new FilterSection(1_000, 2, sizesOf([6, 0, 10], [5, 20]));
  assert.equal(section.pageBytes, 5 + 4); // 2 filters of 16 bits a page, one of 8, and the checksum
  assert.deepEqual(
    [0, 1, 2, 3].map((page) => section.rangeOf(page)),
    [0, 9, 18, 27].map((at) => [1_000 + at, 1_009 + at]),
  );
  assert.deepEqual(
    [0, 0x3fffffff, 0x40000000, 0xffffffff].map((hash) => section.pageOf(hash)),
    [0, 0, 1, 3],
  );
  assert.equal(new FilterSection(0, 0, sizesOf([6, 0])).pageOf(0xffffffff), 0);
});

for (const [what, section] of [
  ['more pages than bits', new FilterSection(0, 7, sizesOf([8, 1], [6, 2]))],
  ['sizes that ascend', new FilterSection(0, 0, sizesOf([6, 1], [8, 2]))],
  ['a size twice', new FilterSection(0, 0, sizesOf([6, 1], [6, 2]))],
  ['no sizes', new FilterSection(0, 0, [])],
  ['a filter that is too small', new FilterSection(0, 0, sizesOf([4, 1]))],
  ['a filter that is too large', new FilterSection(0, 0, sizesOf([21, 1]))],
  ['pages that are too large', new FilterSection(0, 0, sizesOf([19, 1]))],
] as const) {
  test(`a filter directory with ${what} is refused`, () => {
    assert.throws(() => readFilterDirectory(new ByteReader(written([section]))), RangeError);
  });
}

for (const seed of seeds(20)) {
  test(`a filter directory of any bytes is refused or read, seed ${seed}`, () => {
    const next = random(seed);
    const bytes = written([
      new FilterSection(99, 3, sizesOf([20, 1, 2, 3], [9, 5, 1_000_000])),
      new FilterSection(9_999, 0, sizesOf([5, 7])),
    ]);
    for (let round = 0; round < 200; round++) {
      const damaged = Buffer.from(bytes).subarray(0, next() < 0.5 ? bytes.length : Math.floor(next() * bytes.length));
      for (let changes = Math.floor(next() * 4); changes > 0; changes--)
        damaged[Math.floor(next() * damaged.length)] = Math.floor(next() * 256);
      try {
        readFilterDirectory(new ByteReader(damaged));
      } catch (error) {
        assert.ok(error instanceof RangeError, `${error}`);
      }
    }
  });
}
