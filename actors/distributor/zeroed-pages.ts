import { align8, KiB, MiB } from '../../ops/base/bytes.ts';

const FIRST_PAGE = 16 * KiB;
const LARGEST_PAGE = MiB;
/** Longer ones have a buffer of their own, which can be moved and freed by itself. */
const MOST_SHARED = 16 * KiB;

/** Zeroed memory for many short pieces of one push: a buffer for each would cost more than what is in it. */
export class ZeroedPages {
  #page: Buffer = Buffer.alloc(0);
  #at = 0;

  /** 8-aligned. */
  allocate(bytes: number): Buffer {
    if (bytes > MOST_SHARED) return Buffer.from(new ArrayBuffer(bytes));
    if (this.#at + bytes > this.#page.length) {
      this.#page = Buffer.from(new ArrayBuffer(Math.min(LARGEST_PAGE, Math.max(FIRST_PAGE, 4 * this.#page.length))));
      this.#at = 0;
    }
    const piece = this.#page.subarray(this.#at, this.#at + bytes);
    this.#at += align8(bytes);
    return piece;
  }
}
