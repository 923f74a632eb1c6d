import { isUtf8 } from 'node:buffer';

const REPLACEMENT = Buffer.from('\ufffd');

/** A line in which each byte that is not part of valid UTF-8 became U+FFFD, as Go reads it. */
export interface RepairedLine {
  readonly bytes: Buffer;
  /** Where an offset into `bytes` lies in the bytes it was made from. */
  original(at: number): number;
}

/** Repairs bytes [from, to) of `bytes`; undefined if they are valid UTF-8. */
export function repairUtf8(bytes: Buffer, from: number, to: number): RepairedLine | undefined {
  const line = bytes.subarray(from, to);
  if (isUtf8(line)) return undefined;
  const out = Buffer.allocUnsafe(line.length * 3);
  const bad: number[] = []; // offsets into `out` where a byte became three
  let size = 0;
  for (let at = 0; at < line.length; ) {
    const length = sequenceLength(line, at);
    if (length === 0) {
      bad.push(size);
      size += REPLACEMENT.copy(out, size);
      at++;
    } else {
      size += line.copy(out, size, at, at + length);
      at += length;
    }
  }
  return {
    bytes: out.subarray(0, size),
    original: (at) => at - 2 * countBelow(bad, at),
  };
}

/** How many of the ascending `places` are below `bound`. */
function countBelow(places: readonly number[], bound: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle] < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Bytes of the valid UTF-8 sequence at `at`, 0 if there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
