import type { Block } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { lowerBound } from '../../ops/base/search.ts';
import type { MemoryBlock } from './memory-block.ts';
import { occurs } from './metadata.ts';
import { RowBuffer } from './row-buffer.ts';

/** The entries of several blocks of one stream, each once: the rule of counting where time ranges overlap. Entries at one time are in the order of the
 *  blocks given. `fromOffset` (included) and `toOffset` (excluded) are ns after the result's base, which is the smallest base of the blocks.
 *  `duplicates` of the result says how many rows were left out. */
export function mergeBlocks(
  blocks: readonly Block[],
  fromOffset = Number.NEGATIVE_INFINITY,
  toOffset = Number.POSITIVE_INFINITY,
): MemoryBlock {
  const baseNs = smallestBase(blocks);
  const rows = new RowBuffer(baseNs);
  for (const block of blocks) {
    const { from, to } = rowsBetween(block, baseNs, fromOffset, toOffset);
    rows.appendBlock(block, from, to);
  }
  return rows.block();
}

/** About what is merged at once, in memory; and what a single nanosecond may take, since no window is shorter. */
const SIZES = { windowBytes: 32 * MiB, instantBytes: 256 * MiB };
/** Time and line end of a row; its place in a column of metadata. */
const ROW_BYTES = 12;
const INDEX_BYTES = 4;

/** What mergeBlocks gives of the times [fromNs, toNs), all without a range, in windows of time, the latest first if `backward`: blocks of hours and metadata
 *  columns, which have a place for every row, do not fit in memory all together. Throws Fault limit_exceeded where a single nanosecond does not either. */
export function* mergeInWindows(
  blocks: readonly Block[],
  backward: boolean,
  { windowBytes = SIZES.windowBytes, instantBytes = SIZES.instantBytes } = {},
  range?: { readonly fromNs: bigint; readonly toNs: bigint },
): Generator<MemoryBlock, void, void> {
  if (blocks.length === 0) return;
  const baseNs = smallestBase(blocks);
  const offsets = blocks.flatMap((block) => {
    const shift = Number(block.baseNs - baseNs);
    return [block.minOffset + shift, block.maxOffset + shift];
  });
  function* within(from: number, to: number): Generator<MemoryBlock, void, void> {
    const parts = blocks.map((block) => ({ block, ...rowsBetween(block, baseNs, from, to) })).filter((part) => part.from < part.to);
    if (parts.length === 0) return;
    let size = sizeOf(parts, ({ block }) => block.metadataKeys());
    if (size.bytes > windowBytes) size = sizeOf(parts, keysWithin);
    const { rows, bytes } = size;
    if (bytes <= windowBytes || to - from === 1) {
      if (bytes > instantBytes) throw new Fault('limit_exceeded', `${rows} entries of one time take about ${bytes} bytes to compare`);
      yield mergeBlocks(blocks, from, to);
      return;
    }
    const middle = from + Math.floor((to - from) / 2);
    if (backward) yield* within(middle, to);
    yield* within(from, middle);
    if (!backward) yield* within(middle, to);
  }
  const from = Math.min(...offsets);
  const to = Math.max(...offsets) + 1;
  if (range === undefined) yield* within(from, to);
  else yield* within(Math.max(from, Number(range.fromNs - baseNs)), Math.min(to, Number(range.toNs - baseNs)));
}

interface Part {
  readonly block: Block;
  /** Rows [from, to) of it. */
  readonly from: number;
  readonly to: number;
}

/** What the parts take in memory once they are merged, at most. */
function sizeOf(parts: readonly Part[], keysOf: (part: Part) => readonly string[]): { rows: number; bytes: number } {
  const keys = new Set<string>();
  let rows = 0;
  let lineBytes = 0;
  for (const part of parts) {
    const { block, from, to } = part;
    rows += to - from;
    lineBytes += (block.lineBytes / block.rows) * (to - from);
    for (const key of keysOf(part)) keys.add(key);
  }
  return { rows, bytes: Math.round(rows * (ROW_BYTES + keys.size * INDEX_BYTES) + lineBytes) };
}

/** Keys that rows of the part have, not only other rows of its block. */
function keysWithin({ block, from, to }: Part): string[] {
  return block.metadata().flatMap((column) => (occurs(column, from, to) ? [column.key] : []));
}

function smallestBase(blocks: readonly Block[]): bigint {
  let baseNs = blocks[0]?.baseNs ?? 0n;
  for (const block of blocks) if (block.baseNs < baseNs) baseNs = block.baseNs;
  return baseNs;
}

/** The rows [from, to) of `block` with a time between the offsets, which count from `baseNs`. */
function rowsBetween(block: Block, baseNs: bigint, fromOffset: number, toOffset: number): { from: number; to: number } {
  const shift = Number(block.baseNs - baseNs);
  const { minOffset, maxOffset } = block;
  const from = minOffset + shift >= fromOffset ? 0 : lowerBound(block.times(), 0, block.rows, fromOffset - shift);
  const to = maxOffset + shift < toOffset ? block.rows : lowerBound(block.times(), from, block.rows, toOffset - shift);
  return { from, to };
}
