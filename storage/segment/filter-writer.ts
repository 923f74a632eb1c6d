import type { Block } from '../../logql/model.ts';
import { crc32, KiB, MiB } from '../../ops/base/bytes.ts';
import { type SkipFilter, SkipFilterMaker, unfolded } from '../chunk/skip-filter.ts';
import { FilterSection, type FilterSize, PAGE_CRC_BYTES } from './filter-directory.ts';

/** A section ends with so many blocks, or when its filters take so much memory. */
const SECTION_BLOCKS = 1024;
const SECTION_BYTES = 16 * MiB;
/** About what a disk or a network fetches as soon as a few bytes. */
const PAGE_BYTES = 4 * KiB;
const MAX_LOG2_PAGES = 12;
/** Pages put together in one go. */
const TURN_PAGES = 64;

interface BlockFilter {
  /** Where the block starts in the object. */
  readonly at: number;
  readonly filter: SkipFilter;
}

/** A section that is done, and where it will be if the first begins at 0. */
interface DoneSection {
  readonly section: FilterSection;
  readonly pages: Buffer;
}

export interface FilterOptions {
  /** Objects with less than this have no filters: to read all of one takes about as long as to ask them. */
  readonly leastLineBytes: number;
}

/** Makes the skip filters of an object. In memory are the filters of one section, and those done. */
export class FilterWriter {
  readonly #giveWay: () => Promise<void>;
  readonly #leastLineBytes: number;
  readonly #maker = new SkipFilterMaker();
  readonly #done: DoneSection[] = [];
  #open: BlockFilter[] = [];
  #openBytes = 0;
  #doneBytes = 0;
  #lineBytes = 0;

  /** `giveWay` is awaited between steps of a few milliseconds. */
  constructor(giveWay: () => Promise<void>, { leastLineBytes }: FilterOptions) {
    this.#giveWay = giveWay;
    this.#leastLineBytes = leastLineBytes;
  }

  /** A block that starts at byte `at` of the object. Blocks come in the order of their places. */
  async add(at: number, block: Block): Promise<void> {
    this.#lineBytes += block.lineBytes;
    const filter = this.#maker.make(block.lines(), block.metadata());
    if (filter === undefined) return;
    this.#open.push({ at, filter });
    this.#openBytes += filter.words.byteLength;
    if (this.#open.length === SECTION_BLOCKS || this.#openBytes >= SECTION_BYTES) await this.#endSection();
  }

  /** All filters, as they are to stand in the object from byte `at` on. */
  async finish(at: number): Promise<{ pages: readonly Buffer[]; sections: readonly FilterSection[] }> {
    if (this.#lineBytes < this.#leastLineBytes) return { pages: [], sections: [] };
    if (this.#open.length > 0) await this.#endSection();
    return {
      pages: this.#done.map(({ pages }) => pages),
      sections: this.#done.map(({ section }) => new FilterSection(at + section.at, section.log2Pages, section.sizes)),
    };
  }

  async #endSection(): Promise<void> {
    const log2Pages = Math.min(Math.max(0, Math.round(Math.log2(this.#openBytes / PAGE_BYTES))), MAX_LOG2_PAGES);
    const filters = this.#open.map(({ at, filter }) => ({ at, filter: unfolded(filter, log2Pages) }));
    [this.#open, this.#openBytes] = [[], 0];
    filters.sort((a, b) => b.filter.log2Bits - a.filter.log2Bits || a.at - b.at);
    const section = new FilterSection(this.#doneBytes, log2Pages, sizesOf(filters));
    const pages = await this.#pages(section, filters);
    this.#done.push({ section, pages });
    this.#doneBytes += pages.length;
  }

  async #pages(section: FilterSection, filters: readonly BlockFilter[]): Promise<Buffer> {
    const { log2Pages, pageBytes } = section;
    const slices = filters.map(({ filter }) => new FilterSlices(filter, log2Pages));
    const pages = Buffer.alloc(2 ** log2Pages * pageBytes);
    for (let number = 0; number < 2 ** log2Pages; number++) {
      const page = pages.subarray(number * pageBytes, (number + 1) * pageBytes);
      let bit = 0;
      for (const slice of slices) bit = slice.write(number, page, bit);
      page.writeUInt32LE(crc32(page.subarray(0, -PAGE_CRC_BYTES)), pageBytes - PAGE_CRC_BYTES);
      if (number % TURN_PAGES === TURN_PAGES - 1) await this.#giveWay();
    }
    return pages;
  }
}

function sizesOf(filters: readonly BlockFilter[]): FilterSize[] {
  const sizes = Map.groupBy(filters, ({ filter }) => filter.log2Bits);
  return [...sizes].map(([log2Bits, some]) => ({ log2Bits, blocks: Float64Array.from(some, ({ at }) => at) }));
}

/** One filter in as many parts as there are pages. */
class FilterSlices {
  readonly #bytes: Uint8Array;
  /** Of a part: a power of two. */
  readonly #bits: number;

  constructor({ log2Bits, words }: SkipFilter, log2Pages: number) {
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#bits = 2 ** (log2Bits - log2Pages);
  }

  /** Writes part `number` to `page` from bit `at` on, which is a multiple of the part's size; returns where it ends. */
  write(number: number, page: Uint8Array, at: number): number {
    const bits = this.#bits;
    if (bits < 8) {
      const from = number * bits;
      page[at >>> 3] |= ((this.#bytes[from >>> 3] >>> (from & 7)) & (2 ** bits - 1)) << (at & 7);
    } else {
      const [from, to, size] = [(number * bits) >>> 3, at >>> 3, bits >>> 3];
      for (let byte = 0; byte < size; byte++) page[to + byte] = this.#bytes[from + byte];
    }
    return at + bits;
  }
}
