import type { Block } from '../../../logql/model.ts';
import { Batch, BatchBuilder, HOUR_NS, streamHash } from '../../../storage/batch/batch.ts';

export const HOUR = 494_000;
export const HOUR_START_NS = BigInt(HOUR) * BigInt(HOUR_NS);
export const LABELS = '{app="a", env="prod"}';

/** One entry, as plain as can be: what the columns are checked against. */
export interface PlainRow {
  /** Ns since the epoch. */
  readonly time: bigint;
  readonly line: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Numbers in [0, 1) that depend on the seed only. */
export function random(seed: number): () => number {
  let state = seed * 0x9e3779b9 + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

export function pick<T>(next: () => number, from: readonly T[]): T {
  return from[Math.floor(next() * from.length)];
}

const WORDS = ['', 'error', 'info level=warn', 'naïve – ünïcode ☃', 'x'.repeat(300), 'GET /login 200', '\0\n"quoted"', '日本語'];

/** Rows with times that often collide, from a few lines and few or many metadata values; some rows are exact copies of earlier ones. */
export function randomRows(next: () => number, count: number, hour = HOUR): PlainRow[] {
  const start = BigInt(hour) * BigInt(HOUR_NS);
  const unit = pick(next, [1, 1000, 1_000_000, 1_000_000_000]);
  const times = Math.floor(HOUR_NS / unit);
  const spread = Math.min(times, pick(next, [1, 3, count, 1_000_000]));
  const inOrder = next() < 0.3;
  const rows: PlainRow[] = [];
  for (let number = 0; number < count; number++) {
    if (number > 0 && next() < 0.1) {
      rows.push(pick(next, rows));
      continue;
    }
    const slot = inOrder ? Math.floor((number * spread) / count) : Math.floor(next() * spread);
    const metadata: Record<string, string> = {};
    if (next() < 0.8) metadata.level = pick(next, ['info', 'warn']);
    if (next() < 0.3) metadata['key: ü'] = '';
    if (next() < 0.2) metadata.trace = `${Math.floor(next() * 1e6)}`;
    if (next() < 0.05) metadata.rare = 'é';
    rows.push({ time: start + BigInt(slot * unit), line: `${pick(next, WORDS)}${next() < 0.5 ? number : ''}`, metadata });
  }
  return rows;
}

/** The rows, all of one hour, as a batch in the order given. */
export function batchOf(rows: readonly PlainRow[], labels = LABELS, tenant = 'fake'): Batch {
  const hour = Number(rows[0].time / BigInt(HOUR_NS));
  const builder = new BatchBuilder(labels, streamHash(tenant, labels), hour);
  for (const { time, line, metadata } of rows) {
    const bytes = Buffer.from(line);
    builder.add(Number(time - BigInt(hour) * BigInt(HOUR_NS)), bytes, 0, bytes.length);
    for (const [key, value] of Object.entries(metadata)) builder.metadata(key, value);
  }
  return new Batch(builder.finish());
}

/** The rows cut into batches at random. */
export function batchesOf(next: () => number, rows: readonly PlainRow[], labels = LABELS, tenant = 'fake'): Batch[] {
  const batches: Batch[] = [];
  for (let from = 0; from < rows.length; ) {
    const to = Math.min(rows.length, from + 1 + Math.floor(next() * 30));
    batches.push(batchOf(rows.slice(from, to), labels, tenant));
    from = to;
  }
  return batches;
}

/** What a store must make of rows in order of arrival: by time, ties in order of arrival, each entry once. */
export function sortedUnique(rows: readonly PlainRow[]): PlainRow[] {
  const seen = new Set<string>();
  const sorted = [...rows].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return sorted.filter((row) => {
    const key = JSON.stringify([String(row.time), row.line, Object.entries(row.metadata).sort()]);
    return !seen.has(key) && seen.add(key);
  });
}

export function rowsOf(block: Block): PlainRow[] {
  const [times, ends, lines, metadata] = [block.times(), block.ends(), block.lines(), block.metadata()];
  return Array.from(times, (time, row) => ({
    time: block.baseNs + BigInt(time),
    line: lines.toString('utf8', row === 0 ? 0 : ends[row - 1], ends[row]),
    metadata: Object.fromEntries(
      metadata.filter(({ index }) => index[row] > 0).map(({ key, values, index }) => [key, values[index[row] - 1]]),
    ),
  }));
}

/** What a block says of its rows without showing them. */
export function summaryOf(block: Block): Record<string, number> {
  const { rows, minOffset, maxOffset, lineBytes, metadataBytes } = block;
  return { rows, minOffset, maxOffset, lineBytes, metadataBytes };
}

/** What it should say, given at least one row. */
export function expectedSummary(rows: readonly PlainRow[], baseNs: bigint): Record<string, number> {
  const metadata = rows.flatMap((row) => Object.entries(row.metadata));
  return {
    rows: rows.length,
    minOffset: Number(rows[0].time - baseNs),
    maxOffset: Number(rows[rows.length - 1].time - baseNs),
    lineBytes: rows.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0),
    metadataBytes: metadata.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0),
  };
}
