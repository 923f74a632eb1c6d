import { realWorld } from '../../../ops/base/world.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { MemoryBlock } from '../../../storage/chunk/memory-block.ts';
import type { FilterSection } from '../../../storage/segment/filter-directory.ts';
import { FilterWriter } from '../../../storage/segment/filter-writer.ts';
import { batchOf, HOUR, HOUR_START_NS } from '../chunk/rows.ts';

export interface FilteredBlocks {
  readonly ranges: MemoryBlobStore;
  readonly key: string;
  readonly sections: readonly FilterSection[];
  readonly pages: Buffer;
  /** Where each block would start. */
  readonly places: readonly number[];
  /** How often the writer gave way. */
  readonly turns: number;
}

export const STORED_BYTES = 100_000;

export function blockOf(lines: readonly string[], metadata: readonly Record<string, string>[] = []): MemoryBlock {
  const head = new Head(HOUR);
  head.append(batchOf(lines.map((line, number) => ({ time: HOUR_START_NS + BigInt(number), line, metadata: metadata[number] ?? {} }))));
  return head.block();
}

/** The filters of the blocks, in an object of which nothing else is there. */
export async function filtersOf(blocks: readonly MemoryBlock[]): Promise<FilteredBlocks> {
  let turns = 0;
  const writer = new FilterWriter(async () => void turns++, { leastLineBytes: 0 });
  const places = blocks.map((_, number) => number * STORED_BYTES);
  for (const [number, block] of blocks.entries()) await writer.add(places[number], block);
  const before = Buffer.alloc(123);
  const { pages, sections } = await writer.finish(before.length);
  const ranges = new MemoryBlobStore(realWorld().clock);
  await ranges.put('o', [before, ...pages]);
  return { ranges, key: 'o', sections, pages: Buffer.concat(pages), places, turns };
}
