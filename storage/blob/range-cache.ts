import { KiB } from '../../ops/base/bytes.ts';
import type { BlobStore } from './blob-store.ts';

/** Whoever gives ranges of objects. What it returns is borrowed: not to be changed, nor moved away. */
export interface RangeReader {
  get(key: string, range: readonly [from: number, to: number]): Promise<Buffer>;
}

/** Longer ranges are not kept: reading one costs about as much per byte as there is to be saved. */
const LONGEST_BYTES = 64 * KiB;
/** An entry beside its bytes: places in a map, key, buffer object. */
const ENTRY_BYTES = 320;

/** Short ranges of objects, which never change, kept in memory: the longest unused are dropped first once they exceed a size. Asked for at the same time by many, a
 *  range is read once. */
export class RangeCache implements RangeReader {
  readonly #blobs: Pick<BlobStore, 'get'>;
  readonly #maxBytes: number;
  /** In the order of their last use. */
  readonly #ranges = new Map<string, Buffer>();
  readonly #reading = new Map<string, Promise<Buffer>>();
  #bytes = 0;

  constructor(blobs: Pick<BlobStore, 'get'>, maxBytes: number) {
    this.#blobs = blobs;
    this.#maxBytes = maxBytes;
  }

  /** What is held. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Throws what the store throws; what failed is tried again by the next call. */
  get(key: string, range: readonly [from: number, to: number]): Promise<Buffer> {
    const [from, to] = range;
    if (to - from > LONGEST_BYTES || this.#maxBytes === 0) return this.#blobs.get(key, range);
    const name = `${from}-${to} ${key}`;
    const known = this.#ranges.get(name);
    if (known !== undefined) {
      this.#ranges.delete(name);
      this.#ranges.set(name, known);
      return Promise.resolve(known);
    }
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#blobs
        .get(key, range)
        .then((bytes) => this.#keep(name, bytes))
        .finally(() => this.#reading.delete(name));
      this.#reading.set(name, reading);
    }
    return reading;
  }

  #keep(name: string, bytes: Buffer): Buffer {
    this.#ranges.set(name, bytes);
    this.#bytes += bytes.length + ENTRY_BYTES;
    for (const [oldest, { length }] of this.#ranges) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#ranges.delete(oldest);
      this.#bytes -= length + ENTRY_BYTES;
    }
    return bytes;
  }
}
