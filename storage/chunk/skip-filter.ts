import type { MetadataColumn } from '../../logql/model.ts';
import { keyHash, setGramBits, setValueBits, VALUE_BITS } from './gram-hash.ts';

/** Tells of a block what none of its rows has: which bits stand for what is said in FORMAT.md. */
export interface SkipFilter {
  /** There are 2^log2Bits bits. */
  readonly log2Bits: number;
  /** The lowest bit of a word comes first. */
  readonly words: Uint32Array;
}

/** A filter is a word at least, and an eighth of a block's lines at most. */
export const MIN_LOG2_BITS = 5;
export const MAX_LOG2_BITS = 20;

/** Makes filters one after the other, in memory that it keeps. */
export class SkipFilterMaker {
  #words = new Uint32Array(wordsIn(MAX_LOG2_BITS));
  #folded = new Uint32Array(wordsIn(MAX_LOG2_BITS));

  /** The smallest filter of a block with these lines, end to end, and metadata that has no more than half of its bits set: the fuller it is, the more it tells for
   *  its size, and the more of its bits have to be asked for. Undefined where even the largest is fuller. */
  make(lines: Uint8Array, metadata: readonly MetadataColumn[]): SkipFilter | undefined {
    let log2Bits = startingSize(lines, metadata);
    this.#words.fill(0, 0, wordsIn(log2Bits));
    this.#set(lines, metadata, 32 - log2Bits);
    if (isTooFull(this.#words, log2Bits)) return undefined;
    for (; log2Bits > MIN_LOG2_BITS; log2Bits--) {
      fold(this.#words, this.#folded, wordsIn(log2Bits - 1));
      if (isTooFull(this.#folded, log2Bits - 1)) break;
      [this.#words, this.#folded] = [this.#folded, this.#words];
    }
    return { log2Bits, words: this.#words.slice(0, wordsIn(log2Bits)) };
  }

  #set(lines: Uint8Array, metadata: readonly MetadataColumn[], shift: number): void {
    setGramBits(lines, this.#words, shift);
    for (const { key, values } of metadata) {
      const hash = keyHash(key);
      for (const value of values) setValueBits(hash, value, this.#words, shift);
    }
  }
}

function wordsIn(log2Bits: number): number {
  return 2 ** (log2Bits - 5);
}

/** A size at which no more than half of the bits can be set, if there is one. */
function startingSize(lines: Uint8Array, metadata: readonly MetadataColumn[]): number {
  const bits = lines.length + metadata.reduce((sum, { values }) => sum + VALUE_BITS * values.length, 0);
  return Math.min(Math.max(Math.ceil(Math.log2(2 * bits + 1)), MIN_LOG2_BITS), MAX_LOG2_BITS);
}

/** Makes two neighbouring bits one, set if either is: what is left is the filter of half the size. Writes `count` words. */
function fold(from: Uint32Array, to: Uint32Array, count: number): void {
  for (let word = 0; word < count; word++) to[word] = halved(from[2 * word]) | (halved(from[2 * word + 1]) << 16);
}

/** 16 bits, each of them set if either of a pair is. */
function halved(word: number): number {
  let bits = (word | (word >>> 1)) & 0x55555555;
  bits = (bits | (bits >>> 1)) & 0x33333333;
  bits = (bits | (bits >>> 2)) & 0x0f0f0f0f;
  bits = (bits | (bits >>> 4)) & 0x00ff00ff;
  return (bits | (bits >>> 8)) & 0x0000ffff;
}

function isTooFull(words: Uint32Array, log2Bits: number): boolean {
  let count = 0;
  for (let word = 0; word < wordsIn(log2Bits); word++) count += bitsSet(words[word]);
  return count > 2 ** (log2Bits - 1);
}

function bitsSet(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The same filter, made to have 2^log2Bits bits at least. */
export function unfolded(filter: SkipFilter, log2Bits: number): SkipFilter {
  let { words } = filter;
  for (let size = filter.log2Bits; size < log2Bits; size++) {
    const larger = new Uint32Array(2 * words.length);
    for (let word = 0; word < words.length; word++) {
      larger[2 * word] = doubled(words[word] & 0xffff);
      larger[2 * word + 1] = doubled(words[word] >>> 16);
    }
    words = larger;
  }
  return { log2Bits: Math.max(filter.log2Bits, log2Bits), words };
}

/** 32 bits, each two of them as one of the 16 given. */
function doubled(half: number): number {
  let bits = (half | (half << 8)) & 0x00ff00ff;
  bits = (bits | (bits << 4)) & 0x0f0f0f0f;
  bits = (bits | (bits << 2)) & 0x33333333;
  bits = (bits | (bits << 1)) & 0x55555555;
  return bits | (bits << 1);
}
