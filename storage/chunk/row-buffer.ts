import type { Block, MetadataColumn } from '../../logql/model.ts';
import { KiB, memoryOf, release } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { lowerBound } from '../../ops/base/search.ts';
import type { Batch } from '../batch/batch.ts';
import { MemoryBlock, sliceLines } from './memory-block.ts';
import { canonicalMetadata, occurs } from './metadata.ts';
import { duplicatesIn, rowsByTime } from './row-order.ts';

/** Columns of metadata have a place for every row. Up to this many bytes of them for a byte of content, and a few beyond, their number does not matter. */
const MOST_INDEX_RATIO = 4;
const SPARE_INDEX_BYTES = 65_536;
const INDEX_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const ROW_BYTES = Float64Array.BYTES_PER_ELEMENT + Uint32Array.BYTES_PER_ELEMENT;
/** What an Uint32Array of line ends can address. */
const MAX_LINE_BYTES = 0xffff_ffff;
/** Columns from this size on are shared with the threads that read slices; shorter ones travel as copies. */
const SHARED_FROM = 8 * KiB;

interface RowSource {
  times(): Float64Array;
  ends(): Uint32Array;
  lines(): Buffer;
  metadata(): readonly MetadataColumn[];
}

/** Rows of one stream gathered from batches and blocks: columns that grow by doubling, put in order and freed of duplicates when read.
 *  Appending copies columns and leaves them alone otherwise; putting in order replaces them, so blocks handed out before stay as they were. */
export class RowBuffer {
  readonly baseNs: bigint;
  #times: Float64Array = new Float64Array(0);
  #ends: Uint32Array = new Uint32Array(0);
  #lines: Buffer = Buffer.alloc(0);
  readonly #columns = new Map<string, GrowingColumn>();
  #rows = 0;
  /** Of the batches appended. */
  #metadataBytes = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  /** Rows before this one are sorted and unique; those from here on may be in any order and may repeat any row. */
  #dirtyFrom = 0;
  /** Smallest time of the rows from #dirtyFrom on. */
  #dirtyMin = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  /** Whether a block borrows the columns as they are now. */
  #lent = false;
  /** Whether a slice ever borrowed columns: nobody knows when its reader is done, and it may be on another thread. */
  #sliced = false;

  constructor(baseNs: bigint) {
    this.baseNs = baseNs;
  }

  /** Duplicates included as long as nobody has read. */
  get rows(): number {
    return this.#rows;
  }
  get lineBytes(): number {
    return this.#rows === 0 ? 0 : this.#ends[this.#rows - 1];
  }
  /** Smallest time, ns after baseNs; Infinity without rows. */
  get minOffset(): number {
    return this.#min;
  }
  get maxOffset(): number {
    return this.#max;
  }
  /** Bytes of memory held. */
  get bytes(): number {
    let bytes = this.#times.byteLength + this.#ends.byteLength + this.#lines.length;
    for (const column of this.#columns.values()) bytes += column.bytes;
    return bytes;
  }

  /** About what metadata takes in memory. */
  get metadataMemoryBytes(): number {
    let bytes = this.#columns.size * this.#rows * INDEX_BYTES;
    for (const column of this.#columns.values()) bytes += column.dictionaryBytes;
    return bytes;
  }

  /** Whether the columns would still be worth their place with the batch's rows: entries with ever new metadata keys would take rows × keys. An empty buffer
   *  has room for any batch. */
  hasRoomFor(batch: Batch): boolean {
    let keys = this.#columns.size;
    for (const key of batch.metadataKeys()) if (!this.#columns.has(key)) keys++;
    const rows = this.#rows + batch.rows;
    const content = this.lineBytes + batch.lineBytes + this.#metadataBytes + batch.metadataBytes + rows * ROW_BYTES;
    return this.#rows === 0 || keys * rows * INDEX_BYTES <= content * MOST_INDEX_RATIO + SPARE_INDEX_BYTES;
  }

  /** Times of the batch count from baseNs. */
  appendBatch(batch: Batch): void {
    this.#metadataBytes += batch.metadataBytes;
    const clean = batch.ascending && batch.minOffset > this.#max;
    this.#append(batch, 0, batch.rows, 0);
    this.#extend(batch.minOffset, batch.maxOffset, clean);
  }

  /** Rows [from, to) of a block. */
  appendBlock(block: Block, from: number, to: number): void {
    if (from === to) return;
    const shift = Number(block.baseNs - this.baseNs);
    const min = block.times()[from] + shift;
    const clean = min > this.#max;
    this.#append(block, from, to, shift);
    this.#extend(min, block.times()[to - 1] + shift, clean);
  }

  #append(source: RowSource, from: number, to: number, shift: number): void {
    const ends = source.ends();
    const lineFrom = from === 0 ? 0 : ends[from - 1];
    const lineTo = ends[to - 1];
    const at = this.#rows;
    const linesAt = this.lineBytes;
    this.#reserve(to - from, lineTo - lineFrom);
    const times = source.times();
    if (shift === 0) this.#times.set(times.subarray(from, to), at);
    else for (let row = from; row < to; row++) this.#times[at + row - from] = times[row] + shift;
    for (let row = from; row < to; row++) this.#ends[at + row - from] = ends[row] - lineFrom + linesAt;
    source.lines().copy(this.#lines, linesAt, lineFrom, lineTo);
    for (const column of source.metadata()) {
      if (!this.#columns.has(column.key) && !occurs(column, from, to)) continue;
      this.#column(column.key).append(column, from, to, at, this.#times.length);
    }
    this.#rows = at + to - from;
  }

  #column(key: string): GrowingColumn {
    let column = this.#columns.get(key);
    if (column === undefined) {
      column = new GrowingColumn(key);
      this.#columns.set(key, column);
    }
    return column;
  }

  #reserve(rows: number, lineBytes: number): void {
    const wantedRows = this.#rows + rows;
    if (wantedRows > this.#times.length) {
      const capacity = Math.max(16, this.#times.length * 2, wantedRows);
      this.#times = this.#moved(this.#times, timesIn(this.#memory(capacity * Float64Array.BYTES_PER_ELEMENT)));
      this.#ends = this.#moved(this.#ends, endsIn(this.#memory(capacity * Uint32Array.BYTES_PER_ELEMENT)));
    }
    const wantedBytes = this.lineBytes + lineBytes;
    if (wantedBytes > MAX_LINE_BYTES) throw new Fault('too_large', `lines of a stream in memory exceed ${MAX_LINE_BYTES} bytes`);
    if (wantedBytes > this.#lines.length)
      this.#lines = this.#moved(this.#lines, this.#memory(Math.max(512, this.#lines.length * 2, wantedBytes)));
  }

  #memory(bytes: number): Buffer {
    return this.#sliced && bytes >= SHARED_FROM ? Buffer.from(new SharedArrayBuffer(bytes)) : memoryOf(bytes);
  }

  /** `bigger` with the content of `old`, whose memory is freed unless a block borrows it. */
  #moved<A extends Float64Array | Uint32Array | Uint8Array>(old: A, bigger: A): A {
    bigger.set(old);
    if (!this.#lent) release(old);
    return bigger;
  }

  /** Frees the memory now, unless slices of it are about. The buffer, and what `block` gave, are done for. */
  free(): void {
    if (this.#sliced) return;
    for (const column of [this.#times, this.#ends, this.#lines]) release(column);
  }

  /** Takes note of rows just appended, whose times lie in [min, max]; `clean`: they ascend, are unique and come after all others. */
  #extend(min: number, max: number, clean: boolean): void {
    if (min < this.#min) this.#min = min;
    if (max > this.#max) this.#max = max;
    if (clean && this.#dirtyMin === Number.POSITIVE_INFINITY) this.#dirtyFrom = this.#rows;
    else if (min < this.#dirtyMin) this.#dirtyMin = min;
  }

  /** All rows, sorted and unique; times and lines are borrowed and stay as they are whatever is appended later. */
  block(): MemoryBlock {
    this.#putInOrder();
    this.#lent = true;
    return this.#view(0, this.#rows, this.#duplicates);
  }

  /** Rows with a time in [fromOffset, toOffset) as a block; undefined if there are none. */
  slice(fromOffset: number, toOffset: number): MemoryBlock | undefined {
    if (toOffset <= this.#min || fromOffset > this.#max) return undefined;
    this.#putInOrder();
    const from = lowerBound(this.#times, 0, this.#rows, fromOffset);
    const to = lowerBound(this.#times, from, this.#rows, toOffset);
    if (from === to) return undefined;
    if (!this.#sliced) {
      this.#sliced = true;
      this.#share();
    }
    this.#lent = true;
    return this.#view(from, to, 0);
  }

  /** Moves what is long to shared memory, where it is read from other threads without being copied for each. */
  #share(): void {
    const shared = <A extends Float64Array | Uint32Array | Buffer>(old: A, over: (memory: Buffer) => A): A =>
      old.byteLength < SHARED_FROM ? old : this.#moved(old, over(this.#memory(old.byteLength)));
    this.#times = shared(this.#times, timesIn);
    this.#ends = shared(this.#ends, endsIn);
    this.#lines = shared(this.#lines, (memory) => memory);
  }

  #view(from: number, to: number, duplicates: number): MemoryBlock {
    const columns = [...this.#columns.values()].map((column) => column.upTo(this.#rows));
    const { metadata, bytes } = canonicalMetadata(columns, from, to);
    return new MemoryBlock({
      baseNs: this.baseNs,
      times: this.#times.subarray(from, to),
      ...sliceLines(this.#ends, this.#lines, from, to),
      metadata,
      metadataBytes: bytes,
      duplicates,
    });
  }

  #putInOrder(): void {
    if (this.#dirtyMin === Number.POSITIVE_INFINITY) return;
    const start = lowerBound(this.#times, 0, this.#dirtyFrom, this.#dirtyMin);
    const indexes = [...this.#columns.values()].map((column) => column.upTo(this.#rows).index);
    const ordered = rowsByTime(this.#times, start, this.#rows);
    const columns = { times: this.#times, ends: this.#ends, lines: this.#lines, indexes };
    const duplicates = duplicatesIn(columns, ordered, start, this.#rows);
    if (ordered !== undefined || duplicates.length > 0) this.#replace(start, without(ordered, duplicates, start, this.#rows));
    this.#duplicates += duplicates.length;
    this.#dirtyFrom = this.#rows;
    this.#dirtyMin = Number.POSITIVE_INFINITY;
  }

  /** New columns: rows before `start`, then `rows`. */
  #replace(start: number, rows: Uint32Array): void {
    const oldTimes = this.#times;
    const oldEnds = this.#ends;
    const times = timesIn(this.#memory(oldTimes.byteLength));
    const ends = endsIn(this.#memory(oldEnds.byteLength));
    const lines = this.#memory(this.#lines.length);
    times.set(oldTimes.subarray(0, start));
    ends.set(oldEnds.subarray(0, start));
    let end = start === 0 ? 0 : oldEnds[start - 1];
    this.#lines.copy(lines, 0, 0, end);
    for (let next = 0; next < rows.length; ) {
      const first = rows[next];
      let last = first - 1;
      const copyFrom = first === 0 ? 0 : oldEnds[first - 1];
      const copyTo = end;
      // Rows that stay neighbours are copied as one.
      for (; next < rows.length && rows[next] === last + 1; next++) {
        last = rows[next];
        times[start + next] = oldTimes[last];
        ends[start + next] = copyTo + oldEnds[last] - copyFrom;
      }
      end = copyTo + oldEnds[last] - copyFrom;
      this.#lines.copy(lines, copyTo, copyFrom, oldEnds[last]);
    }
    for (const column of this.#columns.values()) column.replace(start, rows);
    this.#times = times;
    this.#ends = ends;
    this.#lines = lines;
    this.#rows = start + rows.length;
  }
}

const timesIn = ({ buffer, byteOffset, length }: Buffer): Float64Array =>
  new Float64Array(buffer, byteOffset, length / Float64Array.BYTES_PER_ELEMENT);
const endsIn = ({ buffer, byteOffset, length }: Buffer): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length / Uint32Array.BYTES_PER_ELEMENT);

/** `rows` (undefined: [from, to)) less those at the positions `dropped`, ascending. */
function without(rows: Uint32Array | undefined, dropped: readonly number[], from: number, to: number): Uint32Array {
  if (rows !== undefined && dropped.length === 0) return rows;
  const kept = new Uint32Array(to - from - dropped.length);
  let next = 0;
  for (let position = 0, at = 0; position < to - from; position++) {
    if (position === dropped[next]) next++;
    else kept[at++] = rows === undefined ? from + position : rows[position];
  }
  return kept;
}

function grown<A extends Float64Array | Uint32Array | Uint8Array>(old: A, bigger: A): A {
  bigger.set(old);
  return bigger;
}

/** One metadata key over the rows of a buffer; dictionaries of what is appended are merged. Rows beyond the index lack the key. */
class GrowingColumn {
  readonly key: string;
  readonly #values: string[] = [];
  readonly #numbers = new Map<string, number>();
  #valueBytes = 0;
  #index = new Uint32Array(0);

  constructor(key: string) {
    this.key = key;
  }

  get bytes(): number {
    return this.#index.byteLength + this.dictionaryBytes;
  }

  /** An estimate: strings, their hash slots and headers. */
  get dictionaryBytes(): number {
    return this.#valueBytes + this.#values.length * 64;
  }

  /** The column over `rows` rows; borrowed until the next append. */
  upTo(rows: number): MetadataColumn & { readonly index: Uint32Array } {
    if (this.#index.length < rows) this.#index = grown(this.#index, new Uint32Array(rows));
    return { key: this.key, values: this.#values, index: this.#index };
  }

  /** Rows [from, to) of `column` become rows from `at` on; `capacity`: rows for which there is room elsewhere. */
  append({ values, index }: MetadataColumn, from: number, to: number, at: number, capacity: number): void {
    if (at + to - from > this.#index.length) this.#index = grown(this.#index, new Uint32Array(capacity));
    const mine = this.#index;
    const translated = new Uint32Array(values.length + 1);
    for (let row = from; row < to; row++) {
      const theirs = index[row];
      if (theirs === 0) continue;
      if (translated[theirs] === 0) translated[theirs] = this.#number(values[theirs - 1]);
      mine[at + row - from] = translated[theirs];
    }
  }

  #number(value: string): number {
    let number = this.#numbers.get(value);
    if (number === undefined) {
      number = this.#values.push(value);
      this.#numbers.set(value, number);
      this.#valueBytes += value.length;
    }
    return number;
  }

  replace(start: number, rows: Uint32Array): void {
    const index = new Uint32Array(this.#index.length);
    index.set(this.#index.subarray(0, start));
    for (let next = 0; next < rows.length; next++) index[start + next] = this.#index[rows[next]];
    this.#index = index;
  }
}
