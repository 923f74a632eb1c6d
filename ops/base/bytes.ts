import { crc32 as nativeCrc32 } from 'node:zlib';

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** Below half of Node's pool. */
const MOST_POOLED = 2 * KiB;

/** CRC-32 (ISO-HDLC, as in zip) of `bytes`, going on from `value`. */
export function crc32(bytes: Uint8Array, value = 0): number {
  return nativeCrc32(bytes, value);
}

/** Whether bytes [from, to) are those of `wanted`. For a few of them: a call of Buffer's costs more. */
export function sameBytes(bytes: Uint8Array, from: number, to: number, wanted: Uint8Array): boolean {
  if (to - from !== wanted.length) return false;
  for (let at = 0; at < wanted.length; at++) if (bytes[from + at] !== wanted[at]) return false;
  return true;
}

/** Bytes, or characters, of all parts together. */
export function lengthOf(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** The next multiple of 8 at or above `size`. */
export function align8(size: number): number {
  return (size + 7) & ~7;
}

/** A Float64Array over bytes [at, at + 8 * count); borrowed when 8-aligned, a copy otherwise. */
export function float64View(bytes: Uint8Array, at: number, count: number): Float64Array {
  const start = bytes.byteOffset + at;
  if ((start & 7) === 0) return new Float64Array(bytes.buffer, start, count);
  return new Float64Array(bytes.buffer.slice(start, start + 8 * count));
}

/** A Uint32Array over bytes [at, at + 4 * count); borrowed when 4-aligned, a copy otherwise. */
export function uint32View(bytes: Uint8Array, at: number, count: number): Uint32Array {
  const start = bytes.byteOffset + at;
  if ((start & 3) === 0) return new Uint32Array(bytes.buffer, start, count);
  return new Uint32Array(bytes.buffer.slice(start, start + 4 * count));
}

/** A Uint16Array over bytes [at, at + 2 * count); borrowed when 2-aligned, a copy otherwise. */
export function uint16View(bytes: Uint8Array, at: number, count: number): Uint16Array {
  const start = bytes.byteOffset + at;
  if ((start & 1) === 0) return new Uint16Array(bytes.buffer, start, count);
  return new Uint16Array(bytes.buffer.slice(start, start + 2 * count));
}

/** The bytes of a typed array as a Buffer, borrowed. */
export function bytesOf(array: ArrayBufferView): Buffer {
  return Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

/** Frees the memory behind `bytes` now, if it is a whole ArrayBuffer and so nobody else's. Buffers of megabytes that wait for the garbage collector make it run
 *  for them: on the way of a push that took a third of all CPU time. Whoever still reads `bytes` finds it empty. */
export function release(bytes: ArrayBufferView): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength && !buffer.detached) buffer.transfer(0);
}

/** Uninitialised memory, 8-aligned. Short pieces share buffers of some kilobytes, which live as long as any of them: to make one of its own costs as much as to fill it. */
export function memoryOf(bytes: number): Buffer {
  return bytes < MOST_POOLED ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
}

/** A growing little-endian byte string. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;
  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }
  get length(): number {
    return this.#length;
  }
  #room(more: number): number {
    const at = this.#length;
    if (at + more > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, at + more));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = at + more;
    return at;
  }
  u8(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }
  u16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }
  u32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }
  f64(value: number): this {
    const at = this.#room(8);
    this.#bytes.writeDoubleLE(value, at);
    return this;
  }
  /** Unsigned LEB128; `value` is a safe integer >= 0. */
  varint(value: number): this {
    let rest = value;
    while (rest > 127) {
      this.u8((rest & 127) | 128);
      rest = Math.floor(rest / 128);
    }
    return this.u8(rest);
  }
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  /** Length (varint), then UTF-8. */
  text(value: string): this {
    const size = Buffer.byteLength(value);
    this.varint(size);
    const at = this.#room(size);
    this.#bytes.write(value, at, 'utf8');
    return this;
  }
  pad8(): this {
    const at = this.#length;
    const start = this.#room(align8(at) - at);
    this.#bytes.fill(0, start, this.#length);
    return this;
  }
  /** Overwrites four bytes written earlier. */
  setU32(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at);
  }
  /** What was written; borrowed until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads what ByteWriter wrote. Throws RangeError beyond the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  at: number;
  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }
  get left(): number {
    return this.#bytes.length - this.at;
  }
  #take(size: number): number {
    const at = this.at;
    if (size < 0 || at + size > this.#bytes.length) throw new RangeError(`wants ${size} bytes at ${at} of ${this.#bytes.length}`);
    this.at = at + size;
    return at;
  }
  u8(): number {
    return this.#bytes[this.#take(1)];
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  f64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 8; index++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 128;
    }
    throw new RangeError('varint beyond 53 bits');
  }
  raw(size: number): Buffer {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }
  text(): string {
    const size = this.varint();
    const at = this.#take(size);
    return this.#bytes.toString('utf8', at, at + size);
  }
  /** As `text`, for whether it is `wanted`: no string is made. */
  isText(wanted: Uint8Array): boolean {
    const size = this.varint();
    const at = this.#take(size);
    return sameBytes(this.#bytes, at, at + size, wanted);
  }
  skipVarints(count: number): void {
    for (let left = count; left > 0; left--) while (this.u8() >= 128);
  }
  pad8(): void {
    this.#take(align8(this.at) - this.at);
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** For people: `512 B`, `1.5 KiB`, `150 GiB`. */
export function printBinaryBytes(bytes: number): string {
  let power = 0;
  while (power < UNITS.length - 1 && bytes >= KiB ** (power + 1)) power++;
  const value = Math.round((bytes / KiB ** power) * 10) / 10;
  return `${value < 10 && power > 0 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[power]}`;
}
