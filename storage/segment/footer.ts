import { ByteReader, ByteWriter, crc32, MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { DAY_NS } from '../batch/batch.ts';
import { decoding } from '../chunk/block.ts';
import { zstd } from '../chunk/zstd.ts';
import type { Position } from '../log/ingest-log.ts';
import { Closure } from './closure.ts';
import { type FilterSection, readFilterDirectory, writeFilterDirectory } from './filter-directory.ts';
import type { CompiledMatcher } from './postings.ts';
import { type LogCover, readSegmentInfo, type SegmentInfo, writeSegmentInfo } from './segment-info.ts';
import { type SegmentSeries, TenantSection } from './tenant-section.ts';

const MAGIC = 0x3153524d;
/** Of the footers of level-0 objects, without and with the time of the last record, and of those of segments. */
const VERSIONS = { levelZero: 1, levelZeroWithTime: 4, segment: 3 };
/** Segments of this version do not say which of the level-0 objects was the first. */
const SEGMENT_WITHOUT_FIRST = 2;
export const TAIL_BYTES = 24;
const LEVEL = 3;
/** A footer that claims to be larger is damaged. */
const MAX_FOOTER_BYTES = 1024 * MiB;

/** The unit of replacement: what an object holds of one tenant and UTC day. */
export interface Part {
  /** UTC days since the epoch. */
  readonly day: number;
  /** Smallest and largest time, ns after the day's start. */
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly rows: number;
  readonly lineBytes: number;
}

/** What the footer of a level-0 object says of it as a whole: the records [from, to) of this log are in it. */
export interface LevelZeroInfo {
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
  /** When the log took in the last of them, by its own clock, ms since the epoch; undefined where it does not say. */
  readonly lastMs?: number | undefined;
}

export interface TenantContents {
  readonly tenant: string;
  /** By day. */
  readonly parts: readonly Part[];
  readonly section: Buffer;
}

/** The footer and the tail that end a level-0 object. */
export function writeLevelZeroFooter({ log, from, to, lastMs }: LevelZeroInfo, tenants: readonly TenantContents[]): Buffer[] {
  const out = new ByteWriter(4096);
  out.text(log).varint(from).varint(to);
  if (lastMs !== undefined) out.varint(lastMs);
  out.varint(0);
  out.varint(1).text(log).varint(to);
  out.varint(0);
  out.varint(tenants.length);
  for (const { tenant, parts, section } of tenants) {
    out.text(tenant).varint(section.length).varint(parts.length);
    for (const part of parts) writePart(out, part);
  }
  for (const { section } of tenants) out.raw(section);
  return closed(out, lastMs === undefined ? VERSIONS.levelZero : VERSIONS.levelZeroWithTime);
}

/** The footer and the tail that end a segment: `contents` has one part. */
export function writeSegmentFooter(
  info: SegmentInfo,
  { tenant, parts, section }: TenantContents,
  filters: readonly FilterSection[],
): Buffer[] {
  const out = new ByteWriter(4096);
  writeSegmentInfo(out, info);
  out.text(tenant);
  writePart(out, parts[0]);
  const directory = new ByteWriter();
  if (filters.length > 0) writeFilterDirectory(directory, filters);
  out.varint(section.length).varint(directory.length).raw(section).raw(directory.view());
  return closed(out, VERSIONS.segment);
}

function closed(footer: ByteWriter, version: number): Buffer[] {
  const stored = Buffer.from(zstd.compress(footer.view(), LEVEL));
  const tail = new ByteWriter(TAIL_BYTES);
  tail.u32(stored.length).u32(footer.length).u32(crc32(stored)).u32(version);
  tail.u32(crc32(tail.view())).u32(MAGIC);
  return [stored, tail.view()];
}

function writePart(out: ByteWriter, part: Part): void {
  out.varint(part.day).varint(part.minOffset).varint(part.maxOffset).varint(part.rows).varint(part.lineBytes);
}

function readPart(reader: ByteReader): Part {
  return {
    day: reader.varint(),
    minOffset: reader.varint(),
    maxOffset: reader.varint(),
    rows: reader.varint(),
    lineBytes: reader.varint(),
  };
}

export interface Tail {
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly crc: number;
  readonly version: number;
}

/** Reads the last TAIL_BYTES of an object. Throws Fault corrupt, or unsupported for a version that this program does not know. */
export function readTail(tail: Buffer, key: string): Tail {
  if (tail.length !== TAIL_BYTES || tail.readUInt32LE(20) !== MAGIC || crc32(tail.subarray(0, 16)) !== tail.readUInt32LE(16))
    throw new Fault('corrupt', `object ${key} does not end as a segment does`);
  const version = tail.readUInt32LE(12);
  const known = [...Object.values(VERSIONS), SEGMENT_WITHOUT_FIRST].sort();
  if (!known.includes(version))
    throw new Fault('unsupported', `object ${key} has segment version ${version}, this program knows ${known.join(', ')}`);
  const rawBytes = tail.readUInt32LE(4);
  if (rawBytes > MAX_FOOTER_BYTES) throw new Fault('corrupt', `object ${key} has a footer of ${rawBytes} bytes`);
  return { storedBytes: tail.readUInt32LE(0), rawBytes, crc: tail.readUInt32LE(8), version };
}

/** Checks, decompresses and opens the stored footer. Throws Fault corrupt. */
export function openFooter(key: string, stored: Buffer, { rawBytes, crc, version }: Tail): Footer {
  return decoding(`footer of ${key}`, () => {
    if (crc32(stored) !== crc) throw new RangeError('checksum does not match');
    return new Footer(key, zstd.decompress(stored, rawBytes), version);
  });
}

interface TenantEntry {
  readonly parts: readonly Part[];
  readonly bytes: Buffer;
  section: TenantSection | undefined;
}

/** The index of one object: which streams it holds, where their chunks lie and what they contain. Decoded as far as it is asked for.
 *  Methods throw Fault corrupt. */
export class Footer {
  /** Bytes of memory held before anything is decoded. */
  readonly sizeBytes: number;
  /** 0 for an object that a flush of a log wrote; above, for a segment. */
  readonly level: number;
  /** Of a level-0 object; a segment's are '', 0 and 0. */
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
  /** See LevelZeroInfo. */
  readonly lastMs: number | undefined;
  readonly deletesApplied: number;
  /** Of a segment: see Arrival. A level-0 object does not know when it was created: 0. */
  readonly oldestMs: number;
  readonly first: string;
  readonly closure: Closure;
  readonly cover: LogCover;
  readonly #key: string;
  readonly #tenants = new Map<string, TenantEntry>();
  #filterBytes: Buffer = Buffer.alloc(0);
  #filters: readonly FilterSection[] | undefined;

  /** `key`: of the object. `bytes`: the footer, decompressed; borrowed for the footer's life. Throws RangeError on bytes that no writer made. */
  constructor(key: string, bytes: Buffer, version: number) {
    const reader = new ByteReader(bytes);
    this.#key = key;
    this.sizeBytes = bytes.length;
    if (version === VERSIONS.levelZero || version === VERSIONS.levelZeroWithTime) {
      this.level = 0;
      this.log = reader.text();
      this.from = reader.varint();
      this.to = reader.varint();
      this.lastMs = version === VERSIONS.levelZeroWithTime ? reader.varint() : undefined;
      this.deletesApplied = reader.varint();
      this.oldestMs = 0;
      this.first = key;
      this.closure = Closure.EMPTY;
      this.cover = new Map();
      skipReserved(reader);
      this.#readTenants(reader);
    } else {
      const info = readSegmentInfo(reader, version !== SEGMENT_WITHOUT_FIRST);
      this.level = info.level;
      this.deletesApplied = info.deletesApplied;
      this.oldestMs = info.oldestMs;
      this.first = info.first;
      this.closure = info.closure;
      this.cover = info.cover;
      [this.log, this.from, this.to] = ['', 0, 0];
      this.lastMs = undefined;
      this.#readTenant(reader);
    }
    if (reader.left !== 0) throw new RangeError(`${reader.left} bytes after the last tenant`);
  }

  #readTenants(reader: ByteReader): void {
    const entries = repeat(reader, () => {
      const tenant = reader.text();
      const sectionBytes = reader.varint();
      return { tenant, sectionBytes, parts: repeat(reader, () => readPart(reader)) };
    });
    for (const { tenant, sectionBytes, parts } of entries)
      this.#tenants.set(tenant, { parts, bytes: reader.raw(sectionBytes), section: undefined });
  }

  #readTenant(reader: ByteReader): void {
    const tenant = reader.text();
    const parts = [readPart(reader)];
    const sectionBytes = reader.varint();
    const filterBytes = reader.varint();
    this.#tenants.set(tenant, { parts, bytes: reader.raw(sectionBytes), section: undefined });
    this.#filterBytes = reader.raw(filterBytes);
  }

  /** Skip filters of the object's blocks. */
  filters(): readonly FilterSection[] {
    this.#filters ??= decoding(`filter directory of ${this.#key}`, () => {
      if (this.#filterBytes.length === 0) return [];
      const reader = new ByteReader(this.#filterBytes);
      const sections = readFilterDirectory(reader);
      if (reader.left !== 0) throw new RangeError(`${reader.left} bytes after the last section`);
      return sections;
    });
    return this.#filters;
  }

  /** Bytes of what was decoded and is kept, beside `sizeBytes`. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { section } of this.#tenants.values()) bytes += section?.heldBytes ?? 0;
    return bytes;
  }

  /** Drops the streams that were decoded. */
  forget(): void {
    for (const { section } of this.#tenants.values()) section?.forget();
  }

  /** Sorted. */
  tenants(): string[] {
    return [...this.#tenants.keys()];
  }

  /** By day. */
  parts(tenant: string): readonly Part[] {
    return this.#tenants.get(tenant)?.parts ?? [];
  }

  /** Streams of the tenant that all matchers let through, with their chunks that hold times in [fromNs, toNs); sorted by labels. */
  select(tenant: string, matchers: readonly CompiledMatcher[], fromNs: bigint, toNs: bigint): SegmentSeries[] {
    return this.#read(tenant, (section) => section.select(matchers, fromNs, toNs)) ?? [];
  }

  /** Sorted. */
  labelNames(tenant: string): string[] {
    return this.#read(tenant, ({ postings }) => postings.names()) ?? [];
  }

  /** Sorted. */
  labelValues(tenant: string, name: string): string[] {
    return this.#read(tenant, ({ postings }) => postings.values(name)) ?? [];
  }

  /** How many streams of the tenant there are. */
  seriesCount(tenant: string): number {
    return this.#read(tenant, ({ seriesCount }) => seriesCount) ?? 0;
  }

  /** The tenant's stream of that number, in the order of their labels, with its chunks that hold times in [fromNs, toNs). */
  seriesAt(tenant: string, number: number, fromNs: bigint, toNs: bigint): SegmentSeries {
    const series = this.#read(tenant, (section) => section.seriesAt(number, fromNs, toNs));
    if (series === undefined) throw new Fault('internal', `no tenant ${tenant} in ${this.#key}`);
    return series;
  }

  #read<T>(tenant: string, read: (section: TenantSection) => T): T | undefined {
    const entry = this.#tenants.get(tenant);
    if (entry === undefined) return undefined;
    return decoding(`footer of ${this.#key}`, () => {
      entry.section ??= new TenantSection(entry.bytes);
      return read(entry.section);
    });
  }
}

/** Whether any of the parts reaches into [fromNs, toNs). */
export function partsOverlap(parts: readonly Part[], fromNs: bigint, toNs: bigint): boolean {
  return parts.some(({ day, minOffset, maxOffset }) => {
    const dayNs = BigInt(day) * BigInt(DAY_NS);
    return dayNs + BigInt(maxOffset) >= fromNs && dayNs + BigInt(minOffset) < toNs;
  });
}

/** What version 1 has room for and no writer used: the log's cover is its own end, and nothing is replaced. */
function skipReserved(reader: ByteReader): void {
  repeat(reader, () => [reader.text(), reader.varint()]);
  repeat(reader, () => [reader.text(), reader.text(), reader.varint()]);
}

function repeat<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.varint();
  if (count > reader.left) throw new RangeError(`${count} items in ${reader.left} bytes`);
  const items: T[] = [];
  for (let number = 0; number < count; number++) items.push(read());
  return items;
}
