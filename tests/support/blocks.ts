import type { Block, MetadataColumn } from '../../logql/model.ts';

/** One row: time in ns after the block's base, line, metadata. */
export type BlockRow = readonly [offsetNs: number, line: string | Buffer, metadata?: Readonly<Record<string, string>>];

/** A block that tells which of its columns were asked for. */
export interface TestBlock extends Block {
  readonly touched: ReadonlySet<'times' | 'ends' | 'lines' | 'metadata'>;
}

/** A block of `rows`, which are given in time order. */
export function blockOf(baseNs: bigint, rows: readonly BlockRow[]): TestBlock {
  const lines = rows.map(([, line]) => Buffer.from(line));
  const ends = new Uint32Array(rows.length);
  let end = 0;
  for (const [row, line] of lines.entries()) {
    end += line.length;
    ends[row] = end;
  }
  const metadata = metadataColumns(rows);
  const times = Float64Array.from(rows, ([offset]) => offset);
  const touched = new Set<'times' | 'ends' | 'lines' | 'metadata'>();
  const touch = <T>(what: 'times' | 'ends' | 'lines' | 'metadata', value: T): T => {
    touched.add(what);
    return value;
  };
  return {
    rows: rows.length,
    baseNs,
    minOffset: times[0] ?? 0,
    maxOffset: times.at(-1) ?? 0,
    lineBytes: end,
    metadataBytes: rows.reduce(
      (sum, [, , pairs]) =>
        sum +
        Buffer.byteLength(
          Object.entries(pairs ?? {})
            .flat()
            .join(''),
        ),
      0,
    ),
    touched,
    times: () => touch('times', times),
    ends: () => touch('ends', ends),
    lines: () => touch('lines', Buffer.concat(lines)),
    metadata: () => touch('metadata', metadata),
    metadataKeys: () => metadata.map(({ key }) => key),
  };
}

function metadataColumns(rows: readonly BlockRow[]): MetadataColumn[] {
  const keys = [...new Set(rows.flatMap(([, , pairs]) => Object.keys(pairs ?? {})))].sort();
  return keys.map((key) => {
    const values = [...new Set(rows.flatMap(([, , pairs]) => (pairs?.[key] === undefined ? [] : [pairs[key]])))];
    const index = Uint32Array.from(rows, ([, , pairs]) => (pairs?.[key] === undefined ? 0 : values.indexOf(pairs[key]) + 1));
    return { key, values, index };
  });
}
