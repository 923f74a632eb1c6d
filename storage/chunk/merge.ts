import type { Block } from '../../logql/model.ts';
import type { MemoryBlock } from './memory-block.ts';
import { RowBuffer } from './row-buffer.ts';
import { firstRowAt } from './row-order.ts';

/** The entries of several blocks of one stream, each once: the rule of counting where time ranges overlap. Entries at one time are in the order of the
 *  blocks given. `fromOffset` (included) and `toOffset` (excluded) are ns after the result's base, which is the smallest base of the blocks.
 *  `duplicates` of the result says how many rows were left out. */
export function mergeBlocks(
  blocks: readonly Block[],
  fromOffset = Number.NEGATIVE_INFINITY,
  toOffset = Number.POSITIVE_INFINITY,
): MemoryBlock {
  let baseNs = blocks[0]?.baseNs ?? 0n;
  for (const block of blocks) if (block.baseNs < baseNs) baseNs = block.baseNs;
  const rows = new RowBuffer(baseNs);
  for (const block of blocks) {
    const shift = Number(block.baseNs - baseNs);
    const { minOffset, maxOffset } = block;
    const from = minOffset + shift >= fromOffset ? 0 : firstRowAt(block.times(), 0, block.rows, fromOffset - shift);
    const to = maxOffset + shift < toOffset ? block.rows : firstRowAt(block.times(), from, block.rows, toOffset - shift);
    rows.appendBlock(block, from, to);
  }
  return rows.block();
}
