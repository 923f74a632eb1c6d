import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { type BlockHeader, ReadMeter, readBlockHeader, StoredBlock, writeBlock, writeBlockHeader } from '../../../storage/chunk/block.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { MemoryBlock } from '../../../storage/chunk/memory-block.ts';
import { batchOf, HOUR, HOUR_START_NS, type PlainRow, random, randomRows, rowsOf, seeds, summaryOf } from './rows.ts';

function blockOf(rows: readonly PlainRow[]): MemoryBlock {
  const head = new Head(HOUR);
  head.append(batchOf(rows));
  return head.block();
}

function stored(block: MemoryBlock): { header: BlockHeader; bytes: Buffer; headerBytes: Buffer } {
  const parts: Buffer[] = [];
  const header = writeBlock(block, (bytes) => parts.push(Buffer.from(bytes)), 3);
  const out = new ByteWriter();
  writeBlockHeader(out, header);
  return { header, bytes: Buffer.concat(parts), headerBytes: Buffer.from(out.view()) };
}

const isCorrupt = (error: unknown): boolean => error instanceof Fault && error.code === 'corrupt';

for (const seed of seeds(100)) {
  test(`a stored block reads back as it was, seed ${seed}`, () => {
    const next = random(seed);
    const block = blockOf(randomRows(next, 1 + Math.floor(next() * 500)));
    const { header, bytes, headerBytes } = stored(block);
    const reader = new ByteReader(headerBytes);
    assert.deepEqual(readBlockHeader(reader), header);
    assert.equal(reader.left, 0);
    const read = new StoredBlock(header, bytes, block.baseNs);
    assert.deepEqual(summaryOf(read), summaryOf(block));
    assert.deepEqual(rowsOf(read), rowsOf(block));
    assert.deepEqual(read.metadata(), block.metadata());
  });
}

const row = (ns: number, line: string, metadata: Record<string, string> = {}): PlainRow => ({
  time: HOUR_START_NS + BigInt(ns),
  line,
  metadata,
});
const many = (count: number, make: (number: number) => PlainRow): PlainRow[] => Array.from({ length: count }, (_, number) => make(number));
const shapes: [what: string, rows: PlainRow[]][] = [
  ['one empty line', [row(0, '')]],
  ['one row at the hour’s end', [row(3_599_999_999_999, 'x')]],
  ['only empty lines', many(100, (number) => row(number, ''))],
  ['lines from empty to beyond 64 KiB', [row(1, ''), row(2, 'a'.repeat(70_000)), row(3, 'b')]],
  ['lines longer by more than 255', many(50, (number) => row(number, 'c'.repeat(number * 20)))],
  ['times a nanosecond and an hour apart', [row(0, 'a'), row(1, 'b'), row(3_599_999_999_999, 'c')]],
  ['times in whole seconds', many(60, (number) => row(number * 1e9, 'x'))],
  ['one metadata value everywhere', many(50, (number) => row(number, 'x', { level: 'info' }))],
  ['an empty metadata value everywhere', many(50, (number) => row(number, 'x', { empty: '' }))],
  ['a metadata value of its own in each row', many(300, (number) => row(number, 'x', { trace: `id-${number}` }))],
  ['a value of its own in some rows', many(300, (number) => row(number, 'x', number % 3 === 0 ? { trace: `ïd-${number}` } : {}))],
  ['255 values', many(1000, (number) => row(number, 'x', { user: `${number % 255}` }))],
  ['256 values', many(1000, (number) => row(number, 'x', { user: `${number % 256}` }))],
  ['66,000 values, some twice', many(66_010, (number) => row(number, '', { user: `${number % 66_000}` }))],
];
for (const [what, rows] of shapes) {
  test(`stored and read: ${what}`, () => {
    const block = blockOf(rows);
    const { header, bytes } = stored(block);
    const read = new StoredBlock(header, bytes, block.baseNs);
    assert.deepEqual(rowsOf(read), rowsOf(block));
    assert.deepEqual(read.metadata(), block.metadata());
  });
}

test('regular times and repeated values cost next to nothing', () => {
  const { header } = stored(blockOf(many(10_000, (number) => row(number * 15_000_000, `line ${number % 7}`, { level: 'info' }))));
  assert.ok(header.times.storedBytes < 40, `${header.times.storedBytes}`);
  assert.ok(header.ends.storedBytes < 8, `${header.ends.storedBytes}`);
  assert.equal(header.metadata[0].column.storedBytes, 4);
});

test('a column is read when it is asked for, once', () => {
  const block = blockOf(many(1000, (number) => row(number * 7, `some line ${number}`)));
  const { header, bytes } = stored(block);
  const meter = new ReadMeter({ nowMs: () => 0, monotonicMs: () => 0 });
  const read = new StoredBlock(header, bytes, block.baseNs, meter);
  assert.equal(meter.rawBytes, 0);
  assert.equal(read.lines(), read.lines());
  assert.deepEqual([meter.storedBytes, meter.rawBytes], [header.lines.storedBytes, block.lineBytes]);
  read.ends();
  assert.deepEqual(
    [meter.storedBytes, meter.rawBytes],
    [header.lines.storedBytes + header.ends.storedBytes, block.lineBytes + header.ends.rawBytes],
  );
});

test('any changed byte is noticed by the column that it is in', () => {
  const block = blockOf(randomRows(random(3), 60));
  const { header, bytes } = stored(block);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] ^= 1 << (at % 8);
    assert.throws(() => rowsOf(new StoredBlock(header, damaged, block.baseNs)), isCorrupt, `byte ${at}`);
  }
  assert.throws(() => new StoredBlock(header, bytes.subarray(1), block.baseNs), isCorrupt);
});

test('a header of other bytes is refused or describes columns that are', () => {
  const block = blockOf(randomRows(random(4), 60));
  const { bytes, headerBytes } = stored(block);
  for (let at = 0; at < headerBytes.length; at++) {
    for (const bit of [0, 3, 7]) {
      const damaged = Buffer.from(headerBytes);
      damaged[at] ^= 1 << bit;
      try {
        const header = readBlockHeader(new ByteReader(damaged));
        rowsOf(new StoredBlock(header, bytes, block.baseNs));
      } catch (error) {
        assert.ok(error instanceof RangeError || isCorrupt(error), `byte ${at}: ${error}`);
      }
    }
  }
});
