import { crc32 } from '../../ops/base/bytes.ts';
import type { RangeReader } from '../blob/range-cache.ts';
import type { ReadMeter } from '../chunk/block.ts';
import { type FilterSection, PAGE_CRC_BYTES } from './filter-directory.ts';

/** Pages read at once. A page lets about two blocks of five through, so these leave one of some thousand that do not hold what is asked for. */
const ROUND_PAGES = 8;
/** So few blocks that are left after a round hold it, most likely. */
const FEW_BLOCKS = 2;

/** What is looked for: a block whose filter lacks any of the hashes has no row of interest. */
export interface FilterQuestion {
  /** In the order in which they are to be asked for: each eight are to tell as much as they can. */
  readonly hashes: Uint32Array;
  /** Blocks that would be read, by where they start in the object, with their stored bytes. */
  readonly blocks: ReadonlyMap<number, number>;
}

export interface FilterSource {
  readonly ranges: RangeReader;
  readonly key: string;
  readonly sections: readonly FilterSection[];
  readonly meter?: ReadMeter;
}

/** Those of the blocks that cannot hold what is looked for. Pages of filters are read only as long as the blocks in question are larger than they. A page that is
 *  damaged says nothing: the blocks are whole all the same. Settles when nothing is being read any more; throws what the store throws. */
export async function blocksWithout({ hashes, blocks }: FilterQuestion, source: FilterSource): Promise<ReadonlySet<number>> {
  const without = new Set<number>();
  const probes = source.sections.map((section) => new SectionProbe(section, hashes, blocks));
  await allSettled(probes.map((probe) => probe.run(source)));
  for (const probe of probes) for (const at of probe.without) without.add(at);
  return without;
}

/** A block that may still hold what is looked for. */
interface Candidate {
  readonly at: number;
  readonly storedBytes: number;
  /** Where the part of its filter starts in a page, in bits. */
  readonly bitAt: number;
  /** The bit of a hash in that part: its value after this shift, of which the lower bits count. */
  readonly shift: number;
  readonly mask: number;
}

/** Asks the filters of one section. */
class SectionProbe {
  readonly without: number[] = [];
  readonly #section: FilterSection;
  /** The hashes of each page that has any. */
  readonly #pages: readonly (readonly [page: number, hashes: readonly number[]])[];
  #candidates: Candidate[];

  constructor(section: FilterSection, hashes: Uint32Array, blocks: ReadonlyMap<number, number>) {
    this.#section = section;
    this.#pages = [...Map.groupBy(hashes, (hash) => section.pageOf(hash))];
    this.#candidates = candidatesOf(section, blocks);
  }

  async run({ ranges, key, meter }: FilterSource): Promise<void> {
    for (let next = 0; next < this.#pages.length; next += ROUND_PAGES) {
      const round = this.#pages.slice(next, next + ROUND_PAGES);
      const before = this.#candidates.length;
      if (this.#bytesInQuestion() <= round.length * this.#section.pageBytes) return;
      const pages = await allSettled(round.map(([number]) => readPage(ranges, key, this.#section, number)));
      if (meter !== undefined) {
        meter.filterBytes += round.length * this.#section.pageBytes;
        meter.damagedPages += pages.filter((page) => page === undefined).length;
      }
      for (const [index, [, hashes]] of round.entries()) {
        const page = pages[index];
        if (page !== undefined) this.#narrow(page, hashes);
      }
      // Where most of them hold it, more pages would not tell more.
      if (this.#candidates.length <= FEW_BLOCKS || this.#candidates.length * 2 > before) return;
    }
  }

  #bytesInQuestion(): number {
    return this.#candidates.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  }

  #narrow(page: Buffer, hashes: readonly number[]): void {
    this.#candidates = this.#candidates.filter(({ at, bitAt, shift, mask }) => {
      const has = hashes.every((hash) => {
        const bit = bitAt + ((hash >>> shift) & mask);
        return ((page[bit >>> 3] >>> (bit & 7)) & 1) === 1;
      });
      if (!has) this.without.push(at);
      return has;
    });
  }
}

function candidatesOf({ log2Pages, sizes }: FilterSection, blocks: ReadonlyMap<number, number>): Candidate[] {
  const candidates: Candidate[] = [];
  let bitAt = 0;
  for (const { log2Bits, blocks: places } of sizes) {
    const bits = 2 ** (log2Bits - log2Pages);
    for (const at of places) {
      const storedBytes = blocks.get(at);
      if (storedBytes !== undefined) candidates.push({ at, storedBytes, bitAt, shift: 32 - log2Bits, mask: bits - 1 });
      bitAt += bits;
    }
  }
  return candidates;
}

/** Undefined: it is damaged. */
async function readPage(ranges: RangeReader, key: string, section: FilterSection, number: number): Promise<Buffer | undefined> {
  const page = await ranges.get(key, section.rangeOf(number));
  const bits = page.subarray(0, -PAGE_CRC_BYTES);
  return page.length === section.pageBytes && crc32(bits) === page.readUInt32LE(bits.length) ? bits : undefined;
}

/** The results once all are there; rejects as the first that was rejected, but not before the others are done too. */
async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
