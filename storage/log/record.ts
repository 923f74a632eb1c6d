import { align8, crc32 } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Position } from './ingest-log.ts';

/** Layout: FORMAT.md. */
const VERSION = 1;
const FILE_MAGIC = 0x464c524d;
const RECORD_MAGIC = 0x524c524d;
const RECORD_MAGIC_BYTES = Buffer.from('MRLR');
export const FILE_HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 32;
const CRC_AT = 28;
/** Read at once where no record asks for more. */
const WINDOW_BYTES = 1024 * 1024;

/** Ties every header to its log and file. Log ids are never shown to tenants, so no line can pass for a record, however the disk is damaged, and neither can
 *  what an old file left on the disk. */
export interface Seal {
  readonly idCrc: number;
  readonly epoch: number;
}

export function sealOf(logId: string, epoch: number): Seal {
  return { idCrc: crc32(Buffer.from(logId)), epoch };
}

export function fileHeader(seal: Seal, first: Position): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.writeUInt32LE(FILE_MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  writePosition(header, 8, first);
  header.writeUInt32LE(seal.epoch, 16);
  header.writeUInt32LE(headerCrc(header, 0, seal), CRC_AT);
  return header;
}

export interface RecordHead {
  readonly position: Position;
  /** Its number in the group that was written and synced with it, from 0. */
  readonly index: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

/** Writes the RECORD_HEADER_BYTES before a payload at `at` of `out`, which is zero there. */
export function writeRecordHead(out: Buffer, at: number, seal: Seal, head: RecordHead): void {
  out.writeUInt32LE(RECORD_MAGIC, at);
  out.writeUInt32LE(head.payloadBytes, at + 4);
  writePosition(out, at + 8, head.position);
  out.writeUInt32LE(seal.epoch, at + 16);
  out.writeUInt32LE(head.index, at + 20);
  out.writeUInt32LE(head.payloadCrc, at + 24);
  out.writeUInt32LE(headerCrc(out, at, seal), at + CRC_AT);
}

/** The bytes that a record takes in its file. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + align8(payloadBytes);
}

/** What stands in a log file, from its begin to its end. */
export type Scanned =
  | {
      readonly kind: 'record';
      readonly position: Position;
      /** Position of the first record of the group that was written with it. */
      readonly group: Position;
      /** The payload: borrowed from what was read, 8-aligned if that is and the file is whole. */
      readonly bytes: Buffer;
      /** Where the next record stands. */
      readonly next: number;
    }
  /** A run of bytes that are no record: damaged, or torn when the power went. */
  | { readonly kind: 'damage'; readonly sizeBytes: number };

/** Bytes [from, to) of the file are wanted as the answer; fewer mean that the file ends there. */
export interface Need {
  readonly kind: 'need';
  readonly from: number;
  readonly to: number;
}

/** The records in the bytes of a file. Throws only Fault unsupported, for a file of a later version. */
export function* readRecords(bytes: Buffer, seal: Seal): Generator<Scanned, void, void> {
  const scan = scanRecords(seal, bytes.length);
  for (let step = scan.next(); !step.done; ) {
    if (step.value.kind === 'need') {
      step = scan.next(bytes.subarray(step.value.from, step.value.to));
    } else {
      yield step.value;
      step = scan.next();
    }
  }
}

/** Finds the records of a file of `sizeBytes` from `at`, asking for its bytes as it goes. Memory: one window, or the largest record. */
export function* scanRecords(seal: Seal, sizeBytes: number, at = 0): Generator<Scanned | Need, void, Buffer | undefined> {
  let end = sizeBytes;
  let window: Buffer = Buffer.alloc(0);
  let base = at;
  let damagedBytes = 0;

  /** Whether the file has `size` bytes at `at`; then the window has them. */
  function* have(size: number): Generator<Need, boolean, Buffer | undefined> {
    if (at + size > end) return false;
    if (at >= base && at + size <= base + window.length) return true;
    const to = Math.min(end, at + Math.max(size, WINDOW_BYTES));
    const read = yield { kind: 'need', from: at, to };
    window = read ?? Buffer.alloc(0);
    base = at;
    if (window.length < to - at) end = at + window.length;
    return window.length >= size;
  }

  if (at === 0 && (yield* have(FILE_HEADER_BYTES)) && isFileHeader(window, seal)) at = FILE_HEADER_BYTES;
  while (yield* have(RECORD_HEADER_BYTES)) {
    const head = recordHeadAt(window, at - base, seal);
    if (head !== undefined && (yield* have(RECORD_HEADER_BYTES + head.payloadBytes))) {
      const payloadAt = at - base + RECORD_HEADER_BYTES;
      const bytes = window.subarray(payloadAt, payloadAt + head.payloadBytes);
      if (crc32(bytes) === head.payloadCrc) {
        if (damagedBytes > 0) yield { kind: 'damage', sizeBytes: damagedBytes };
        damagedBytes = 0;
        at += recordBytes(head.payloadBytes);
        yield { kind: 'record', position: head.position, group: head.position - head.index, bytes, next: at };
        continue;
      }
    }
    // A length is believed only with its payload: where bytes were cut out, the next record stands before the place that this one's length points to.
    const next = base + nextRecordMagic(window, at - base + 1);
    damagedBytes += next - at;
    at = next;
  }
  damagedBytes += Math.max(0, end - at);
  if (damagedBytes > 0) yield { kind: 'damage', sizeBytes: damagedBytes };
}

/** Whether `bytes` begin with the header of the file that `seal` is for. Throws Fault unsupported if a later version wrote it. */
function isFileHeader(bytes: Buffer, seal: Seal): boolean {
  if (bytes.readUInt32LE(0) !== FILE_MAGIC || bytes.readUInt32LE(CRC_AT) !== headerCrc(bytes, 0, seal)) return false;
  const version = bytes.readUInt32LE(4);
  if (version !== VERSION) throw new Fault('unsupported', `ingest log file has version ${version}, this program reads ${VERSION}`);
  return true;
}

function recordHeadAt(bytes: Buffer, at: number, seal: Seal): RecordHead | undefined {
  if (bytes.readUInt32LE(at) !== RECORD_MAGIC || bytes.readUInt32LE(at + CRC_AT) !== headerCrc(bytes, at, seal)) return undefined;
  if (bytes.readUInt32LE(at + 16) !== seal.epoch) return undefined;
  return {
    position: readPosition(bytes, at + 8),
    index: bytes.readUInt32LE(at + 20),
    payloadBytes: bytes.readUInt32LE(at + 4),
    payloadCrc: bytes.readUInt32LE(at + 24),
  };
}

/** The first place at or after `from` where a record may begin, at worst the last bytes of the window, where one could begin and go on beyond it. Any place, not
 *  only multiples of 8: where bytes were cut out, what follows has moved. */
function nextRecordMagic(window: Buffer, from: number): number {
  const found = window.indexOf(RECORD_MAGIC_BYTES, from);
  return found >= 0 ? found : Math.max(from, window.length - RECORD_MAGIC_BYTES.length + 1);
}

function headerCrc(bytes: Buffer, at: number, seal: Seal): number {
  return crc32(bytes.subarray(at, at + CRC_AT), seal.idCrc);
}

function writePosition(out: Buffer, at: number, position: Position): void {
  out.writeUInt32LE(position >>> 0, at);
  out.writeUInt32LE(Math.floor(position / 2 ** 32), at + 4);
}

function readPosition(bytes: Buffer, at: number): Position {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
