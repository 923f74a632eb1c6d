import type { Block, MetadataColumn } from '../model.ts';
import { lowerBound } from './columns.ts';

/** A block of which nobody reads the lines: how many rows there are and how large they are is in the other columns. */
export type LinelessBlock = Omit<Block, 'lines'>;

/** Rows [from, to) of a block. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** The rows with times in [fromNs, toNs). The times are not read where the block's first and last tell. */
export function rowsWithin(block: LinelessBlock, fromNs: bigint, toNs: bigint): RowRange {
  const low = Number(fromNs - block.baseNs);
  const high = Number(toNs - block.baseNs);
  if (block.rows === 0 || block.maxOffset < low || block.minOffset >= high) return { from: 0, to: 0 };
  const from = block.minOffset >= low ? 0 : lowerBound(block.times(), low, 0, block.rows);
  const to = block.maxOffset < high ? block.rows : lowerBound(block.times(), high, from, block.rows);
  return { from, to };
}

function isWhole(block: LinelessBlock, { from, to }: RowRange): boolean {
  return from === 0 && to === block.rows;
}

export function lineBytesIn(block: LinelessBlock, rows: RowRange): number {
  if (rows.from === rows.to) return 0;
  if (isWhole(block, rows)) return block.lineBytes;
  const ends = block.ends();
  return ends[rows.to - 1] - (rows.from === 0 ? 0 : ends[rows.from - 1]);
}

/** Sum over the rows of the lengths of metadata keys and values. */
export function metadataBytesIn(block: LinelessBlock, rows: RowRange): number {
  if (isWhole(block, rows)) return block.metadataBytes;
  let bytes = 0;
  for (const column of block.metadata()) {
    const keyBytes = Buffer.byteLength(column.key);
    const counts = occurrences(column, rows);
    for (const [number, value] of column.values.entries()) {
      const count = counts[number + 1];
      if (count > 0) bytes += count * (keyBytes + Buffer.byteLength(value));
    }
  }
  return bytes;
}

/** In how many of the rows each value of the column is, by the value's number; at 0, how many rows lack the key. */
function occurrences({ values, index }: MetadataColumn, { from, to }: RowRange): Uint32Array {
  const counts = new Uint32Array(values.length + 1);
  for (let row = from; row < to; row++) counts[index[row]]++;
  return counts;
}
