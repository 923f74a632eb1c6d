import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Head } from '../../../storage/chunk/head.ts';
import { fromHeadSlice, type HeadSlice, type MemoryBlock, ownBytes, rowsWithin, toHeadSlice } from '../../../storage/chunk/memory-block.ts';
import { batchOf, expectedSummary, HOUR, HOUR_START_NS, type PlainRow, random, randomRows, rowsOf, seeds, summaryOf } from './rows.ts';

function randomBlock(seed: number): MemoryBlock {
  const head = new Head(HOUR);
  head.append(batchOf(randomRows(random(seed), 200)));
  return head.block();
}

for (const seed of seeds(30)) {
  test(`a slice holds its rows and canonical metadata, seed ${seed}`, () => {
    const block = randomBlock(seed);
    const next = random(seed);
    const from = Math.floor(next() * block.rows);
    const to = from + 1 + Math.floor(next() * (block.rows - from));
    const slice = block.slice(from, to);
    const rows = rowsOf(block).slice(from, to);
    assert.deepEqual(rowsOf(slice), rows);
    assert.deepEqual(summaryOf(slice), expectedSummary(rows, HOUR_START_NS));
    const again = new Head(HOUR);
    again.append(batchOf(rows));
    assert.deepEqual(slice.metadata(), again.block().metadata());
  });

  test(`a head slice survives a trip that moves its frames, seed ${seed}`, () => {
    const block = randomBlock(seed);
    const slice = toHeadSlice(block);
    const moved = (frame: Uint8Array, by: number): Uint8Array => Buffer.concat([Buffer.alloc(by), frame]).subarray(by);
    const arrived: HeadSlice = {
      ...slice,
      times: moved(slice.times, 3),
      ends: moved(slice.ends, 1),
      lines: new Uint8Array(slice.lines),
      metadata: slice.metadata.map((column) => ({ ...column, index: moved(column.index, 1) })),
    };
    const revived = fromHeadSlice(arrived);
    assert.deepEqual(rowsOf(revived), rowsOf(block));
    assert.deepEqual(summaryOf(revived), summaryOf(block));
  });
}

test('rows within a range of times', () => {
  const head = new Head(HOUR);
  head.append(batchOf([10, 20, 20, 30].map((ns, number) => ({ time: HOUR_START_NS + BigInt(ns), line: `${number}`, metadata: {} }))));
  const block = head.block();
  const within = (from: number, to: number): number[] => {
    const rows = rowsWithin(block, HOUR_START_NS + BigInt(from), HOUR_START_NS + BigInt(to));
    return [rows.from, rows.to];
  };
  assert.deepEqual(within(0, 100), [0, 4]);
  assert.deepEqual(within(20, 30), [1, 3]);
  assert.deepEqual(within(11, 20), [1, 1]);
  assert.deepEqual(within(31, 40), [4, 4]);
  assert.deepEqual(rowsWithin(block, 0n, 2n ** 63n), { from: 0, to: 4 });
});

test('a slice counts what is not shared with its head: short columns, and metadata', () => {
  const row = (index: number): PlainRow => ({
    time: HOUR_START_NS + BigInt(index),
    line: 'x'.repeat(10),
    metadata: { id: `i${index % 2}` },
  });
  const sliceOf = (rows: number): HeadSlice => {
    const head = new Head(HOUR);
    head.append(batchOf(Array.from({ length: rows }, (_, index) => row(index))));
    const slice = head.slice(0, 1_000_000);
    assert.ok(slice);
    return toHeadSlice(slice);
  };
  const values = 2 * ('i0'.length + 24);
  assert.equal(ownBytes(sliceOf(10)), 10 * (8 + 4 + 10) + 10 + values);
  assert.equal(ownBytes(sliceOf(4_096)), 4_096 + values);
});
