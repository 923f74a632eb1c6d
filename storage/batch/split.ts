import { Batch, BatchBuilder } from './batch.ts';

/** The batch as several, of which each has at most `mostBytes` unless it is of one row; itself if it is that small. */
export function splitBatch(batch: Batch, mostBytes: number): Buffer[] {
  if (batch.bytes.length <= mostBytes || batch.rows === 1) return [batch.bytes];
  const parts = Math.ceil(batch.bytes.length / mostBytes);
  const rows = Math.max(1, Math.floor(batch.rows / (parts + 1)));
  const pieces: Buffer[] = [];
  for (let from = 0; from < batch.rows; from += rows) {
    const piece = rowsOf(batch, from, Math.min(batch.rows, from + rows));
    // Rows differ in length.
    pieces.push(...splitBatch(piece, mostBytes));
  }
  return pieces;
}

/** Rows [from, to) of a batch. */
function rowsOf(batch: Batch, from: number, to: number): Batch {
  const lines = batch.lines();
  const times = batch.times();
  const ends = batch.ends();
  const columns = batch.metadata();
  const lineBytes = ends[to - 1] - (from === 0 ? 0 : ends[from - 1]);
  const builder = new BatchBuilder(batch.labels(), batch.hash, batch.hour, { rows: to - from, lineBytes });
  for (let row = from; row < to; row++) {
    builder.add(times[row], lines, row === 0 ? 0 : ends[row - 1], ends[row]);
    for (const { key, values, index } of columns) if (index[row] > 0) builder.metadata(key, values[index[row] - 1]);
  }
  return new Batch(builder.finish());
}
