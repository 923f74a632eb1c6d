import type { MetadataColumn } from '../../logql/model.ts';
import { ByteReader, ByteWriter, bytesOf, uint16View, uint32View } from '../../ops/base/bytes.ts';
import { indexWidth, type MetadataIndex, valueBytes, valuesFrom } from './metadata.ts';

// How columns become bytes, before compression. Layouts: FORMAT.md. Decoders throw RangeError on bytes that no encoder made.

export interface EncodedColumn {
  /** Which of the column's layouts; below 128. */
  readonly layout: number;
  /** Borrowed until the next column is encoded. */
  readonly bytes: Uint8Array;
}

const scratch = { bytes: Buffer.allocUnsafeSlow(64 * 1024) };

function scratchOf(size: number): Buffer {
  if (scratch.bytes.length < size) scratch.bytes = Buffer.allocUnsafeSlow(size * 2);
  return scratch.bytes;
}

const MAX_VARINT = 8;

/** Distances between neighbouring times in the largest unit (1 s, 1 ms, 1 µs, 1 ns) that divides them all, as varints. The first time is not written. */
export function encodeTimes(times: Float64Array): EncodedColumn {
  const exponent = commonExponent(times);
  const unit = 10 ** exponent;
  const out = scratchOf(1 + times.length * MAX_VARINT);
  out[0] = exponent;
  let at = 1;
  for (let row = 1; row < times.length; row++) {
    let rest = (times[row] - times[row - 1]) / unit;
    while (rest > 127) {
      const high = Math.floor(rest / 128);
      out[at++] = (rest - high * 128) | 128;
      rest = high;
    }
    out[at++] = rest;
  }
  return { layout: 0, bytes: out.subarray(0, at) };
}

function commonExponent(times: Float64Array): number {
  let exponent = 9;
  let unit = 1e9;
  for (let row = 1; row < times.length && exponent > 0; row++) {
    const distance = times[row] - times[row - 1];
    while (Math.round(distance / unit) * unit !== distance) {
      exponent -= 3;
      unit /= 1000;
    }
  }
  return exponent;
}

export function decodeTimes(bytes: Buffer, rows: number, minOffset: number): Float64Array {
  if (bytes.length < rows || bytes[0] % 3 !== 0 || bytes[0] > 9) throw new RangeError('times column too short or of an unknown unit');
  const unit = 10 ** bytes[0];
  const times = new Float64Array(rows);
  let time = minOffset;
  times[0] = time;
  let at = 1;
  for (let row = 1; row < rows; row++) {
    let distance = bytes[at++];
    if (distance > 127) {
      distance &= 127;
      let scale = 128;
      let byte: number;
      do {
        byte = bytes[at++];
        distance += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
    }
    time += distance * unit;
    times[row] = time;
  }
  // Beyond the end a byte reads as undefined and ends its number, so one check at the end sees every overrun.
  if (at !== bytes.length || !Number.isSafeInteger(time)) throw new RangeError('times column does not fit its rows');
  return times;
}

/** Line lengths less the smallest, one, two or four bytes each; the layout is that width, 0 where all lengths are equal. */
export function encodeEnds(ends: Uint32Array): EncodedColumn {
  let least = ends[0];
  let most = ends[0];
  for (let row = 1; row < ends.length; row++) {
    const length = ends[row] - ends[row - 1];
    if (length < least) least = length;
    if (length > most) most = length;
  }
  const layout = most === least ? 0 : indexWidth(most - least);
  const out = scratchOf(4 + ends.length * layout);
  out.writeUInt32LE(least, 0);
  let start = 0;
  for (let row = 0, at = 4; layout > 0 && row < ends.length; row++, at += layout) {
    const excess = ends[row] - start - least;
    start = ends[row];
    if (layout === 1) out[at] = excess;
    else if (layout === 2) out.writeUInt16LE(excess, at);
    else out.writeUInt32LE(excess, at);
  }
  return { layout, bytes: out.subarray(0, 4 + ends.length * layout) };
}

export function decodeEnds(layout: number, bytes: Buffer, rows: number, lineBytes: number): Uint32Array {
  if (layout === 3 || layout > 4 || bytes.length !== 4 + rows * layout) throw new RangeError('line lengths do not fit their rows');
  const least = bytes.readUInt32LE(0);
  const ends = new Uint32Array(rows);
  let end = 0;
  if (layout === 0) for (let row = 0; row < rows; row++) ends[row] = end += least;
  else {
    const excess = viewNumbers(bytes, 4, layout, rows);
    for (let row = 0; row < rows; row++) ends[row] = end += least + excess[row];
  }
  if (end !== lineBytes) throw new RangeError(`line lengths make ${end} bytes instead of ${lineBytes}`);
  return ends;
}

/** Layouts of a metadata column: one value in every row; a dictionary and per row a number of 1, 2 or 4 bytes; as many values as rows that have one. */
const CONSTANT = 0;
const DISTINCT = 8;

/** `column` is in canonical form. */
export function encodeMetadata({ values, index }: MetadataColumn): EncodedColumn {
  const rows = index.length;
  const present = countPresent(index);
  const out = new ByteWriter(256 + rows);
  if (values.length === 1 && present === rows) return { layout: CONSTANT, bytes: out.raw(Buffer.from(values[0])).view() };
  if (values.length === present) {
    out.raw(presenceBits(index));
    writeValues(out, values);
    return { layout: DISTINCT, bytes: out.view() };
  }
  out.raw(bytesOf(index));
  writeValues(out, values);
  return { layout: index.BYTES_PER_ELEMENT, bytes: out.view() };
}

export function decodeMetadata(key: string, layout: number, bytes: Buffer, rows: number): MetadataColumn {
  if (layout === CONSTANT) return { key, values: [bytes.toString('utf8')], index: new Uint8Array(rows).fill(1) };
  if (layout === DISTINCT) {
    const reader = new ByteReader(bytes);
    const bits = reader.raw((rows + 7) >>> 3);
    const values = readValues(reader);
    return { key, values, index: numberPresent(bits, rows, values.length) };
  }
  if (layout !== 1 && layout !== 2 && layout !== 4) throw new RangeError(`unknown layout ${layout} of a metadata column`);
  const reader = new ByteReader(bytes, rows * layout);
  const index = viewNumbers(bytes, 0, layout, rows);
  const values = readValues(reader);
  for (let row = 0; row < rows; row++) if (index[row] > values.length) throw new RangeError('metadata value beyond its dictionary');
  return { key, values, index };
}

function countPresent(index: MetadataIndex): number {
  let present = 0;
  for (let row = 0; row < index.length; row++) if (index[row] !== 0) present++;
  return present;
}

/** A bit per row, lowest first: whether the row has a value. */
function presenceBits(index: MetadataIndex): Uint8Array {
  const bits = new Uint8Array((index.length + 7) >>> 3);
  for (let row = 0; row < index.length; row++) if (index[row] !== 0) bits[row >>> 3] |= 1 << (row & 7);
  return bits;
}

/** The n-th row that has a value has the n-th value. */
function numberPresent(bits: Uint8Array, rows: number, values: number): MetadataIndex {
  const width = indexWidth(values);
  const index = width === 1 ? new Uint8Array(rows) : width === 2 ? new Uint16Array(rows) : new Uint32Array(rows);
  let number = 0;
  for (let row = 0; row < rows; row++) if (((bits[row >>> 3] >>> (row & 7)) & 1) !== 0) index[row] = ++number;
  if (number !== values) throw new RangeError(`${number} rows for ${values} values`);
  return index;
}

/** Count and lengths, then the values end to end. */
function writeValues(out: ByteWriter, values: readonly string[]): void {
  const { lengths, text } = valueBytes(values);
  out.varint(values.length);
  for (const length of lengths) out.varint(length);
  out.raw(text);
}

function readValues(reader: ByteReader): string[] {
  const count = reader.varint();
  if (count > reader.left) throw new RangeError(`${count} values in ${reader.left} bytes`);
  const lengths = new Array<number>(count);
  for (let number = 0; number < count; number++) lengths[number] = reader.varint();
  return valuesFrom(lengths, reader.raw(reader.left));
}

function viewNumbers(bytes: Buffer, at: number, width: number, count: number): MetadataIndex {
  if (width === 1) return new Uint8Array(bytes.buffer, bytes.byteOffset + at, count);
  return width === 2 ? uint16View(bytes, at, count) : uint32View(bytes, at, count);
}
