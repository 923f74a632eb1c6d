import type { Ranges } from './regex-classes.ts';

/** Byte ranges, one for each byte of a UTF-8 sequence: [lo, hi, lo, hi, …], two to four pairs. */
export type ByteSequence = readonly number[];

/** The last code point of each encoded length, and where surrogates cut the range. */
const CUTS: readonly (readonly [lo: number, hi: number])[] = [
  [0x80, 0x7ff],
  [0x800, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x10ffff],
];

/** Every sequence of valid UTF-8 for a code point from 0x80 on, where only valid UTF-8 is searched. */
const ALL_SEQUENCES: readonly ByteSequence[] = [
  [0xc2, 0xdf, 0x80, 0xbf],
  [0xe0, 0xef, 0x80, 0xbf, 0x80, 0xbf],
  [0xf0, 0xf4, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf],
];

/** The sequences that encode the members of `ranges` above ASCII. */
export function utf8Sequences(ranges: Ranges): readonly ByteSequence[] {
  if (holdsAllNonAscii(ranges)) return ALL_SEQUENCES;
  const out: ByteSequence[] = [];
  for (let at = 0; at < ranges.length; at += 2) {
    for (const [lo, hi] of CUTS) {
      const from = Math.max(ranges[at], lo);
      const to = Math.min(ranges[at + 1], hi);
      if (from <= to) split(from, to, out);
    }
  }
  return out;
}

export function holdsAllNonAscii(ranges: Ranges): boolean {
  const last = ranges.length - 2;
  return last >= 0 && ranges[last] <= 0x80 && ranges[last + 1] === 0x10ffff;
}

/** Splits [lo, hi], code points of one encoded length, so that each part is a product of byte ranges. */
function split(lo: number, hi: number, out: ByteSequence[]): void {
  for (let tail = 1; tail <= 3; tail++) {
    const mask = (1 << (6 * tail)) - 1;
    if ((lo & ~mask) === (hi & ~mask)) break;
    if ((lo & mask) !== 0) {
      split(lo, lo | mask, out);
      split((lo | mask) + 1, hi, out);
      return;
    }
    if ((hi & mask) !== mask) {
      split(lo, (hi & ~mask) - 1, out);
      split(hi & ~mask, hi, out);
      return;
    }
  }
  const from = encode(lo);
  const to = encode(hi);
  out.push(from.flatMap((byte, index) => [byte, to[index]]));
}

function encode(code: number): number[] {
  const tail = (shift: number) => 0x80 | ((code >> shift) & 0x3f);
  if (code < 0x800) return [0xc0 | (code >> 6), tail(0)];
  if (code < 0x10000) return [0xe0 | (code >> 12), tail(6), tail(0)];
  return [0xf0 | (code >> 18), tail(12), tail(6), tail(0)];
}
