import { KiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { RangeReader } from '../blob/range-cache.ts';
import { type BlockHeader, type ReadMeter, StoredBlock } from '../chunk/block.ts';
import type { ChunkRef } from '../chunk/chunk.ts';
import { type Footer, openFooter, readTail, TAIL_BYTES } from './footer.ts';

/** Read at once from an object's end, in the hope that the footer is in it. */
const FIRST_READ_BYTES = 64 * KiB;

/** The index of the object, in one ranged read, or two if it is large. Throws Fault corrupt, and what the store throws. */
export async function readFooter(blobs: BlobStore, key: string, sizeBytes: number): Promise<Footer> {
  const from = Math.max(0, sizeBytes - FIRST_READ_BYTES);
  const end = await blobs.get(key, [from, sizeBytes]);
  const tail = readTail(end.subarray(Math.max(0, end.length - TAIL_BYTES)), key);
  const footerAt = sizeBytes - TAIL_BYTES - tail.storedBytes;
  if (footerAt < 0) throw new Fault('corrupt', `object ${key} of ${sizeBytes} bytes cannot hold its footer of ${tail.storedBytes}`);
  const stored =
    footerAt >= from ? end.subarray(footerAt - from, end.length - TAIL_BYTES) : await blobs.get(key, [footerAt, sizeBytes - TAIL_BYTES]);
  return openFooter(key, stored, tail);
}

/** One block of the chunk, stored from byte `at` of the object on; without its lines if `lines` is false. Throws as {@link readChunk}. */
export async function readBlock(
  blobs: RangeReader,
  key: string,
  chunk: ChunkRef,
  header: BlockHeader,
  at: number,
  { meter, lines = true }: { readonly meter?: ReadMeter; readonly lines?: boolean } = {},
): Promise<StoredBlock> {
  const sizeBytes = header.storedBytes - (lines ? 0 : header.lines.storedBytes);
  if (meter !== undefined) meter.fetchedBytes += sizeBytes;
  return new StoredBlock(header, await blobs.get(key, [at, at + sizeBytes]), chunk.baseNs, meter);
}

/** The chunk's blocks that hold times in [fromNs, toNs), all without a range, in time order; in one ranged read, as bytes that are not decoded yet.
 *  Throws Fault corrupt, and what the store throws: not_found means that the object was replaced, so plan again. */
export async function readChunk(
  blobs: BlobStore,
  key: string,
  chunk: ChunkRef,
  range?: { readonly fromNs: bigint; readonly toNs: bigint },
  meter?: ReadMeter,
): Promise<StoredBlock[]> {
  const fromOffset = range === undefined ? Number.NEGATIVE_INFINITY : Number(range.fromNs - chunk.baseNs);
  const toOffset = range === undefined ? Number.POSITIVE_INFINITY : Number(range.toNs - chunk.baseNs);
  const wanted: { header: BlockHeader; at: number }[] = [];
  let at = chunk.at;
  for (const header of chunk.blocks) {
    if (header.maxOffset >= fromOffset && header.minOffset < toOffset) wanted.push({ header, at });
    at += header.storedBytes;
  }
  if (wanted.length === 0) return [];
  // Blocks are in time order, so those of a range have no others between them.
  const first = wanted[0].at;
  const last = wanted[wanted.length - 1];
  const bytes = await blobs.get(key, [first, last.at + last.header.storedBytes]);
  return wanted.map((block) => {
    const start = block.at - first;
    return new StoredBlock(block.header, bytes.subarray(start, start + block.header.storedBytes), chunk.baseNs, meter);
  });
}
