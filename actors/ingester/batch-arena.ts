import { KiB, MiB, release } from '../../ops/base/bytes.ts';
import { Batch } from '../../storage/batch/batch.ts';

/** Where a batch is in an arena; the next one of its list was added before it. */
export type BatchPlace = number;
/** The end of a list. */
export const NO_BATCH: BatchPlace = -1;

const FIRST_PAGE = 64 * KiB;
const LARGEST_PAGE = MiB;
/** Places of one page: a power of two, no less than its bytes. */
const SPAN = MiB;
/** Of a float64: the place of the batch before. */
const LINK_BYTES = 8;

/** Copies of short batches, without their labels, in lists from the last one back: thousands of streams with some entries each are no objects that the garbage
 *  collector would have to look at. Nothing is freed but all at once. */
export class BatchArena {
  readonly #pages: Buffer[] = [];
  #at = 0;
  #bytes = 0;

  /** Of memory held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies the batch, which takes at most 512 KiB. */
  add(batch: Batch, before: BatchPlace): BatchPlace {
    const size = LINK_BYTES + batch.sizeWithoutLabels;
    let page = this.#pages.at(-1);
    if (page === undefined || this.#at + size > page.length) {
      page = Buffer.allocUnsafeSlow(Math.min(LARGEST_PAGE, Math.max(FIRST_PAGE, 2 * this.#bytes, 2 * size)));
      this.#pages.push(page);
      this.#bytes += page.length;
      this.#at = 0;
    }
    const place = (this.#pages.length - 1) * SPAN + this.#at;
    page.writeDoubleLE(before, this.#at);
    batch.copyWithoutLabels(page, this.#at + LINK_BYTES);
    this.#at += size;
    return place;
  }

  /** The batches of a list in the order in which they were added; borrowed until `free`. */
  list(last: BatchPlace): Batch[] {
    const batches: Batch[] = [];
    for (let place = last; place !== NO_BATCH; ) {
      const page = this.#pages[Math.floor(place / SPAN)];
      const at = place % SPAN;
      batches.push(new Batch(page, at + LINK_BYTES));
      place = page.readDoubleLE(at);
    }
    return batches.reverse();
  }

  /** The arena is done for. */
  free(): void {
    for (const page of this.#pages) release(page);
  }
}
