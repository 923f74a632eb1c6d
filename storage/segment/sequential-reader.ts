import { KiB } from '../../ops/base/bytes.ts';
import type { BlobStore } from '../blob/blob-store.ts';

const READ_AHEAD_BYTES = 512 * KiB;

/** Reads an object's blocks, which are asked for about in the order in which they lie, with few requests. */
export class SequentialReader {
  /** Bytes fetched so far. */
  fetchedBytes = 0;
  readonly key: string;
  readonly #blobs: BlobStore;
  #at = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(blobs: BlobStore, key: string) {
    this.#blobs = blobs;
    this.key = key;
  }

  /** Bytes [at, at + size), fewer if the object is shorter. Throws what the store throws. */
  async read(at: number, size: number): Promise<Buffer> {
    if (at < this.#at || at + size > this.#at + this.#bytes.length) {
      this.#bytes = await this.#blobs.get(this.key, [at, at + Math.max(size, READ_AHEAD_BYTES)]);
      this.#at = at;
      this.fetchedBytes += this.#bytes.length;
    }
    return this.#bytes.subarray(at - this.#at, at - this.#at + size);
  }
}
