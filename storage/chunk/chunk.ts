import { createHash, type Hash } from 'node:crypto';
import type { MetadataColumn } from '../../logql/model.ts';
import { ByteWriter, bytesOf, MiB } from '../../ops/base/bytes.ts';
import { type BlockHeader, writeBlockHeader } from './block.ts';
import type { MemoryBlock } from './memory-block.ts';
import { valueBytes } from './metadata.ts';

/** 32 hex digits. Equal content has an equal id, whoever wrote it and however it was compressed. */
export type ChunkId = string;

/** One stream's entries within one UTC hour (level 0) or day (1), as they lie in an object. Times are ns after baseNs, where that begins. */
export interface ChunkRef {
  readonly id: ChunkId;
  readonly level: number;
  readonly baseNs: bigint;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly rows: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  /** Where its first block starts in the object; the others follow without a gap, in time order. */
  readonly at: number;
  readonly blocks: readonly BlockHeader[];
}

/** Raw lines of a block at most, unless a single line is longer. */
const BLOCK_LINE_BYTES = MiB;
const BLOCK_ROWS = 65_536;
const BLOCK_METADATA_BYTES = 4 * MiB;

/** Whether a block is as large as those that `cutBlocks` cuts. */
export function isFullBlock({ rows, lineBytes, metadataBytes }: Pick<BlockHeader, 'rows' | 'lineBytes' | 'metadataBytes'>): boolean {
  return lineBytes >= BLOCK_LINE_BYTES / 2 || rows >= BLOCK_ROWS / 2 || metadataBytes >= BLOCK_METADATA_BYTES / 2;
}

/** `block` cut into blocks, each between half and all of the limits; a small one stays whole, and a line is never split. */
export function* cutBlocks(block: MemoryBlock): Generator<MemoryBlock> {
  const { rows, lineBytes, metadataBytes } = block;
  const ends = block.ends();
  for (let from = 0; from < rows; ) {
    const start = from === 0 ? 0 : ends[from - 1];
    const left = lineBytes - start;
    const metadataLeft = (metadataBytes / rows) * (rows - from);
    const parts = Math.ceil(Math.max(1, left / BLOCK_LINE_BYTES, (rows - from) / BLOCK_ROWS, metadataLeft / BLOCK_METADATA_BYTES));
    const to = parts === 1 ? rows : rowsUpTo(ends, from, Math.min(rows, from + BLOCK_ROWS), start + left / parts);
    yield block.slice(from, to);
    from = to;
  }
}

/** The greatest row number such that the rows [from, it) end at or before `limit`; at least one row. */
function rowsUpTo(ends: Uint32Array, from: number, to: number, limit: number): number {
  let low = from + 1;
  let high = to;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (ends[middle - 1] <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** First 16 bytes of a SHA-256 over the canonical columns: see FORMAT.md. */
export function chunkId(tenant: string, labels: string, block: MemoryBlock): ChunkId {
  const hash = createHash('sha256');
  hashText(hash, tenant);
  hashText(hash, labels);
  hashNumber(hash, Number(block.baseNs / 1_000_000_000n));
  hashNumber(hash, block.rows);
  hash.update(bytesOf(block.times())).update(bytesOf(block.ends())).update(block.lines());
  for (const column of block.metadata()) hashMetadata(hash, column);
  return hash.digest('hex').slice(0, 32);
}

/** The id of a chunk of a day, which is never in memory as a whole: over its blocks as they are stored. See FORMAT.md. */
export class DayChunkId {
  readonly #hash = createHash('sha256');

  constructor(tenant: string, labels: string, baseNs: bigint) {
    hashText(this.#hash, tenant);
    hashText(this.#hash, labels);
    hashNumber(this.#hash, Number(baseNs / 1_000_000_000n));
  }

  /** The next bytes of the block that `end` will tell of. */
  stored(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  end(header: BlockHeader): void {
    const bytes = new ByteWriter(64);
    writeBlockHeader(bytes, header);
    this.#hash.update(bytes.view());
  }

  finish(): ChunkId {
    return this.#hash.digest('hex').slice(0, 32);
  }
}

function hashMetadata(hash: Hash, { key, values, index }: MetadataColumn): void {
  hashText(hash, key);
  hashNumber(hash, values.length);
  const { lengths, text } = valueBytes(values);
  hash.update(bytesOf(lengths)).update(text).update(bytesOf(index));
}

function hashText(hash: Hash, text: string): void {
  const bytes = Buffer.from(text);
  hashNumber(hash, bytes.length);
  hash.update(bytes);
}

function hashNumber(hash: Hash, value: number): void {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value);
  hash.update(bytes);
}
