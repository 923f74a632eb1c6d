import { ByteReader, ByteWriter, crc32, MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { HOUR_NS } from '../batch/batch.ts';
import { decoding } from '../chunk/block.ts';
import { zstd } from '../chunk/zstd.ts';
import type { Position } from '../log/ingest-log.ts';
import type { CompiledMatcher } from './postings.ts';
import { type SegmentSeries, TenantSection } from './tenant-section.ts';

const MAGIC = 0x3153524d;
const VERSION = 1;
export const TAIL_BYTES = 24;
const LEVEL = 3;
/** A footer that claims to be larger is damaged. */
const MAX_FOOTER_BYTES = 1024 * MiB;
const DAY_NS = 24 * HOUR_NS;

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

/** A part of another object. */
export interface PartRef {
  readonly object: string;
  readonly tenant: string;
  readonly day: number;
}

/** What a segment's footer says about the object as a whole. */
export interface SegmentInfo {
  /** The records [from, to) of this log are in the object. */
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
  /** Deletes up to this sequence number have been applied. */
  readonly deletesApplied: number;
  /** Per log: records below `upTo` are in this object or in those it replaces. */
  readonly cover: readonly { readonly log: string; readonly upTo: Position }[];
  /** Parts that this object stands for: those it was made from and all that they replaced. */
  readonly replaces: readonly PartRef[];
}

export interface TenantContents {
  readonly tenant: string;
  /** By day. */
  readonly parts: readonly Part[];
  readonly section: Buffer;
}

/** The footer and the tail that ends the object. */
export function writeFooter(info: SegmentInfo, tenants: readonly TenantContents[]): Buffer[] {
  const out = new ByteWriter(4096);
  out.text(info.log).varint(info.from).varint(info.to).varint(info.deletesApplied);
  out.varint(info.cover.length);
  for (const { log, upTo } of info.cover) out.text(log).varint(upTo);
  out.varint(info.replaces.length);
  for (const { object, tenant, day } of info.replaces) out.text(object).text(tenant).varint(day);
  out.varint(tenants.length);
  for (const { tenant, parts, section } of tenants) {
    out.text(tenant).varint(section.length).varint(parts.length);
    for (const part of parts) out.varint(part.day).varint(part.minOffset).varint(part.maxOffset).varint(part.rows).varint(part.lineBytes);
  }
  for (const { section } of tenants) out.raw(section);
  const stored = Buffer.from(zstd.compress(out.view(), LEVEL));
  const tail = new ByteWriter(TAIL_BYTES);
  tail.u32(stored.length).u32(out.length).u32(crc32(stored)).u32(VERSION);
  tail.u32(crc32(tail.view())).u32(MAGIC);
  return [stored, tail.view()];
}

export interface Tail {
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly crc: number;
}

/** Reads the last TAIL_BYTES of an object. Throws Fault corrupt, or unsupported for a version that this program does not know. */
export function readTail(tail: Buffer, key: string): Tail {
  if (tail.length !== TAIL_BYTES || tail.readUInt32LE(20) !== MAGIC || crc32(tail.subarray(0, 16)) !== tail.readUInt32LE(16))
    throw new Fault('corrupt', `object ${key} does not end as a segment does`);
  const version = tail.readUInt32LE(12);
  if (version !== VERSION) throw new Fault('unsupported', `object ${key} has segment version ${version}, this program knows ${VERSION}`);
  const rawBytes = tail.readUInt32LE(4);
  if (rawBytes > MAX_FOOTER_BYTES) throw new Fault('corrupt', `object ${key} has a footer of ${rawBytes} bytes`);
  return { storedBytes: tail.readUInt32LE(0), rawBytes, crc: tail.readUInt32LE(8) };
}

/** Checks, decompresses and opens the stored footer. Throws Fault corrupt. */
export function openFooter(key: string, stored: Buffer, { rawBytes, crc }: Tail): Footer {
  return decoding(`footer of ${key}`, () => {
    if (crc32(stored) !== crc) throw new RangeError('checksum does not match');
    return new Footer(key, zstd.decompress(stored, rawBytes));
  });
}

interface TenantEntry {
  readonly parts: readonly Part[];
  readonly bytes: Buffer;
  section: TenantSection | undefined;
}

/** The index of one object: which streams it holds, where their chunks lie and what they contain. Decoded as far as it is asked for.
 *  Methods throw Fault corrupt. */
export class Footer implements SegmentInfo {
  /** Bytes of memory held before anything is decoded. */
  readonly sizeBytes: number;
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
  readonly deletesApplied: number;
  readonly cover: readonly { readonly log: string; readonly upTo: Position }[];
  readonly replaces: readonly PartRef[];
  readonly #key: string;
  readonly #tenants = new Map<string, TenantEntry>();

  /** `key`: of the object. `bytes`: the footer, decompressed; borrowed for the footer's life. Throws RangeError on bytes that no writer made. */
  constructor(key: string, bytes: Buffer) {
    const reader = new ByteReader(bytes);
    this.#key = key;
    this.sizeBytes = bytes.length;
    this.log = reader.text();
    this.from = reader.varint();
    this.to = reader.varint();
    this.deletesApplied = reader.varint();
    this.cover = repeat(reader, () => ({ log: reader.text(), upTo: reader.varint() }));
    this.replaces = repeat(reader, () => ({ object: reader.text(), tenant: reader.text(), day: reader.varint() }));
    const entries = repeat(reader, () => {
      const tenant = reader.text();
      const sectionBytes = reader.varint();
      const parts = repeat(reader, () => ({
        day: reader.varint(),
        minOffset: reader.varint(),
        maxOffset: reader.varint(),
        rows: reader.varint(),
        lineBytes: reader.varint(),
      }));
      return { tenant, sectionBytes, parts };
    });
    for (const { tenant, sectionBytes, parts } of entries)
      this.#tenants.set(tenant, { parts, bytes: reader.raw(sectionBytes), section: undefined });
    if (reader.left !== 0) throw new RangeError(`${reader.left} bytes after the last tenant`);
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

function repeat<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.varint();
  if (count > reader.left) throw new RangeError(`${count} items in ${reader.left} bytes`);
  const items: T[] = [];
  for (let number = 0; number < count; number++) items.push(read());
  return items;
}
