import type { Block, MetadataColumn } from '../../logql/model.ts';
import { type ByteReader, type ByteWriter, crc32 } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { recycle, usedMemory } from '../../ops/base/used-memory.ts';
import type { Clock } from '../../ops/base/world.ts';
import { decodeEnds, decodeMetadata, decodeTimes, type EncodedColumn, encodeEnds, encodeMetadata, encodeTimes } from './columns.ts';
import type { MemoryBlock } from './memory-block.ts';
import { zstd } from './zstd.ts';

/** One column of a block as it is stored. Layouts, and the header's own bytes: FORMAT.md. */
export interface ColumnHeader {
  readonly layout: number;
  readonly compressed: boolean;
  readonly storedBytes: number;
  readonly rawBytes: number;
  /** Of the stored bytes. */
  readonly crc: number;
}

/** What is known of a block without reading it. Its columns are stored in the order times, ends, metadata, lines, with nothing between. */
export interface BlockHeader {
  readonly rows: number;
  /** Smallest and largest time, ns after the chunk's base. */
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  /** All columns together. */
  readonly storedBytes: number;
  readonly times: ColumnHeader;
  readonly ends: ColumnHeader;
  readonly metadata: readonly { readonly key: string; readonly column: ColumnHeader }[];
  readonly lines: ColumnHeader;
}

/** The most rows of a block that a reader takes. */
const MAX_ROWS = 1_048_576;
/** Shorter columns do not get shorter by compression. */
const WORTH_COMPRESSING = 32;
/** No zstd frame holds more than this many times its size (128 KiB in a run block of 4 bytes): a size beyond it is damage, not to be allocated. */
const MAX_RATIO = 32_768;
const COMPRESSED = 0x80;
const LINES_LAYOUT = 0;

/** Hands `block`'s columns to `store` as they are to be stored; what it gets is borrowed until it returns. */
export function writeBlock(block: MemoryBlock, store: (bytes: Uint8Array) => void, level: number): BlockHeader {
  const times = writeColumn(encodeTimes(block.times()), store, level);
  const ends = writeColumn(encodeEnds(block.ends()), store, level);
  const metadata = block.metadata().map((column) => ({ key: column.key, column: writeColumn(encodeMetadata(column), store, level) }));
  const lines = writeColumn({ layout: LINES_LAYOUT, bytes: block.lines() }, store, level);
  return {
    rows: block.rows,
    minOffset: block.minOffset,
    maxOffset: block.maxOffset,
    lineBytes: block.lineBytes,
    metadataBytes: block.metadataBytes,
    storedBytes: metadata.reduce((sum, { column }) => sum + column.storedBytes, times.storedBytes + ends.storedBytes + lines.storedBytes),
    times,
    ends,
    metadata,
    lines,
  };
}

function writeColumn({ layout, bytes }: EncodedColumn, store: (bytes: Uint8Array) => void, level: number): ColumnHeader {
  let stored = bytes;
  if (bytes.length >= WORTH_COMPRESSING) {
    const frame = zstd.compress(bytes, level);
    if (frame.length < bytes.length) stored = frame;
  }
  const header = {
    layout,
    compressed: stored !== bytes,
    storedBytes: stored.length,
    rawBytes: bytes.length,
    crc: crc32(stored),
  };
  store(stored);
  return header;
}

export function writeBlockHeader(out: ByteWriter, header: BlockHeader): void {
  out
    .varint(header.rows)
    .varint(header.minOffset)
    .varint(header.maxOffset - header.minOffset);
  out.varint(header.lineBytes).varint(header.metadataBytes);
  writeColumnHeader(out, header.times);
  writeColumnHeader(out, header.ends);
  out.varint(header.metadata.length);
  for (const { key, column } of header.metadata) {
    out.text(key);
    writeColumnHeader(out, column);
  }
  writeColumnHeader(out, header.lines);
}

function writeColumnHeader(out: ByteWriter, column: ColumnHeader): void {
  out.u8(column.layout | (column.compressed ? COMPRESSED : 0));
  out.varint(column.rawBytes);
  if (column.compressed) out.varint(column.storedBytes);
  out.u32(column.crc);
}

/** Throws RangeError on bytes that no header has. */
export function readBlockHeader(reader: ByteReader): BlockHeader {
  const rows = reader.varint();
  const minOffset = reader.varint();
  const maxOffset = minOffset + reader.varint();
  const lineBytes = reader.varint();
  const metadataBytes = reader.varint();
  if (rows === 0 || rows > MAX_ROWS || !Number.isSafeInteger(maxOffset)) throw new RangeError(`block of ${rows} rows up to ${maxOffset}`);
  const times = readColumnHeader(reader);
  const ends = readColumnHeader(reader);
  const keys = reader.varint();
  const metadata: { key: string; column: ColumnHeader }[] = [];
  for (let number = 0; number < keys; number++) metadata.push({ key: reader.text(), column: readColumnHeader(reader) });
  const lines = readColumnHeader(reader);
  if (lines.rawBytes !== lineBytes || lines.layout !== LINES_LAYOUT) throw new RangeError('lines column does not fit its block');
  const storedBytes = metadata.reduce(
    (sum, { column }) => sum + column.storedBytes,
    times.storedBytes + ends.storedBytes + lines.storedBytes,
  );
  return { rows, minOffset, maxOffset, lineBytes, metadataBytes, storedBytes, times, ends, metadata, lines };
}

function readColumnHeader(reader: ByteReader): ColumnHeader {
  const encoding = reader.u8();
  const compressed = (encoding & COMPRESSED) !== 0;
  const rawBytes = reader.varint();
  const storedBytes = compressed ? reader.varint() : rawBytes;
  if (rawBytes > storedBytes * MAX_RATIO) throw new RangeError(`column of ${rawBytes} bytes in ${storedBytes}`);
  return { layout: encoding & ~COMPRESSED, compressed, rawBytes, storedBytes, crc: reader.u32() };
}

/** Throws Fault corrupt if `bytes`, all columns of a block, are not what its header says. */
export function checkBlock(header: BlockHeader, bytes: Uint8Array): void {
  let at = 0;
  for (const column of [header.times, header.ends, ...header.metadata.map((one) => one.column), header.lines]) {
    const to = at + column.storedBytes;
    if (to > bytes.length || crc32(bytes.subarray(at, to)) !== column.crc) throw new Fault('corrupt', 'block: checksum does not match');
    at = to;
  }
}

/** Counts what reading blocks costs. */
export class ReadMeter {
  /** Bytes of blocks read. */
  fetchedBytes = 0;
  /** Column bytes checked and, where they were compressed, decompressed. */
  storedBytes = 0;
  rawBytes = 0;
  decompressMs = 0;
  /** Bytes of skip filters read, and how many of their pages were damaged. */
  filterBytes = 0;
  damagedPages = 0;
  readonly clock: Clock;
  constructor(clock: Clock) {
    this.clock = clock;
  }
}

/** A block as it is stored: a column is checked, decompressed and decoded when first asked for, and then kept.
 *  Every method throws Fault corrupt if its column's bytes are damaged. */
export class StoredBlock implements Block {
  readonly header: BlockHeader;
  readonly baseNs: bigint;
  readonly rows: number;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  readonly #bytes: Buffer;
  readonly #meter: ReadMeter | undefined;
  #times: Float64Array | undefined;
  #ends: Uint32Array | undefined;
  #lines: Buffer | undefined;
  #metadata: readonly MetadataColumn[] | undefined;

  /** `bytes`: all columns, or all but the lines; borrowed for the block's life. */
  constructor(header: BlockHeader, bytes: Buffer, baseNs: bigint, meter?: ReadMeter) {
    const { storedBytes, lines } = header;
    if (bytes.length !== storedBytes && bytes.length !== storedBytes - lines.storedBytes)
      throw new Fault('corrupt', `block has ${bytes.length} bytes instead of ${storedBytes}`);
    this.header = header;
    this.baseNs = baseNs;
    this.rows = header.rows;
    this.minOffset = header.minOffset;
    this.maxOffset = header.maxOffset;
    this.lineBytes = header.lineBytes;
    this.metadataBytes = header.metadataBytes;
    this.#bytes = bytes;
    this.#meter = meter;
  }

  times(): Float64Array {
    this.#times ??= decoding('times', () => {
      const { times, rows, minOffset, maxOffset } = this.header;
      const decoded = decodeTimes(this.#column(times, 0), rows, minOffset);
      if (times.layout !== 0 || decoded[rows - 1] !== maxOffset) throw new RangeError(`last time is not ${maxOffset}`);
      return decoded;
    });
    return this.#times;
  }

  ends(): Uint32Array {
    this.#ends ??= decoding('line lengths', () => {
      const { times, ends, rows, lineBytes } = this.header;
      return decodeEnds(ends.layout, this.#column(ends, times.storedBytes), rows, lineBytes);
    });
    return this.#ends;
  }

  metadata(): readonly MetadataColumn[] {
    this.#metadata ??= decoding('metadata', () => {
      const { times, ends, metadata, rows } = this.header;
      let at = times.storedBytes + ends.storedBytes;
      return metadata.map(({ key, column }) => {
        const bytes = this.#column(column, at);
        at += column.storedBytes;
        return decodeMetadata(key, column.layout, bytes, rows);
      });
    });
    return this.#metadata;
  }

  metadataKeys(): readonly string[] {
    return this.header.metadata.map(({ key }) => key);
  }

  lines(): Buffer {
    const { lines, storedBytes } = this.header;
    if (this.#bytes.length < storedBytes) throw new Fault('internal', 'a block was read without its lines');
    this.#lines ??= decoding('lines', () =>
      this.#column(lines, storedBytes - lines.storedBytes, usedMemory(lines.compressed ? lines.rawBytes : 0)),
    );
    return this.#lines;
  }

  /** Gives the memory of the lines back: whoever still reads them finds them empty. */
  release(): void {
    if (this.#lines !== undefined) recycle(this.#lines);
    this.#lines = undefined;
  }

  /** The column's bytes, which are stored from `at` on, checked and decompressed, `into` what is given. */
  #column(column: ColumnHeader, at: number, into?: Buffer): Buffer {
    const stored = this.#bytes.subarray(at, at + column.storedBytes);
    const meter = this.#meter;
    const started = meter?.clock.monotonicMs() ?? 0;
    if (crc32(stored) !== column.crc) throw new RangeError('checksum does not match');
    const raw = column.compressed ? zstd.decompress(stored, column.rawBytes, into) : stored;
    if (meter !== undefined) {
      meter.storedBytes += stored.length;
      meter.rawBytes += raw.length;
      meter.decompressMs += meter.clock.monotonicMs() - started;
    }
    return raw;
  }
}

/** What `decode` returns; whatever it throws becomes Fault corrupt. */
export function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('corrupt', `${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
