import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEnds, decodeMetadata, decodeTimes, encodeTimes } from '../../../storage/chunk/columns.ts';
import { random, seeds } from './rows.ts';

const units: [what: string, offsets: number[], bytes: number[]][] = [
  ['seconds', [5e9, 6e9, 8e9], [9, 1, 2]],
  ['milliseconds', [0, 1e9, 1_001_000_000], [6, 0xe8, 0x07, 1]],
  ['microseconds', [1, 1001, 3001], [3, 1, 2]],
  ['nanoseconds', [0, 1, 1, 129], [0, 1, 0, 0x80, 0x01]],
  ['one row', [77], [9]],
];
for (const [what, offsets, bytes] of units) {
  test(`times in ${what}`, () => {
    const times = Float64Array.from(offsets);
    assert.deepEqual([...encodeTimes(times).bytes], bytes);
    assert.deepEqual(decodeTimes(Buffer.from(bytes), offsets.length, offsets[0]), times);
  });
}

test('times up to 2^53 ns apart', () => {
  const times = Float64Array.of(0, 2 ** 53 - 2, 2 ** 53 - 1);
  assert.deepEqual(decodeTimes(Buffer.from(encodeTimes(times).bytes), 3, 0), times);
});

const refused: [what: string, decode: () => unknown][] = [
  ['times of no bytes', () => decodeTimes(Buffer.alloc(0), 1, 0)],
  ['times of an unknown unit', () => decodeTimes(Buffer.of(4, 1), 2, 0)],
  ['too few times', () => decodeTimes(Buffer.of(0, 1), 3, 0)],
  ['too many times', () => decodeTimes(Buffer.of(0, 1, 1), 2, 0)],
  ['a time cut off', () => decodeTimes(Buffer.of(0, 1, 0x80), 3, 0)],
  ['times beyond 2^53', () => decodeTimes(Buffer.of(9, 255, 255, 255, 255, 255, 255, 255, 15), 2, 0)],
  ['lengths that make another sum', () => decodeEnds(0, Buffer.of(2, 0, 0, 0), 3, 7)],
  ['lengths of another width', () => decodeEnds(2, Buffer.of(2, 0, 0, 0, 1, 1, 1), 3, 9)],
  ['lengths in an unknown layout', () => decodeEnds(3, Buffer.of(2, 0, 0, 0, 1, 1, 1), 1, 9)],
  ['a value beyond the dictionary', () => decodeMetadata('k', 1, Buffer.of(1, 2, 1, 1, 97), 2)],
  ['more values than bytes', () => decodeMetadata('k', 1, Buffer.of(1, 1, 255, 255, 127), 2)],
  ['bytes after the values', () => decodeMetadata('k', 1, Buffer.of(1, 1, 1, 1, 97, 98), 2)],
  ['an index cut off', () => decodeMetadata('k', 4, Buffer.of(1, 0, 0), 2)],
  ['more distinct values than rows', () => decodeMetadata('k', 8, Buffer.of(1, 2, 1, 1, 97, 98), 2)],
  ['an unknown metadata layout', () => decodeMetadata('k', 5, Buffer.of(1, 1, 1, 1, 97), 2)],
];
for (const [what, decode] of refused) test(`refused: ${what}`, () => assert.throws(decode, RangeError));

for (const seed of seeds(20)) {
  test(`no bytes make a decoder fail otherwise or hang, seed ${seed}`, () => {
    const next = random(seed);
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(Array.from({ length: Math.floor(next() * 40) }, () => Math.floor(next() * (next() < 0.5 ? 256 : 10))));
      const rows = 1 + Math.floor(next() * 20);
      const layout = Math.floor(next() * 10);
      for (const decode of [
        () => decodeTimes(bytes, rows, 0),
        () => decodeEnds(layout, bytes, rows, 30),
        () => decodeMetadata('k', layout, bytes, rows),
      ]) {
        try {
          decode();
        } catch (error) {
          assert.ok(error instanceof RangeError, `${error}`);
        }
      }
    }
  });
}
