import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch } from '../../../storage/batch/batch.ts';
import { splitBatch } from '../../../storage/batch/split.ts';
import { numbers } from '../../support/checks.ts';
import { batchOf, HOUR, HOUR_START_NS, LABELS, type PlainRow, pick, random, randomRows, seeds } from '../chunk/rows.ts';

/** What each row says. */
function rowsIn(batch: Batch): PlainRow[] {
  const [times, ends, lines, metadata] = [batch.times(), batch.ends(), batch.lines(), batch.metadata()];
  return Array.from(times, (time, row) => ({
    time: HOUR_START_NS + BigInt(time),
    line: lines.toString('utf8', row === 0 ? 0 : ends[row - 1], ends[row]),
    metadata: Object.fromEntries(
      metadata.filter(({ index }) => index[row] > 0).map(({ key, values, index }) => [key, values[index[row] - 1]]),
    ),
  }));
}

/** The pieces, of which each has at most so many bytes or one row, and which together are the batch. */
function piecesOf(batch: Batch, mostBytes: number): Batch[] {
  const wanted = rowsIn(batch);
  const pieces = splitBatch(batch, mostBytes).map((bytes) => new Batch(bytes));
  for (const piece of pieces) {
    assert.ok(piece.bytes.length <= mostBytes || piece.rows === 1, `${piece.rows} rows of ${piece.bytes.length} bytes, not ${mostBytes}`);
    assert.deepEqual([piece.labels(), piece.hash, piece.hour], [batch.labels(), batch.hash, batch.hour]);
  }
  assert.deepEqual(pieces.flatMap(rowsIn), wanted);
  const sum = (of: (piece: Batch) => number): number => pieces.reduce((total, piece) => total + of(piece), 0);
  assert.deepEqual([sum(({ lineBytes }) => lineBytes), sum(({ metadataBytes }) => metadataBytes)], [batch.lineBytes, batch.metadataBytes]);
  return pieces;
}

const row = (number: number, line: string, metadata: Record<string, string> = {}): PlainRow => ({
  time: HOUR_START_NS + BigInt(number),
  line,
  metadata,
});
const even = batchOf(numbers(1_000).map((number) => row(number, `line ${String(number).padStart(95)}`, { level: 'info' })));

test('a batch that is small enough is returned as it is', () => {
  const { length } = even.bytes;
  assert.deepEqual(
    [length, length + 1].map((most) => splitBatch(even, most).map((bytes) => bytes === even.bytes)),
    [[true], [true]],
  );
  assert.ok(piecesOf(even, length - 1).length > 1);
});

test('a batch of one row is returned as it is, however large it is', () => {
  const one = batchOf([row(0, 'x'.repeat(5_000), { level: 'info' })]);
  for (const most of [4_000, 1, 0])
    assert.deepEqual(
      splitBatch(one, most).map((bytes) => bytes === one.bytes),
      [true],
    );
});

test('there are not many more pieces than there have to be', () => {
  for (const parts of [2, 3, 10]) {
    const pieces = piecesOf(even, Math.ceil(even.bytes.length / parts));
    assert.ok(pieces.length >= parts && pieces.length <= 2 * parts, `${pieces.length} pieces, not ${parts}`);
  }
});

test('two rows that do not fit together are two pieces', () => {
  const two = batchOf([row(0, 'a'.repeat(100)), row(1, 'b'.repeat(100))]);
  assert.deepEqual(
    piecesOf(two, two.bytes.length - 8).map(({ rows }) => rows),
    [1, 1],
  );
});

test('with less room than a row has, every row is a piece', () => {
  const few = batchOf(numbers(17).map((number) => row(number, `${number}`)));
  for (const most of [100, 0, -50]) assert.equal(piecesOf(few, most).length, 17);
});

const LARGE = 'y'.repeat(30_000);
const lengths: [what: string, rows: PlainRow[]][] = [
  ['the first one is large', [row(0, LARGE), ...numbers(300).map((number) => row(number, `${number}`))]],
  ['the last one is large', [...numbers(300).map((number) => row(number, `${number}`)), row(300, LARGE)]],
  ['one in the middle is large', numbers(301).map((number) => row(number, number === 150 ? LARGE : `${number}`))],
  ['large ones among many without a line', numbers(500).map((number) => row(number, number % 83 === 0 ? LARGE : ''))],
  ['they grow', numbers(200).map((number) => row(number, 'z'.repeat(number * 10)))],
  ['some have large metadata', numbers(300).map((number) => row(number, '', number % 50 === 7 ? { stack: LARGE, level: 'warn' } : {}))],
  ['each has metadata of its own', numbers(700).map((number) => row(number, `${number}`, { trace: `trace ${number}`, empty: '' }))],
];
for (const [what, rows] of lengths) {
  test(`rows of different lengths: ${what}`, () => {
    const batch = batchOf(rows);
    for (const most of [1_000, 5_000, 29_000, 31_000]) piecesOf(batch, most);
  });
}

test('times go backwards in the pieces where they did in the batch', () => {
  const times = [5, 5, 9, 3, 8, 8, 1, 2];
  const batch = batchOf(times.map((time) => row(time, 'x'.repeat(200))));
  const pieces = piecesOf(batch, 400);
  assert.deepEqual(
    pieces.flatMap((piece) => [...piece.times()]),
    times,
  );
  for (const piece of pieces) {
    const own = [...piece.times()];
    assert.deepEqual([piece.minOffset, piece.maxOffset], [Math.min(...own), Math.max(...own)]);
    assert.equal(
      piece.ordered,
      own.every((time, at) => at === 0 || time >= own[at - 1]),
    );
  }
});

test('a batch that stands between others is split as one alone is, and stays as it was', () => {
  const alone = batchOf(numbers(100).map((number) => row(number, `line ${number}`, { level: 'info' })));
  const among = Buffer.concat([Buffer.from('12345'), alone.bytes, alone.bytes]);
  const before = Buffer.from(among);
  const batch = new Batch(among, 5);
  assert.deepEqual(splitBatch(batch, 1_000), splitBatch(alone, 1_000));
  assert.ok(among.equals(before));
});

test('long labels are in every piece', () => {
  const labels = `{app="${'a'.repeat(2_000)}"}`;
  const batch = batchOf(
    numbers(50).map((number) => row(number, 'x'.repeat(100))),
    labels,
  );
  assert.ok(piecesOf(batch, 3_000).length > 5);
});

for (const seed of seeds(30)) {
  test(`random batches of random sizes, seed ${seed}`, () => {
    const next = random(seed);
    const rows = randomRows(next, 1 + Math.floor(next() * pick(next, [5, 100, 1_500])));
    if (next() < 0.3) rows.push({ time: rows[0].time, line: 'long '.repeat(4_000), metadata: {} });
    const batch = batchOf(rows, LABELS);
    assert.equal(batch.hour, HOUR);
    for (const _ of numbers(5)) piecesOf(batch, 200 + Math.floor(next() * pick(next, [300, 3_000, batch.bytes.length])));
  });
}
