import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunkId, cutBlocks } from '../../../storage/chunk/chunk.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { MemoryBlock } from '../../../storage/chunk/memory-block.ts';
import { batchesOf, batchOf, HOUR, HOUR_START_NS, LABELS, type PlainRow, random, randomRows, rowsOf, seeds } from './rows.ts';

const MIB = 1024 * 1024;
const row = (ns: number, line: string, metadata: Record<string, string> = {}): PlainRow => ({
  time: HOUR_START_NS + BigInt(ns),
  line,
  metadata,
});
const many = (count: number, make: (number: number) => PlainRow): PlainRow[] => Array.from({ length: count }, (_, number) => make(number));

function blockOf(rows: readonly PlainRow[]): MemoryBlock {
  const head = new Head(HOUR);
  head.append(batchOf(rows));
  return head.block();
}

const cuts: [what: string, rows: PlainRow[], blocks: number][] = [
  ['a small stream stays whole', many(10, (number) => row(number, 'x'.repeat(1000))), 1],
  ['exactly one MiB stays whole', many(1024, (number) => row(number, 'x'.repeat(1024))), 1],
  ['a byte more is halved', [...many(1024, (number) => row(number, 'x'.repeat(1024))), row(2000, 'y')], 2],
  ['a line is never split', many(3, (number) => row(number, 'x'.repeat(2 * MIB))), 3],
  ['a long line among short ones', [...many(100, (number) => row(number, 'x')), row(200, 'y'.repeat(3 * MIB)), row(300, 'z')], 3],
  ['empty lines are cut by rows', many(100_000, (number) => row(number, '')), 2],
  ['heavy metadata counts', many(600, (number) => row(number, 'x', { big: `${number}`.padEnd(10_000, 'm') })), 2],
];
for (const [what, rows, count] of cuts) {
  test(`blocks: ${what}`, () => {
    const block = blockOf(rows);
    const blocks = [...cutBlocks(block)];
    assert.equal(blocks.length, count);
    assert.deepEqual(blocks.flatMap(rowsOf), rowsOf(block));
  });
}

test('blocks of a large stream are of even size', () => {
  const blocks = [...cutBlocks(blockOf(many(30_000, (number) => row(number, 'x'.repeat(50 + (number % 150))))))];
  const sizes = blocks.map(({ lineBytes }) => lineBytes);
  assert.ok(sizes.length > 2 && sizes.every((size) => size <= MIB && size > 0.9 * Math.max(...sizes)), `${sizes}`);
});

for (const seed of seeds(20)) {
  test(`a chunk's id does not depend on how its rows arrived, seed ${seed}`, () => {
    const next = random(seed);
    const rows = randomRows(next, 150).map((plain, number) => ({ ...plain, line: `${plain.line}#${plain.time}#${number % 50}` }));
    const head = new Head(HOUR);
    for (const batch of batchesOf(
      next,
      [...rows].sort((a, b) => Number(a.time - b.time)),
    ))
      head.append(batch);
    const other = new Head(HOUR);
    for (const batch of batchesOf(next, [...rowsOf(head.block()), ...rows])) other.append(batch);
    assert.equal(chunkId('t', LABELS, other.block()), chunkId('t', LABELS, head.block()));
  });
}

test('a chunk’s id depends on everything that it stands for', () => {
  const base = [row(1, 'ab', { k: 'v', l: 'w' }), row(2, 'c')];
  const ids = [
    chunkId('t', LABELS, blockOf(base)),
    chunkId('u', LABELS, blockOf(base)),
    chunkId('t', '{app="b"}', blockOf(base)),
    chunkId('t', LABELS, blockOf([row(1, 'ab', { k: 'v', l: 'w' }), row(3, 'c')])),
    chunkId('t', LABELS, blockOf([row(1, 'a', { k: 'v', l: 'w' }), row(2, 'bc')])),
    chunkId('t', LABELS, blockOf([row(1, 'ab', { k: 'v' }), row(2, 'c', { l: 'w' })])),
    chunkId('t', LABELS, blockOf([row(1, 'ab', { k: 'w', l: 'v' }), row(2, 'c')])),
    chunkId(
      't',
      LABELS,
      blockOf(
        base.map((plain) => ({ ...plain, time: plain.time + 3_600_000_000_000n })).map((plain) => ({ ...plain, time: plain.time - 1n })),
      ),
    ),
  ];
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => /^[0-9a-f]{32}$/.test(id)));
});
