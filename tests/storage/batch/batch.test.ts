import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { MetadataColumn } from '../../../logql/model.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { Batch, BatchBuilder, batchesIn, HOUR_NS, shardOf, streamHash } from '../../../storage/batch/batch.ts';

interface Row {
  offset: number;
  line: string;
  metadata?: Record<string, string>;
}

const LABELS = '{app="checkout", city="Zürich"}';
const HOUR = 473_364;

function build(rows: readonly Row[], reserve?: { rows: number; lineBytes: number }): Buffer {
  const builder = new BatchBuilder(LABELS, streamHash('fake', LABELS), HOUR, reserve);
  for (const { offset, line, metadata } of rows) {
    const bytes = Buffer.from(`<${line}>`);
    builder.add(offset, bytes, 1, bytes.length - 1);
    for (const [key, value] of Object.entries(metadata ?? {})) builder.metadata(key, value);
  }
  return builder.finish();
}

function valueAt({ values, index }: MetadataColumn, row: number): string | undefined {
  return index[row] === 0 ? undefined : values[index[row] - 1];
}

function rowsOf(batch: Batch): Row[] {
  const [times, ends, lines, columns] = [batch.times(), batch.ends(), batch.lines(), batch.metadata()];
  return Array.from({ length: batch.rows }, (_, row) => {
    const pairs = columns.flatMap((column) => {
      const value = valueAt(column, row);
      return value === undefined ? [] : [[column.key, value]];
    });
    const line = lines.toString('utf8', row === 0 ? 0 : ends[row - 1], ends[row]);
    return { offset: times[row], line, ...(pairs.length === 0 ? {} : { metadata: Object.fromEntries(pairs) }) };
  });
}

const GOLDEN_ROWS: Row[] = [
  { offset: 0, line: 'first', metadata: { detected_level: 'info', trace: 'a1' } },
  { offset: 1_234_567_890, line: '', metadata: { detected_level: 'unknown' } },
  { offset: 1_234_567_890, line: 'naïve ☕', metadata: { detected_level: 'info', trace: 'ü' } },
  { offset: HOUR_NS - 1, line: 'last' },
];

const cases: [what: string, rows: Row[]][] = [
  ['one row', [{ offset: 5, line: 'x' }]],
  [
    'empty lines',
    [
      { offset: 5, line: '' },
      { offset: 5, line: '' },
    ],
  ],
  ['the golden rows', GOLDEN_ROWS],
  ['300 values of one key', Array.from({ length: 300 }, (_, n) => ({ offset: n, line: `${n}`, metadata: { id: `v${n}` } }))],
  ['70,000 values of one key', Array.from({ length: 70_000 }, (_, n) => ({ offset: n, line: '', metadata: { id: `${n}` } }))],
  [
    'a key that comes late',
    [...Array.from({ length: 50 }, (_, n) => ({ offset: n, line: 'x' })), { offset: 60, line: 'y', metadata: { k: 'v' } }],
  ],
];
for (const [what, rows] of cases) {
  test(`batch: ${what} read back as they were`, () => {
    const bytes = build(rows);
    const batch = new Batch(bytes);
    assert.deepEqual(rowsOf(batch), rows);
    assert.equal(bytes.length % 8, 0);
    assert.equal(bytes.byteLength, bytes.buffer.byteLength); // may be transferred
    assert.equal(batch.labels(), LABELS);
    assert.equal(batch.hour, HOUR);
    assert.equal(batch.hash, streamHash('fake', LABELS));
    const metadataBytes = rows.flatMap(({ metadata }) =>
      Object.entries(metadata ?? {}).map(([key, value]) => Buffer.byteLength(key + value)),
    );
    assert.equal(
      batch.metadataBytes,
      metadataBytes.reduce((sum, size) => sum + size, 0),
    );
    assert.equal(
      batch.lineBytes,
      rows.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0),
    );
  });
}

test('batch: room that was reserved changes nothing', () => {
  assert.deepEqual(build(GOLDEN_ROWS, { rows: 0, lineBytes: 0 }), build(GOLDEN_ROWS, { rows: 1_000, lineBytes: 100_000 }));
});

test('batch: bounds and order', () => {
  const summary = (offsets: number[]): (number | boolean)[] => {
    const { minOffset, maxOffset, ordered, ascending } = new Batch(build(offsets.map((offset) => ({ offset, line: 'x' }))));
    return [minOffset, maxOffset, ordered, ascending];
  };
  assert.deepEqual(summary([1, 2, 3]), [1, 3, true, true]);
  assert.deepEqual(summary([1, 2, 2]), [1, 2, true, false]);
  assert.deepEqual(summary([2, 1, 3]), [1, 3, false, false]);
});

test('batch: a key given twice keeps its last value and counts once', () => {
  const builder = new BatchBuilder(LABELS, streamHash('fake', LABELS), HOUR);
  builder.add(0, Buffer.from('x'), 0, 1);
  builder.metadata('k', 'long value');
  builder.metadata('k', 'v');
  const batch = new Batch(builder.finish());
  assert.equal(valueAt(batch.metadata()[0], 0), 'v');
  assert.equal(batch.metadataBytes, 2);
});

test('batch: many keys in few rows are sparse, a few keys in every row are not', () => {
  const sparse = (keysOf: (row: number) => string[]): boolean => {
    const builder = new BatchBuilder(LABELS, streamHash('fake', LABELS), HOUR);
    for (let row = 0; row < 2_000; row++) {
      builder.add(row, Buffer.from('x'), 0, 1);
      for (const key of keysOf(row)) builder.metadata(key, 'v');
      if (builder.sparse) return true;
    }
    return false;
  };
  assert.equal(
    sparse((row) => [`k${row}`]),
    true,
  );
  assert.equal(
    sparse((row) => (row === 0 ? Array.from({ length: 100 }, (_, n) => `k${n}`) : [])),
    true,
  );
  assert.equal(
    sparse(() => ['a', 'b', 'c']),
    false,
  );
  assert.equal(
    sparse(() => []),
    false,
  );
});

test('batches one after the other', () => {
  const whole = Buffer.concat([build(GOLDEN_ROWS), build([{ offset: 1, line: 'x' }])]);
  assert.deepEqual([...batchesIn(whole)].map(rowsOf), [GOLDEN_ROWS, [{ offset: 1, line: 'x' }]]);
});

test('batch: bytes that are none are corrupt', () => {
  const bytes = build(GOLDEN_ROWS);
  const corrupt = (change: (copy: Buffer) => Buffer): void => {
    const read = (): unknown => new Batch(change(Buffer.from(bytes))).metadata();
    assert.throws(read, (error: unknown) => error instanceof Fault && error.code === 'corrupt');
  };
  const columnAt = bytes.indexOf('trace') - 24 - 2 * 4; // its header, and the ends of its two values
  corrupt((copy) => copy.subarray(0, 40));
  corrupt((copy) => copy.subarray(0, copy.length - 8));
  corrupt((copy) => copy.fill(0, 0, 4));
  corrupt((copy) => copy.fill(0, 8, 12));
  corrupt((copy) => copy.fill(0xff, 44, 48));
  corrupt((copy) => copy.fill(0xff, columnAt, columnAt + 4));
  corrupt((copy) => copy.fill(3, columnAt + 4, columnAt + 5));
  corrupt((copy) => copy.fill(0xff, columnAt + 8, columnAt + 12));
});

test('shards: every one gets its part, by the hash alone', () => {
  const counts = [0, 0, 0];
  for (let n = 0; n < 3_000; n++) counts[shardOf(streamHash('fake', `{n="${n}"}`), 3)]++;
  assert.ok(
    counts.every((count) => count > 900 && count < 1_100),
    counts.join(),
  );
});

test('golden batch, version 1: read, and written the same', () => {
  const golden = readFileSync(new URL('../../golden/batch/v1/batch.bin', import.meta.url));
  assert.deepEqual(rowsOf(new Batch(golden)), GOLDEN_ROWS);
  assert.equal(build(GOLDEN_ROWS).toString('hex'), golden.toString('hex'));
});
