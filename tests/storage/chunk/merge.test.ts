import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { MemoryBlock } from '../../../storage/chunk/memory-block.ts';
import { mergeBlocks, mergeInWindows } from '../../../storage/chunk/merge.ts';
import { isFault } from '../../support/checks.ts';
import { batchOf, HOUR, HOUR_START_NS, type PlainRow, random, randomRows, rowsOf, seeds, sortedUnique } from './rows.ts';

function blockOf(rows: readonly PlainRow[]): MemoryBlock {
  const head = new Head(Number(rows[0].time / BigInt(HOUR_NS)));
  head.append(batchOf(rows));
  return head.block();
}

for (const seed of seeds(100)) {
  test(`blocks merge as their rows would, seed ${seed}`, () => {
    const next = random(seed);
    const common = randomRows(next, 40);
    const sources = Array.from({ length: 1 + Math.floor(next() * 5) }, () => {
      const rows = next() < 0.2 ? randomRows(next, 50, HOUR + 1) : [...randomRows(next, 30), ...common.filter(() => next() < 0.5)];
      return sortedUnique(rows);
    });
    const blocks = sources.map(blockOf);
    const baseNs = blocks.map((block) => block.baseNs).sort((a, b) => (a < b ? -1 : 1))[0];
    const all = sources.flat();
    const merged = mergeBlocks(blocks);
    assert.equal(merged.baseNs, baseNs);
    assert.deepEqual(rowsOf(merged), sortedUnique(all));
    assert.equal(merged.duplicates, all.length - merged.rows);
    const [from, to] = [Math.floor(next() * HOUR_NS), Math.floor(next() * 2 * HOUR_NS)].sort((a, b) => a - b);
    const inRange = all.filter(({ time }) => time >= baseNs + BigInt(from) && time < baseNs + BigInt(to));
    assert.deepEqual(rowsOf(mergeBlocks(blocks, from, to)), sortedUnique(inRange));
    for (const windowBytes of [1, 1_000, 1_000_000]) {
      const windows = [...mergeInWindows(blocks, false, { windowBytes, instantBytes: 1_000_000 })];
      assert.deepEqual(windows.flatMap(rowsOf), sortedUnique(all));
      assert.equal(windows.length === 1, windowBytes === 1_000_000 || new Set(all.map(({ time }) => time)).size === 1);
      assert.equal(
        windows.reduce((sum, { duplicates }) => sum + duplicates, 0),
        merged.duplicates,
      );
      const backward = [...mergeInWindows(blocks, true, { windowBytes, instantBytes: 1_000_000 })];
      assert.deepEqual(backward.reverse().map(rowsOf), windows.map(rowsOf));
    }
  });
}

test('entries of one time that do not fit in memory together are refused', () => {
  const blocks = [0, 1].map((number) =>
    blockOf([0, 1].map((row) => ({ time: HOUR_START_NS, line: `${number} ${row}`, metadata: { [`key-${number}-${row}`]: 'x' } }))),
  );
  assert.equal([...mergeInWindows(blocks, false, { windowBytes: 1, instantBytes: 200 })].length, 1);
  assert.throws(() => [...mergeInWindows(blocks, false, { windowBytes: 1, instantBytes: 100 })], isFault('limit_exceeded'));
});

test('a block merged with itself is itself', () => {
  const block = blockOf(sortedUnique(randomRows(random(7), 200)));
  const merged = mergeBlocks([block, block, block]);
  assert.deepEqual(rowsOf(merged), rowsOf(block));
  assert.equal(merged.duplicates, 2 * block.rows);
});

test('nothing merged is an empty block that overlaps nothing', () => {
  const none = mergeBlocks([blockOf([{ time: HOUR_START_NS, line: 'x', metadata: {} }])], 1, 2);
  assert.deepEqual([none.rows, none.minOffset, none.maxOffset, none.lineBytes], [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]);
  assert.equal(mergeBlocks([]).rows, 0);
});
