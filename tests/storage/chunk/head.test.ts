import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { MemoryBlock } from '../../../storage/chunk/memory-block.ts';
import {
  batchesOf,
  batchOf,
  expectedSummary,
  HOUR,
  HOUR_START_NS,
  type PlainRow,
  random,
  randomRows,
  rowsOf,
  seeds,
  sortedUnique,
  summaryOf,
} from './rows.ts';

for (const seed of seeds(150)) {
  test(`a head gives out what a plain sort would, whenever it is asked, seed ${seed}`, () => {
    const next = random(seed);
    const rows = randomRows(next, 1 + Math.floor(next() * 300));
    const head = new Head(HOUR);
    const givenOut: [block: MemoryBlock, rows: PlainRow[]][] = [];
    let arrived = 0;
    for (const batch of batchesOf(next, rows)) {
      head.append(batch);
      arrived += batch.rows;
      if (next() < 0.3) {
        const block = head.block();
        givenOut.push([block, rowsOf(block)]);
        assert.deepEqual(rowsOf(block), sortedUnique(rows.slice(0, arrived)));
      }
      if (next() < 0.3) {
        const from = Math.floor(next() * HOUR_NS);
        const to = from + Math.floor(next() * HOUR_NS);
        const expected = sortedUnique(rows.slice(0, arrived)).filter(
          ({ time }) => time >= HOUR_START_NS + BigInt(from) && time < HOUR_START_NS + BigInt(to),
        );
        const slice = head.slice(from, to);
        assert.deepEqual(slice === undefined ? [] : rowsOf(slice), expected);
        if (slice !== undefined) {
          assert.deepEqual(summaryOf(slice), expectedSummary(expected, HOUR_START_NS));
          givenOut.push([slice, expected]);
        }
      }
    }
    const block = head.block();
    const expected = sortedUnique(rows);
    assert.deepEqual(rowsOf(block), expected);
    assert.deepEqual(summaryOf(block), expectedSummary(expected, HOUR_START_NS));
    assert.equal(block.duplicates, rows.length - expected.length);
    assert.equal(head.rows, expected.length);
    for (const [earlier, before] of givenOut) assert.deepEqual(rowsOf(earlier), before, 'a block given out has changed');
  });
}

const at = (ms: number, line: string, metadata: Record<string, string> = {}): PlainRow => ({
  time: HOUR_START_NS + BigInt(ms) * 1_000_000n,
  line,
  metadata,
});

test('equal times keep the order of arrival, across batches too', () => {
  const head = new Head(HOUR);
  head.append(batchOf([at(5, 'b'), at(5, 'a')]));
  head.append(batchOf([at(1, 'first'), at(5, 'c'), at(5, 'a')]));
  assert.deepEqual(
    rowsOf(head.block()).map(({ line }) => line),
    ['first', 'b', 'a', 'c'],
  );
});

test('entries that differ in metadata only are not duplicates', () => {
  const head = new Head(HOUR);
  head.append(batchOf([at(1, 'x', { a: '1' }), at(1, 'x', { a: '2' }), at(1, 'x'), at(1, 'x', { b: '1' }), at(1, 'x', { a: '1' })]));
  assert.equal(head.block().rows, 4);
});

test('lines of one length that differ only in front are not duplicates', () => {
  const head = new Head(HOUR);
  const tail = ' and then much the same text';
  head.append(batchOf([at(1, `a${tail}`), at(1, `b${tail}`), at(1, `a${tail}`)]));
  assert.equal(head.block().rows, 2);
});

test('many rows at one time are freed of duplicates without comparing all pairs', () => {
  const rows = Array.from({ length: 40_000 }, (_, number) => at(7, `line ${number % 20_000}`, number % 2 === 0 ? { even: 'yes' } : {}));
  const head = new Head(HOUR);
  head.append(batchOf(rows));
  const block = head.block();
  assert.equal(block.rows, 20_000);
  assert.equal(block.duplicates, 20_000);
});

test('an empty head', () => {
  const head = new Head(HOUR);
  assert.equal(head.slice(0, HOUR_NS), undefined);
  assert.deepEqual([head.rows, head.lineBytes, head.bytes, head.block().rows], [0, 0, 0, 0]);
});

test('a head counts the memory that it holds', () => {
  const head = new Head(HOUR);
  head.append(batchOf(Array.from({ length: 100 }, (_, ms) => at(ms, 'z'.repeat(100), { level: 'info' }))));
  assert.ok(head.bytes >= 100 * (100 + 8 + 4 + 4) && head.bytes < 4 * 100 * 116, `${head.bytes}`);
});

test('long columns are in shared memory once a slice was given out, and stay as they were', () => {
  const rowsFrom = (first: number, count: number): PlainRow[] =>
    Array.from({ length: count }, (_, index) => at(first + index, `line ${first + index} ${'x'.repeat(40)}`));
  const shared = (block: MemoryBlock): boolean[] =>
    [block.times(), block.ends(), block.lines()].map(({ buffer }) => buffer instanceof SharedArrayBuffer);
  const head = new Head(HOUR);
  head.append(batchOf(rowsFrom(0, 2_500)));
  const whole = head.block();
  assert.deepEqual(shared(whole), [false, false, false]);
  const slice = head.slice(0, HOUR_NS);
  assert.ok(slice);
  assert.deepEqual(shared(slice), [true, true, true]);
  head.append(batchOf(rowsFrom(10_000, 4_000)));
  head.append(batchOf(rowsFrom(500, 2_500))); // goes between what is there, and repeats some of it
  const later = head.slice(0, HOUR_NS);
  assert.ok(later);
  assert.deepEqual(shared(later), [true, true, true]);
  head.free();
  for (const block of [whole, slice]) assert.deepEqual(rowsOf(block), rowsFrom(0, 2_500));
  assert.deepEqual(rowsOf(later), [...rowsFrom(0, 3_000), ...rowsFrom(10_000, 4_000)]);
});

test('short columns are never shared: they travel as copies', () => {
  const head = new Head(HOUR);
  head.append(batchOf([at(1, 'a')]));
  const slice = head.slice(0, HOUR_NS);
  assert.ok(slice?.lines().buffer instanceof ArrayBuffer);
});
