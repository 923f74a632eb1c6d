import { Fault } from '../../ops/base/fault.ts';

/** Tags of fields: a number, a text, bytes or message with its length in front, and numbers of a fixed size. */
export const varint = (field: number): number => field << 3;
export const sized = (field: number): number => (field << 3) | 2;
export const fixed64 = (field: number): number => (field << 3) | 1;
export const fixed32 = (field: number): number => (field << 3) | 5;
/** Field numbers below 32, as a set of bits. */
export const fields = (...numbers: number[]): number => numbers.reduce((set, number) => set | (1 << number), 0);

const TWO_32 = 2 ** 32;

/** Walks protobuf messages byte by byte. `at` is where it stands; `limit` and `end` are where the message in hand ends.
 *  Every method throws Fault bad_request, with the place, on bytes that are no message. */
export class ProtoScanner {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Exact below 2^53. */
  varint(limit: number): number {
    const bytes = this.bytes;
    let at = this.at;
    if (at >= limit) throw truncated(at);
    let byte = bytes[at++];
    let value = byte;
    if (byte > 127) {
      value &= 127;
      let scale = 128;
      do {
        if (at >= limit) throw truncated(at);
        if (at - this.at === 10) throw new Fault('bad_request', `proto: integer overflow at byte ${at}`);
        byte = bytes[at++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
    }
    this.at = at;
    return value;
  }

  /** The low 32 bits of a varint: how protobuf reads a number that is too large for its field. */
  uint32(limit: number): number {
    const from = this.at;
    const value = this.varint(limit);
    return value < TWO_32 ? value : Number(BigInt.asUintN(32, this.#varint64(from)));
  }

  /** A signed number; a bigint where it is beyond 2^53. */
  int64(limit: number): number | bigint {
    const from = this.at;
    const value = this.varint(limit);
    return value <= Number.MAX_SAFE_INTEGER ? value : safeInteger(BigInt.asIntN(64, this.#varint64(from)));
  }

  /** The varint from `from` up to `at`. */
  #varint64(from: number): bigint {
    let value = 0n;
    for (let at = this.at - 1; at >= from; at--) value = (value << 7n) | BigInt(this.bytes[at] & 127);
    return value;
  }

  /** Reads a length; returns where the field with it ends. */
  end(limit: number): number {
    const length = this.varint(limit);
    const end = this.at + length;
    if (end > limit) throw truncated(this.at);
    return end;
  }

  /** Goes past `size` bytes; returns where they begin. */
  fixed(size: number, limit: number): number {
    const at = this.at;
    if (at + size > limit) throw truncated(at);
    this.at = at + size;
    return at;
  }

  /** Reads a text up to `end`; bytes that are not UTF-8 become U+FFFD. */
  text(end: number): string {
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }

  /** Goes past the value of a field that nobody reads. If it is one of `known` (see `fields`), it has another wire type than it must, and what it holds must not
   *  get lost. */
  skip(tag: number, limit: number, known = 0): void {
    if (tag < 8) throw new Fault('bad_request', `proto: illegal tag ${tag} at byte ${this.at}`);
    const number = Math.floor(tag / 8);
    if (number < 32 && (known & (1 << number)) !== 0) {
      throw new Fault('bad_request', `proto: wrong wire type ${tag % 8} of field ${number} at byte ${this.at}`);
    }
    switch (tag % 8) {
      case 0:
        this.varint(limit);
        return;
      case 1:
        this.fixed(8, limit);
        return;
      case 2:
        this.at = this.end(limit);
        return;
      case 5:
        this.fixed(4, limit);
        return;
      default:
        throw new Fault('bad_request', `proto: illegal wire type ${tag % 8} at byte ${this.at}`);
    }
  }
}

function truncated(at: number): Fault {
  return new Fault('bad_request', `proto: unexpected end of message at byte ${at}`);
}

/** A number where that is exact. */
export function safeInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
