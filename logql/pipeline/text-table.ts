/** Ranges longer than this are not remembered: they hardly recur. */
const MOST_BYTES = 64;
/** A power of two. */
const SLOTS = 1_024;

/** Texts of byte ranges. A range whose bytes were seen lately gives the text made then: no string is made of it, and equal texts are mostly one string, which
 *  makes them fast to look up in maps. */
export class TextTable {
  readonly #decode: (bytes: Buffer, from: number, to: number) => string;
  /** What the bytes are, one character for each. */
  readonly #ranges: string[] = new Array(SLOTS).fill('');
  readonly #texts: string[] = new Array(SLOTS).fill('');

  /** `decode`: what the text of a range is. Follows from its bytes alone. */
  constructor(decode: (bytes: Buffer, from: number, to: number) => string) {
    this.#decode = decode;
  }

  of(bytes: Buffer, from: number, to: number): string {
    const length = to - from;
    if (length === 0 || length > MOST_BYTES) return this.#decode(bytes, from, to);
    let hash = length;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + bytes[at]) | 0;
    const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (SLOTS - 1);
    const range = this.#ranges[slot];
    if (range.length === length && same(range, bytes, from)) return this.#texts[slot];
    const text = this.#decode(bytes, from, to);
    const raw = bytes.toString('latin1', from, to);
    this.#ranges[slot] = raw;
    this.#texts[slot] = raw === text ? raw : text;
    return this.#texts[slot];
  }
}

function same(range: string, bytes: Buffer, from: number): boolean {
  for (let at = 0; at < range.length; at++) if (range.charCodeAt(at) !== bytes[from + at]) return false;
  return true;
}
