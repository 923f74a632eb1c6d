import { createHash } from 'node:crypto';
import type { MetadataColumn } from '../../logql/model.ts';
import { align8, bytesOf, float64View, memoryOf, release, uint16View, uint32View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';

export const HOUR_NS = 3_600_000_000_000;
export const DAY_NS = 24 * HOUR_NS;
const MAGIC = 0x3142524d;
const HEADER = 64;
const COLUMN_HEADER = 24;
const FLAG_ORDERED = 1;
const FLAG_ASCENDING = 2;

/** Names a stream within the store: equal for equal tenant and canonical labels, on every machine. 16 hex digits. */
export type StreamHash = string;

export function streamHash(tenant: string, canonicalLabels: string): StreamHash {
  return createHash('sha256').update(tenant).update('\0').update(canonicalLabels).digest('hex').slice(0, 16);
}

/** Which of `shards` a stream belongs to. */
export function shardOf(hash: StreamHash, shards: number): number {
  return Number.parseInt(hash.slice(0, 8), 16) % shards;
}

/** Whether a stream is in part `index` of `of`; part 0 of 1 is all streams. */
export function inShard(hash: StreamHash, { index, of }: { readonly index: number; readonly of: number }): boolean {
  return of === 1 || shardOf(hash, of) === index;
}

/** Collects one stream's entries of one hour and lays them out as a batch. Columns grow by doubling; `reserve` avoids it. */
export class BatchBuilder {
  readonly hour: number;
  readonly #labels: Buffer;
  readonly #hash: StreamHash;
  /** Of the three columns, until they grow out of it: one piece of memory is made and freed faster than three. */
  readonly #reserved: Buffer;
  #times: Float64Array;
  #ends: Uint32Array;
  #lines: Buffer;
  #lineBytes = 0;
  #rows = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #flags = FLAG_ORDERED | FLAG_ASCENDING;
  #metadataBytes = 0;
  #pairs = 0;
  readonly #columns = new Map<string, ColumnBuilder>();

  constructor(
    canonicalLabels: string,
    hash: StreamHash,
    hour: number,
    reserve: { rows: number; lineBytes: number } = { rows: 16, lineBytes: 1024 },
  ) {
    this.hour = hour;
    this.#labels = Buffer.from(canonicalLabels);
    this.#hash = hash;
    const { rows, lineBytes } = reserve;
    this.#reserved = memoryOf(rows * 12 + lineBytes);
    const { buffer, byteOffset } = this.#reserved;
    this.#times = new Float64Array(buffer, byteOffset, rows);
    this.#ends = new Uint32Array(buffer, byteOffset + rows * 8, rows);
    this.#lines = this.#reserved.subarray(rows * 12);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Of lines and metadata. */
  get contentBytes(): number {
    return this.#lineBytes + this.#metadataBytes;
  }
  get sizeBytes(): number {
    return this.#lineBytes + this.#metadataBytes + this.#rows * 12;
  }

  /** Whether most rows lack most metadata keys. Columns hold a place for every row, so what such a batch would take is better put into several. */
  get sparse(): boolean {
    return this.#columns.size * this.#rows > this.#pairs * 8 + 4_096;
  }

  /** Adds an entry `offsetNs` after the hour whose line is bytes [from, to) of `bytes`. Follow with `metadata` for its pairs. */
  add(offsetNs: number, bytes: Buffer, from: number, to: number): void {
    const row = this.#rows;
    if (row === this.#times.length) this.#growRows();
    const length = to - from;
    if (this.#lineBytes + length > this.#lines.length) this.#growLines(length);
    if (length > 0) bytes.copy(this.#lines, this.#lineBytes, from, to);
    this.#lineBytes += length;
    this.#ends[row] = this.#lineBytes;
    this.#times[row] = offsetNs;
    if (offsetNs <= this.#max) this.#flags &= offsetNs < this.#max ? 0 : FLAG_ORDERED;
    if (offsetNs < this.#min) this.#min = offsetNs;
    if (offsetNs > this.#max) this.#max = offsetNs;
    this.#rows = row + 1;
  }

  /** A metadata pair of the entry added last. A key given twice keeps its last value. */
  metadata(key: string, value: string): void {
    let column = this.#columns.get(key);
    if (column === undefined) {
      column = new ColumnBuilder(key);
      this.#columns.set(key, column);
    }
    this.#pairs++;
    this.#metadataBytes += column.set(this.#rows - 1, value);
  }

  #growRows(): void {
    const times = new Float64Array(Math.max(16, this.#rows * 2));
    times.set(this.#times);
    this.#times = times;
    const ends = new Uint32Array(times.length);
    ends.set(this.#ends);
    this.#ends = ends;
  }

  #growLines(more: number): void {
    const lines = Buffer.allocUnsafeSlow(Math.max(this.#lines.length * 2, this.#lineBytes + more));
    this.#lines.copy(lines, 0, 0, this.#lineBytes);
    this.#lines = lines;
  }

  /** The batch's bytes, owned by the caller, in what `allocate` gives: zeros, 8-aligned; otherwise in a buffer of their own. Wants rows > 0. The builder is done for. */
  finish(allocate: (bytes: number) => Buffer = Buffer.alloc): Buffer {
    const rows = this.#rows;
    const columns = [...this.#columns.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const timesAt = HEADER;
    const endsAt = timesAt + rows * 8;
    const labelsAt = endsAt + align8(rows * 4);
    const linesAt = labelsAt + align8(this.#labels.length);
    const columnsAt = linesAt + align8(this.#lineBytes);
    const length = columns.reduce((at, column) => at + column.size(rows), columnsAt);
    const out = allocate(length);
    out.writeUInt32LE(MAGIC, 0);
    out.writeUInt32LE(length, 4);
    out.writeUInt32LE(rows, 8);
    out.writeUInt32LE(this.hour, 12);
    out.write(this.#hash, 16, 'hex');
    out.writeDoubleLE(this.#min, 24);
    out.writeDoubleLE(this.#max, 32);
    out.writeUInt32LE(this.#labels.length, 40);
    out.writeUInt32LE(this.#lineBytes, 44);
    out.writeUInt32LE(columns.length, 48);
    out.writeUInt32LE(this.#flags, 52);
    out.writeUInt32LE(this.#metadataBytes, 56);
    bytesOf(this.#times).copy(out, timesAt, 0, rows * 8);
    bytesOf(this.#ends).copy(out, endsAt, 0, rows * 4);
    this.#labels.copy(out, labelsAt);
    this.#lines.copy(out, linesAt, 0, this.#lineBytes);
    let at = columnsAt;
    for (const column of columns) at += column.write(out, at, rows);
    for (const memory of [this.#reserved, this.#times, this.#ends, this.#lines]) release(memory);
    return out;
  }
}

/** One metadata key while a batch is built. */
class ColumnBuilder {
  readonly key: string;
  readonly #keyBytes: Buffer;
  readonly #numbers = new Map<string, number>();
  readonly #values: Buffer[] = [];
  #valueBytes = 0;
  #index = new Uint32Array(16);

  constructor(key: string) {
    this.key = key;
    this.#keyBytes = Buffer.from(key);
  }

  /** Sets the value of `row`; returns by how many bytes the row's metadata grew. */
  set(row: number, value: string): number {
    let number = this.#numbers.get(value);
    if (number === undefined) {
      const bytes = Buffer.from(value);
      this.#values.push(bytes);
      this.#valueBytes += bytes.length;
      number = this.#values.length;
      this.#numbers.set(value, number);
    }
    if (row >= this.#index.length) {
      const index = new Uint32Array(Math.max(row + 1, this.#index.length * 2));
      index.set(this.#index);
      this.#index = index;
    }
    const before = this.#index[row];
    this.#index[row] = number;
    const size = this.#values[number - 1].length;
    return before === 0 ? this.#keyBytes.length + size : size - this.#values[before - 1].length;
  }

  get #width(): 1 | 2 | 4 {
    return this.#values.length < 256 ? 1 : this.#values.length < 65_536 ? 2 : 4;
  }

  #indexAt(): number {
    return align8(COLUMN_HEADER + this.#values.length * 4 + this.#keyBytes.length + this.#valueBytes);
  }

  size(rows: number): number {
    return this.#indexAt() + align8(rows * this.#width);
  }

  write(out: Buffer, at: number, rows: number): number {
    const size = this.size(rows);
    out.writeUInt32LE(size, at);
    out[at + 4] = this.#width;
    out.writeUInt32LE(this.#keyBytes.length, at + 8);
    out.writeUInt32LE(this.#values.length, at + 12);
    out.writeUInt32LE(this.#valueBytes, at + 16);
    let end = 0;
    let textAt = at + COLUMN_HEADER + this.#values.length * 4;
    textAt += this.#keyBytes.copy(out, textAt);
    for (const [number, value] of this.#values.entries()) {
      end += value.length;
      out.writeUInt32LE(end, at + COLUMN_HEADER + number * 4);
      textAt += value.copy(out, textAt);
    }
    const indexAt = at + this.#indexAt();
    const known = Math.min(rows, this.#index.length);
    const width = this.#width;
    for (let row = 0; row < known; row++) {
      if (width === 1) out[indexAt + row] = this.#index[row];
      else if (width === 2) out.writeUInt16LE(this.#index[row], indexAt + row * 2);
      else out.writeUInt32LE(this.#index[row], indexAt + row * 4);
    }
    return size;
  }
}

/** A batch read in place: columns are views into `bytes` (8-aligned) or copies (otherwise). Borrowed, valid while `bytes` is. */
export class Batch {
  readonly bytes: Buffer;
  readonly rows: number;
  readonly hour: number;
  readonly hash: StreamHash;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  /** Offsets never descend. */
  readonly ordered: boolean;
  /** Offsets strictly ascend, so no two rows can be duplicates. */
  readonly ascending: boolean;
  readonly #labelBytes: number;
  readonly #columns: number;

  /** Reads the batch at `at`; throws Fault corrupt if the sizes do not fit each other. */
  constructor(bytes: Buffer, at = 0) {
    if (bytes.length - at < HEADER || bytes.readUInt32LE(at) !== MAGIC) throw new Fault('corrupt', `no batch at byte ${at}`);
    const length = bytes.readUInt32LE(at + 4);
    if (length < HEADER || at + length > bytes.length) throw new Fault('corrupt', `batch of ${length} bytes at ${at} of ${bytes.length}`);
    this.bytes = at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length);
    this.rows = this.bytes.readUInt32LE(8);
    this.hour = this.bytes.readUInt32LE(12);
    this.hash = this.bytes.toString('hex', 16, 24);
    this.minOffset = this.bytes.readDoubleLE(24);
    this.maxOffset = this.bytes.readDoubleLE(32);
    this.#labelBytes = this.bytes.readUInt32LE(40);
    this.lineBytes = this.bytes.readUInt32LE(44);
    this.#columns = this.bytes.readUInt32LE(48);
    const flags = this.bytes.readUInt32LE(52);
    this.ordered = (flags & FLAG_ORDERED) !== 0;
    this.ascending = (flags & FLAG_ASCENDING) !== 0;
    this.metadataBytes = this.bytes.readUInt32LE(56);
    // Each on its own first: their sum, rounded up to 8, is a 32-bit number.
    const largest = Math.max(this.rows * 12, this.#labelBytes, this.lineBytes);
    if (this.rows === 0 || largest > length || this.#columnsAt > length)
      throw new Fault('corrupt', `batch of ${length} bytes cannot hold its ${this.rows} rows`);
  }

  get #labelsAt(): number {
    return HEADER + this.rows * 8 + align8(this.rows * 4);
  }
  get #linesAt(): number {
    return this.#labelsAt + align8(this.#labelBytes);
  }
  get #columnsAt(): number {
    return this.#linesAt + align8(this.lineBytes);
  }

  /** Bytes that `copyWithoutLabels` writes. */
  get sizeWithoutLabels(): number {
    return this.bytes.length - align8(this.#labelBytes);
  }

  /** Writes the same batch with no labels to `out`, 8-aligned `at`. */
  copyWithoutLabels(out: Buffer, at: number): void {
    const labelsAt = this.#labelsAt;
    this.bytes.copy(out, at, 0, labelsAt);
    this.bytes.copy(out, at + labelsAt, this.#linesAt);
    out.writeUInt32LE(this.sizeWithoutLabels, at + 4);
    out.writeUInt32LE(0, at + 40);
  }

  /** Canonical labels: `{a="x", b="y"}`. */
  labels(): string {
    return this.bytes.toString('utf8', this.#labelsAt, this.#labelsAt + this.#labelBytes);
  }
  times(): Float64Array {
    return float64View(this.bytes, HEADER, this.rows);
  }
  ends(): Uint32Array {
    return uint32View(this.bytes, HEADER + this.rows * 8, this.rows);
  }
  lines(): Buffer {
    return this.bytes.subarray(this.#linesAt, this.#linesAt + this.lineBytes);
  }
  /** Sorted by key. Throws Fault corrupt if the sizes do not fit each other. */
  metadata(): MetadataColumn[] {
    return this.#mapColumns((at, length) => readColumn(this.bytes, at, length, this.rows));
  }
  /** Sorted; throws as `metadata`. */
  metadataKeys(): string[] {
    return this.#mapColumns((at, length) => {
      const { keyAt, valuesAt } = columnAt(this.bytes, at, length, this.rows);
      return this.bytes.toString('utf8', keyAt, valuesAt);
    });
  }

  #mapColumns<T>(read: (at: number, length: number) => T): T[] {
    const columns: T[] = [];
    let at = this.#columnsAt;
    for (let number = 0; number < this.#columns; number++) {
      const length = at + COLUMN_HEADER <= this.bytes.length ? this.bytes.readUInt32LE(at) : 0;
      if (length < COLUMN_HEADER || at + length > this.bytes.length) throw new Fault('corrupt', `batch column of ${length} bytes at ${at}`);
      columns.push(read(at, length));
      at += length;
    }
    return columns;
  }
}

interface ColumnPlace {
  readonly width: number;
  readonly count: number;
  readonly keyAt: number;
  readonly valuesAt: number;
  readonly indexAt: number;
}

function columnAt(bytes: Buffer, at: number, length: number, rows: number): ColumnPlace {
  const width = bytes[at + 4];
  const keyBytes = bytes.readUInt32LE(at + 8);
  const count = bytes.readUInt32LE(at + 12);
  const valueBytes = bytes.readUInt32LE(at + 16);
  const textTo = COLUMN_HEADER + count * 4 + keyBytes + valueBytes;
  const indexFrom = align8(textTo);
  if (![1, 2, 4].includes(width) || textTo > length || indexFrom + rows * width > length) {
    throw new Fault('corrupt', `batch column of ${length} bytes at ${at} cannot hold its ${count} values`);
  }
  const keyAt = at + COLUMN_HEADER + count * 4;
  return { width, count, keyAt, valuesAt: keyAt + keyBytes, indexAt: at + indexFrom };
}

function readColumn(bytes: Buffer, at: number, length: number, rows: number): MetadataColumn {
  const { width, count, keyAt, valuesAt, indexAt } = columnAt(bytes, at, length, rows);
  const ends = uint32View(bytes, at + COLUMN_HEADER, count);
  const values: string[] = new Array(count);
  for (let number = 0; number < count; number++) {
    values[number] = bytes.toString('utf8', valuesAt + (number === 0 ? 0 : ends[number - 1]), valuesAt + ends[number]);
  }
  const index =
    width === 1
      ? new Uint8Array(bytes.buffer, bytes.byteOffset + indexAt, rows)
      : width === 2
        ? uint16View(bytes, indexAt, rows)
        : uint32View(bytes, indexAt, rows);
  return { key: bytes.toString('utf8', keyAt, valuesAt), values, index };
}

/** The batches that stand one after the other in `bytes`. */
export function* batchesIn(bytes: Buffer): Generator<Batch> {
  for (let at = 0; at < bytes.length; ) {
    const batch = new Batch(bytes, at);
    yield batch;
    at += batch.bytes.length;
  }
}
