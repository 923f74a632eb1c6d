import { type ByteReader, type ByteWriter, KiB } from '../../ops/base/bytes.ts';
import { MAX_LOG2_BITS, MIN_LOG2_BITS } from '../chunk/skip-filter.ts';
import { countOf } from './segment-info.ts';

/** After the bits of a page. */
export const PAGE_CRC_BYTES = 4;
/** The most of a page that a reader takes, many times what a writer makes: so the pages that a query reads at one time are nothing to keep count of. */
export const MAX_PAGE_BYTES = 64 * KiB;

/** Filters of one size. */
export interface FilterSize {
  readonly log2Bits: number;
  /** Where their blocks start in the object, ascending. */
  readonly blocks: Float64Array;
}

/** Filters of many blocks, cut into pages by the value of the hashes: what a page lacks of a hash, no block has. */
export class FilterSection {
  /** Where its first page starts in the object. */
  readonly at: number;
  readonly log2Pages: number;
  /** The largest first. */
  readonly sizes: readonly FilterSize[];
  /** Of each page. */
  readonly pageBytes: number;

  constructor(at: number, log2Pages: number, sizes: readonly FilterSize[]) {
    this.at = at;
    this.log2Pages = log2Pages;
    this.sizes = sizes;
    this.pageBytes = Math.ceil(bitsOfPage(log2Pages, sizes) / 8) + PAGE_CRC_BYTES;
  }

  /** The page that has the hash's bits. */
  pageOf(hash: number): number {
    return this.log2Pages === 0 ? 0 : hash >>> (32 - this.log2Pages);
  }

  /** Where page `number` is in the object, [from, to). */
  rangeOf(number: number): [from: number, to: number] {
    const from = this.at + number * this.pageBytes;
    return [from, from + this.pageBytes];
  }
}

function bitsOfPage(log2Pages: number, sizes: readonly FilterSize[]): number {
  return sizes.reduce((bits, { log2Bits, blocks }) => bits + blocks.length * 2 ** (log2Bits - log2Pages), 0);
}

/** Layout: FORMAT.md. */
export function writeFilterDirectory(out: ByteWriter, sections: readonly FilterSection[]): void {
  out.varint(sections.length);
  for (const { at, log2Pages, sizes } of sections) {
    out.varint(at).u8(log2Pages).varint(sizes.length);
    for (const { log2Bits, blocks } of sizes) {
      out.u8(log2Bits).varint(blocks.length);
      let before = 0;
      for (const block of blocks) {
        out.varint(block - before);
        before = block;
      }
    }
  }
}

/** Throws RangeError on bytes that `writeFilterDirectory` does not write. */
export function readFilterDirectory(reader: ByteReader): FilterSection[] {
  return Array.from({ length: countOf(reader) }, () => {
    const at = reader.varint();
    const log2Pages = reader.u8();
    const sizes = Array.from({ length: countOf(reader) }, () => readSize(reader));
    const least = sizes.at(-1)?.log2Bits ?? 0;
    if (sizes.length === 0 || log2Pages > least) throw new RangeError(`2^${log2Pages} pages for filters of 2^${least} bits`);
    if (sizes.some(({ log2Bits }, index) => index > 0 && log2Bits >= sizes[index - 1].log2Bits))
      throw new RangeError('sizes of filters do not descend');
    const section = new FilterSection(at, log2Pages, sizes);
    if (section.pageBytes > MAX_PAGE_BYTES) throw new RangeError(`a page of filters of ${section.pageBytes} bytes`);
    return section;
  });
}

function readSize(reader: ByteReader): FilterSize {
  const log2Bits = reader.u8();
  if (log2Bits < MIN_LOG2_BITS || log2Bits > MAX_LOG2_BITS) throw new RangeError(`a filter of 2^${log2Bits} bits`);
  const count = countOf(reader);
  const blocks = new Float64Array(count);
  for (let index = 0, at = 0; index < count; index++) {
    at += reader.varint();
    blocks[index] = at;
  }
  return { log2Bits, blocks };
}
