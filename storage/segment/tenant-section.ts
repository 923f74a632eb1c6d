import type { Labels } from '../../logql/model.ts';
import { ByteReader, ByteWriter, uint32View } from '../../ops/base/bytes.ts';
import { HOUR_NS, type StreamHash } from '../batch/batch.ts';
import { readBlockHeader, writeBlockHeader } from '../chunk/block.ts';
import type { ChunkRef } from '../chunk/chunk.ts';
import { type CompiledMatcher, Postings, PostingsBuilder } from './postings.ts';

const HASH_BYTES = 8;
const ID_BYTES = 16;

/** About what is held of a stream, a block's header and one of its columns of metadata once they are decoded. */
const SERIES_HELD_BYTES = 512;
const BLOCK_HELD_BYTES = 640;
const COLUMN_HELD_BYTES = 160;

/** One stream of a segment and its chunks. */
export interface SegmentSeries {
  /** Canonical text. */
  readonly labels: string;
  readonly hash: StreamHash;
  /** By hour; several of one hour may overlap. */
  readonly chunks: readonly ChunkRef[];
}

/** Writes one tenant's part of a footer. Layout: FORMAT.md. */
export class TenantSectionBuilder {
  readonly #hashes = new ByteWriter();
  readonly #labelEnds = new ByteWriter();
  readonly #labels = new ByteWriter();
  readonly #chunkEnds = new ByteWriter();
  readonly #chunks = new ByteWriter();
  readonly #postings = new PostingsBuilder();
  #series = 0;

  add(series: SegmentSeries, labels: Labels): void {
    this.#hashes.raw(Buffer.from(series.hash, 'hex'));
    this.#labels.raw(Buffer.from(series.labels));
    this.#labelEnds.u32(this.#labels.length);
    this.#postings.add(this.#series, labels);
    for (const chunk of series.chunks) writeChunkRef(this.#chunks, chunk);
    this.#chunkEnds.u32(this.#chunks.length);
    this.#series++;
  }

  finish(): Buffer {
    const postings = this.#postings.finish();
    const out = new ByteWriter(this.#labels.length + this.#chunks.length + postings.length + this.#series * 16 + 64);
    out.u32(this.#series).u32(this.#labels.length).u32(postings.length).u32(this.#chunks.length);
    out.raw(this.#hashes.view()).raw(this.#labelEnds.view()).raw(this.#chunkEnds.view());
    return out.raw(this.#labels.view()).raw(postings).raw(this.#chunks.view()).view();
  }
}

/** One tenant's part of a footer, decoded as far as it is asked for. Throws RangeError on bytes that no builder made. */
export class TenantSection {
  readonly seriesCount: number;
  readonly postings: Postings;
  readonly #hashes: Buffer;
  readonly #labelEnds: Uint32Array;
  readonly #chunkEnds: Uint32Array;
  readonly #labels: Buffer;
  readonly #chunks: Buffer;
  /** By number, those that were selected. */
  readonly #selected = new Map<number, SegmentSeries>();
  #heldBytes = 0;

  constructor(bytes: Buffer) {
    const reader = new ByteReader(bytes);
    const series = reader.u32();
    const labelBytes = reader.u32();
    const postingBytes = reader.u32();
    const chunkBytes = reader.u32();
    this.seriesCount = series;
    this.#hashes = reader.raw(series * HASH_BYTES);
    this.#labelEnds = uint32View(reader.raw(series * 4), 0, series);
    this.#chunkEnds = uint32View(reader.raw(series * 4), 0, series);
    this.#labels = reader.raw(labelBytes);
    this.postings = new Postings(reader.raw(postingBytes), series);
    this.#chunks = reader.raw(chunkBytes);
  }

  /** Bytes of the streams that were selected, and of the labels that were decoded. */
  get heldBytes(): number {
    return this.#heldBytes + this.postings.heldBytes;
  }

  /** Drops what was decoded. */
  forget(): void {
    this.#selected.clear();
    this.#heldBytes = 0;
    this.postings.forget();
  }

  /** Streams that all matchers let through, with their chunks that hold times in [fromNs, toNs); those without any are left out. They are kept for the next question. */
  select(matchers: readonly CompiledMatcher[], fromNs: bigint, toNs: bigint): SegmentSeries[] {
    const selected: SegmentSeries[] = [];
    for (const number of this.postings.select(matchers)) {
      const series = within(this.#kept(number), fromNs, toNs);
      if (series.chunks.length > 0) selected.push(series);
    }
    return selected;
  }

  /** The stream of that number, with its chunks that hold times in [fromNs, toNs). Nothing is kept: for those who go through all of them once. */
  seriesAt(number: number, fromNs: bigint, toNs: bigint): SegmentSeries {
    return within(this.#read(number), fromNs, toNs);
  }

  #kept(number: number): SegmentSeries {
    let series = this.#selected.get(number);
    if (series === undefined) {
      series = this.#read(number);
      this.#selected.set(number, series);
      this.#heldBytes += heldBytesOf(series);
    }
    return series;
  }

  #read(number: number): SegmentSeries {
    return { labels: this.#labelsOf(number), hash: this.#hashOf(number), chunks: this.#chunksOf(number) };
  }

  #hashOf(series: number): StreamHash {
    return this.#hashes.toString('hex', series * HASH_BYTES, (series + 1) * HASH_BYTES);
  }

  #labelsOf(series: number): string {
    return this.#labels.toString('utf8', startOf(this.#labelEnds, series), this.#labelEnds[series]);
  }

  #chunksOf(series: number): ChunkRef[] {
    const reader = new ByteReader(this.#chunks.subarray(startOf(this.#chunkEnds, series), this.#chunkEnds[series]));
    const chunks: ChunkRef[] = [];
    while (reader.left > 0) chunks.push(readChunkRef(reader));
    return chunks;
  }
}

function startOf(ends: Uint32Array, index: number): number {
  return index === 0 ? 0 : ends[index - 1];
}

function heldBytesOf({ labels, chunks }: SegmentSeries): number {
  let bytes = SERIES_HELD_BYTES + labels.length;
  for (const { blocks } of chunks) for (const { metadata } of blocks) bytes += BLOCK_HELD_BYTES + COLUMN_HELD_BYTES * metadata.length;
  return bytes;
}

/** `series` as it is if all of its chunks reach into the range. */
function within(series: SegmentSeries, fromNs: bigint, toNs: bigint): SegmentSeries {
  const chunks = series.chunks.filter((chunk) => overlaps(chunk, fromNs, toNs));
  return chunks.length === series.chunks.length ? series : { ...series, chunks };
}

function overlaps(chunk: ChunkRef, fromNs: bigint, toNs: bigint): boolean {
  // Beyond 2^53 the distance is rounded, but no chunk reaches that far from its base.
  return chunk.maxOffset >= Number(fromNs - chunk.baseNs) && chunk.minOffset < Number(toNs - chunk.baseNs);
}

function writeChunkRef(out: ByteWriter, chunk: ChunkRef): void {
  out.raw(Buffer.from(chunk.id, 'hex')).u8(chunk.level);
  out.varint(Number(chunk.baseNs / BigInt(HOUR_NS))).varint(chunk.at);
  out.varint(chunk.blocks.length);
  for (const block of chunk.blocks) writeBlockHeader(out, block);
}

function readChunkRef(reader: ByteReader): ChunkRef {
  const id = reader.raw(ID_BYTES).toString('hex');
  const level = reader.u8();
  const baseNs = BigInt(reader.varint()) * BigInt(HOUR_NS);
  const at = reader.varint();
  const count = reader.varint();
  if (count === 0 || count > reader.left) throw new RangeError(`chunk of ${count} blocks`);
  const blocks = [];
  for (let number = 0; number < count; number++) blocks.push(readBlockHeader(reader));
  return {
    id,
    level,
    baseNs,
    at,
    blocks,
    minOffset: blocks[0].minOffset,
    maxOffset: blocks[count - 1].maxOffset,
    rows: blocks.reduce((sum, block) => sum + block.rows, 0),
    lineBytes: blocks.reduce((sum, block) => sum + block.lineBytes, 0),
    metadataBytes: blocks.reduce((sum, block) => sum + block.metadataBytes, 0),
  };
}
