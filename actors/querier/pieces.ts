import type { Block } from '../../logql/model.ts';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { MemoryBlock } from '../../storage/chunk/memory-block.ts';
import { SLICE_MS } from '../turns.ts';

/** About what of a block in memory is scanned in one go, as much as a stored block has: heads, and blocks that were merged, can be far larger. */
const PIECE_ROWS = 65_536;
const PIECE_BYTES = MiB;
/** Where stages are a user's patterns and templates, as much as takes a slice, beginning with little. */
const FIRST_PIECE_BYTES = 4 * KiB;
const LEAST_PIECE_BYTES = KiB;
const FASTER = 16;

/** How much is scanned in one go. */
export class Pace {
  readonly adapts: boolean;
  bytes: number;

  /** `adapts`: to how long what was scanned took, as `took` tells. */
  constructor(adapts: boolean) {
    this.adapts = adapts;
    this.bytes = adapts ? FIRST_PIECE_BYTES : PIECE_BYTES;
  }

  took(bytes: number, ms: number): void {
    if (!this.adapts) return;
    const fitting = ms === 0 ? Number.POSITIVE_INFINITY : (bytes * SLICE_MS) / ms;
    this.bytes = Math.min(PIECE_BYTES, Math.max(LEAST_PIECE_BYTES, Math.min(fitting, this.bytes * FASTER)));
  }
}

/** `block` in pieces as large as the pace is when each is taken. Unless it adapts, a stored block is one. */
export function* piecesOf(block: Block, backward: boolean, pace: Pace): Generator<Block> {
  const isWhole = block.rows <= PIECE_ROWS && block.lineBytes <= pace.bytes;
  if (isWhole || !(pace.adapts || block instanceof MemoryBlock)) {
    yield block;
    return;
  }
  const columns = block instanceof MemoryBlock ? block : inMemory(block);
  const rowsOf = (bytes: number) => Math.max(1, Math.min(PIECE_ROWS, Math.floor((bytes / Math.max(1, block.lineBytes)) * block.rows)));
  for (let done = 0; done < block.rows; ) {
    const size = Math.min(rowsOf(pace.bytes), block.rows - done);
    const from = backward ? block.rows - done - size : done;
    yield columns.slice(from, from + size);
    done += size;
  }
}

function inMemory(block: Block): MemoryBlock {
  const { baseNs, metadataBytes } = block;
  return new MemoryBlock({
    baseNs,
    metadataBytes,
    times: block.times(),
    ends: block.ends(),
    lines: block.lines(),
    metadata: block.metadata(),
  });
}
