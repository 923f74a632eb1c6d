import type { Block, Labels, MetadataColumn } from '../../../logql/model.ts';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import type { LabelSet, Observed } from '../../../logql/pipeline/pipeline.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';

export type Metadata = Readonly<Record<string, string>>;

/** A block of lines a second apart from the epoch on. `metadata`: of each row. */
export function blockOf(lines: readonly (string | Buffer)[], metadata: readonly Metadata[] = []): Block {
  const buffers = lines.map((line) => Buffer.from(line as string));
  const ends = new Uint32Array(lines.length);
  let lineBytes = 0;
  for (const [row, { length }] of buffers.entries()) {
    lineBytes += length;
    ends[row] = lineBytes;
  }
  const column = Buffer.concat(buffers);
  const times = Float64Array.from(lines, (_, row) => row * 1e9);
  const keys = [...new Set(metadata.flatMap((row) => Object.keys(row)))].sort();
  const columns = keys.map((key): MetadataColumn => {
    const values = [...new Set(metadata.flatMap((row) => (Object.hasOwn(row, key) ? [row[key]] : [])))];
    return { key, values, index: Uint8Array.from(lines, (_, row) => values.indexOf(metadata[row]?.[key] ?? '') + 1) };
  });
  return {
    rows: lines.length,
    baseNs: 0n,
    minOffset: 0,
    maxOffset: times.at(-1) ?? 0,
    lineBytes,
    metadataBytes: 0,
    times: () => times,
    ends: () => ends,
    lines: () => column,
    metadata: () => columns,
    metadataKeys: () => keys,
  };
}

export interface Survivor {
  readonly line: string;
  readonly set: LabelSet;
  /** Without the stream's own. */
  readonly labels: Record<string, string>;
  readonly error: string;
}

export interface RunOptions {
  readonly stream?: Labels;
  readonly metadata?: readonly Metadata[];
  readonly observed?: Observed;
}

/** What the stages of `query` leave of the lines. */
export function run(query: string, lines: readonly (string | Buffer)[], options: RunOptions = {}): Survivor[] {
  const { stream = [['app', 'a']], metadata = [], observed = 'all' } = options;
  const block = blockOf(lines, metadata);
  const bound = compilePipeline(parseLogQuery(query).stages, { observed, nowNs: () => 1_700_000_000_000_000_000n }).forStream(stream);
  const rows = new Uint32Array(block.rows);
  const count = bound.select(block, 0, block.rows, rows);
  const out: Survivor[] = [];
  for (const row of rows.subarray(0, count)) {
    const entry = bound.apply(block, row);
    if (entry === undefined) continue;
    const set = entry.labelSet();
    const labels = Object.fromEntries(set.all.filter(([name]) => !set.stream.some(([known]) => known === name)));
    out.push({ line: entry.line().toString(), set, labels, error: entry.error });
  }
  return out;
}

/** Lines that a query keeps. */
export const kept = (query: string, lines: readonly (string | Buffer)[], options?: RunOptions): string[] =>
  run(query, lines, options).map(({ line }) => line);

/** Labels that a query adds to one line. */
export const labelsOf = (query: string, line: string | Buffer, options?: RunOptions): Record<string, string> =>
  run(query, [line], options)[0].labels;

/** A seeded source of numbers in [0, 1): mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
