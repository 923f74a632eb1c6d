import type { Block, MetadataColumn } from '../../logql/model.ts';
import { bytesOf, float64View, uint16View, uint32View } from '../../ops/base/bytes.ts';
import { lowerBound } from '../../ops/base/search.ts';
import { HOUR_NS } from '../batch/batch.ts';
import { canonicalMetadata } from './metadata.ts';

/** A string beside its text. */
const VALUE_BYTES = 24;

/** A block's columns in memory. */
export interface BlockColumns {
  readonly baseNs: bigint;
  readonly times: Float64Array;
  readonly ends: Uint32Array;
  readonly lines: Buffer;
  /** In canonical form. */
  readonly metadata: readonly MetadataColumn[];
  readonly metadataBytes: number;
  /** Rows that were left out because they equal another. */
  readonly duplicates?: number;
}

/** A block over columns that are in memory and never change. */
export class MemoryBlock implements Block {
  readonly rows: number;
  readonly baseNs: bigint;
  /** Infinity without rows. */
  readonly minOffset: number;
  /** -Infinity without rows. */
  readonly maxOffset: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  /** Rows that were left out when this was made because they equal one that is in it. */
  readonly duplicates: number;
  readonly #times: Float64Array;
  readonly #ends: Uint32Array;
  readonly #lines: Buffer;
  readonly #metadata: readonly MetadataColumn[];

  constructor(columns: BlockColumns) {
    const { times, ends } = columns;
    this.rows = times.length;
    this.baseNs = columns.baseNs;
    this.minOffset = this.rows === 0 ? Number.POSITIVE_INFINITY : times[0];
    this.maxOffset = this.rows === 0 ? Number.NEGATIVE_INFINITY : times[this.rows - 1];
    this.lineBytes = this.rows === 0 ? 0 : ends[this.rows - 1];
    this.metadataBytes = columns.metadataBytes;
    this.duplicates = columns.duplicates ?? 0;
    this.#times = times;
    this.#ends = ends;
    this.#lines = columns.lines;
    this.#metadata = columns.metadata;
  }
  times(): Float64Array {
    return this.#times;
  }
  ends(): Uint32Array {
    return this.#ends;
  }
  lines(): Buffer {
    return this.#lines;
  }
  /** In canonical form. */
  metadata(): readonly MetadataColumn[] {
    return this.#metadata;
  }

  metadataKeys(): readonly string[] {
    return this.#metadata.map(({ key }) => key);
  }

  /** Rows [from, to); times and lines are borrowed from this block. */
  slice(from: number, to: number): MemoryBlock {
    if (from === 0 && to === this.rows) return this;
    const { metadata, bytes } = canonicalMetadata(this.#metadata, from, to);
    return new MemoryBlock({
      baseNs: this.baseNs,
      times: this.#times.subarray(from, to),
      ...sliceLines(this.#ends, this.#lines, from, to),
      metadata,
      metadataBytes: bytes,
    });
  }
}

/** The lines of rows [from, to) and where they end in their own run; borrowed where that is possible. */
export function sliceLines(ends: Uint32Array, lines: Buffer, from: number, to: number): { ends: Uint32Array; lines: Buffer } {
  const start = from === 0 ? 0 : ends[from - 1];
  const end = to === 0 ? 0 : ends[to - 1];
  if (start === 0) return { ends: ends.subarray(from, to), lines: lines.subarray(0, end) };
  const own = ends.slice(from, to);
  for (let row = 0; row < own.length; row++) own[row] -= start;
  return { ends: own, lines: lines.subarray(start, end) };
}

/** The rows [from, to) of `block` in [fromNs, toNs). */
export function rowsWithin(block: Block, fromNs: bigint, toNs: bigint): { from: number; to: number } {
  // A distance beyond 2^53 loses its last bits, but no row of the block is out there.
  const fromOffset = Number(fromNs - block.baseNs);
  const toOffset = Number(toNs - block.baseNs);
  const from = block.minOffset >= fromOffset ? 0 : lowerBound(block.times(), 0, block.rows, fromOffset);
  const to = block.maxOffset < toOffset ? block.rows : lowerBound(block.times(), from, block.rows, toOffset);
  return { from, to: Math.max(from, to) };
}

/** Rows of one head as plain data, for a reply: the frames are borrowed and never change; long ones are in shared memory. Sorted and free of duplicates. */
export interface HeadSlice {
  readonly hour: number;
  readonly rows: number;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  /** Float64 × rows, Uint32 × rows, lines. */
  readonly times: Uint8Array;
  readonly ends: Uint8Array;
  readonly lines: Uint8Array;
  /** In canonical form; `index` holds numbers of `width` bytes, low byte first. */
  readonly metadata: readonly {
    readonly key: string;
    readonly values: readonly string[];
    readonly width: 1 | 2 | 4;
    readonly index: Uint8Array;
  }[];
}

/** `block` begins at an hour: its baseNs is one. */
export function toHeadSlice(block: MemoryBlock): HeadSlice {
  return {
    hour: Number(block.baseNs / BigInt(HOUR_NS)),
    rows: block.rows,
    minOffset: block.minOffset,
    maxOffset: block.maxOffset,
    lineBytes: block.lineBytes,
    metadataBytes: block.metadataBytes,
    times: bytesOf(block.times()),
    ends: bytesOf(block.ends()),
    lines: block.lines(),
    metadata: block.metadata().map(({ key, values, index }) => ({
      key,
      values,
      width: index.BYTES_PER_ELEMENT as 1 | 2 | 4,
      index: bytesOf(index),
    })),
  };
}

/** About what the slice takes beside memory that is shared with its head, bytes. */
export function ownBytes({ times, ends, lines, metadata }: HeadSlice): number {
  let bytes = 0;
  for (const frame of [times, ends, lines]) if (!(frame.buffer instanceof SharedArrayBuffer)) bytes += frame.length;
  for (const { values, index } of metadata) {
    bytes += index.length;
    for (const value of values) bytes += VALUE_BYTES + value.length;
  }
  return bytes;
}

/** A block over the slice's frames. */
export function fromHeadSlice(slice: HeadSlice): MemoryBlock {
  const { rows } = slice;
  return new MemoryBlock({
    baseNs: BigInt(slice.hour) * BigInt(HOUR_NS),
    times: float64View(slice.times, 0, rows),
    ends: uint32View(slice.ends, 0, rows),
    lines: bytesOf(slice.lines),
    metadata: slice.metadata.map(({ key, values, width, index }) => ({ key, values, index: viewIndex(index, width, rows) })),
    metadataBytes: slice.metadataBytes,
  });
}

function viewIndex(bytes: Uint8Array, width: 1 | 2 | 4, rows: number): MetadataColumn['index'] {
  if (width === 1) return new Uint8Array(bytes.buffer, bytes.byteOffset, rows);
  return width === 2 ? uint16View(bytes, 0, rows) : uint32View(bytes, 0, rows);
}
