import { crc32, lengthOf } from '../../ops/base/bytes.ts';
import { makeDurableDirectory } from '../../ops/base/durable-directory.ts';
import { Fault } from '../../ops/base/fault.ts';
import { fileFault } from '../../ops/base/file-fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import { errno, type World } from '../../ops/base/world.ts';
import type { IngestLog, LogGap, LogRecord, Position } from './ingest-log.ts';
import { type LogMetrics, logMetrics } from './metrics.ts';
import { FILE_HEADER_BYTES, recordBytes } from './record.ts';
import { replay } from './replay.ts';
import { type Payload, SegmentWriter } from './segment-writer.ts';
import { listSegments, type Segment, scanSegment } from './segments.ts';

export interface LocalLogOptions {
  /** Absolute; made if need be. Belongs to this log alone. */
  readonly directory: string;
  readonly id: string;
  readonly world: World;
  readonly instruments: Instruments;
  /** A file takes no more records beyond this size. */
  readonly segmentBytes: number;
  readonly maxRecordBytes: number;
  /** No record gets a position below it: how far object storage covers the log, should the log itself have lost that. 0 unless given. */
  readonly floor?: Position;
}

/** Opens a log for its one writer. Reads the newest file to find the log's end, and makes durable what an earlier process left there unsynced, so that what is
 *  now read can never be unread. Throws Fault denied, disk_full, unavailable, unsupported. */
export async function openLocalLog(options: LocalLogOptions): Promise<LocalLog> {
  const { directory, id, world, instruments } = options;
  const metrics = logMetrics(instruments, id);
  try {
    await makeDurableDirectory(world.files, directory);
    const segments = await listSegments(world.files, directory);
    await world.files.syncDirectory(directory);
    const newest = segments.at(-1);
    let end = Math.max(options.floor ?? 0, newest?.first ?? 0);
    let tornBytes = 0;
    if (newest !== undefined) {
      await world.files.syncFile(newest.path);
      for await (const item of scanSegment(world.files, id, newest)) {
        if (item.kind === 'record') end = Math.max(end, item.position + 1);
        tornBytes = item.kind === 'record' ? 0 : item.sizeBytes;
      }
    }
    if (tornBytes > 0) {
      metrics.tornBytes.add(tornBytes);
      instruments.log.info('cut the torn end of the ingest log', { log: id, file: newest?.path, bytes: tornBytes, end });
    }
    return new LocalLog(options, metrics, segments, end);
  } catch (error) {
    throw fileFault(error, `open the ingest log ${directory}`);
  }
}

interface Append extends Payload {
  readonly resolve: (position: Position) => void;
  readonly reject: (fault: Fault) => void;
}

/** An ingest log in files of a local directory, with group commit: while one group of records is written and synced, the next one gathers. */
export class LocalLog implements IngestLog {
  readonly id: string;
  readonly #options: LocalLogOptions;
  readonly #metrics: LogMetrics;
  readonly #segments: Segment[];
  #epoch: number;
  #end: Position;
  /** Absent until the first append, which so starts a new file: nothing is ever appended to a file of an earlier process, or after an error. */
  #writer: SegmentWriter | undefined;
  #waiting: Append[] = [];
  #committing: Promise<void> | undefined;
  /** Removals of files go one after the other. */
  #removing: Promise<void> = Promise.resolve();
  #trimmedTo: Position = 0;
  #lossToldTo: Position = 0;
  #closed = false;

  /** See openLocalLog. */
  constructor(options: LocalLogOptions, metrics: LogMetrics, segments: Segment[], end: Position) {
    this.id = options.id;
    this.#options = options;
    this.#metrics = metrics;
    this.#segments = segments;
    this.#epoch = (segments.at(-1)?.epoch ?? 0) + 1;
    this.#end = end;
    metrics.bytesInUse(this.sizeBytes());
  }

  get end(): Position {
    return this.#end;
  }

  append(parts: readonly Uint8Array[]): Promise<Position> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Fault('unavailable', `ingest log ${this.id} is closed`);
      const payloadBytes = lengthOf(parts);
      const { maxRecordBytes } = this.#options;
      if (payloadBytes > maxRecordBytes) {
        throw new Fault('too_large', `ingest log record of ${payloadBytes} bytes is over the limit of ${maxRecordBytes} bytes`);
      }
      const payloadCrc = parts.reduce((crc, part) => crc32(part, crc), 0);
      this.#waiting.push({ parts, payloadBytes, payloadCrc, resolve, reject });
      this.#committing ??= this.#commitWaiting();
    });
  }

  async #commitWaiting(): Promise<void> {
    await this.#options.world.timers.yield(); // what comes in within one turn of the event loop shares a sync
    while (this.#waiting.length > 0) {
      const group = await this.#nextGroup();
      try {
        const first = await this.#commit(group);
        for (const [index, append] of group.entries()) append.resolve(first + index);
      } catch (error) {
        const fault = appendFault(error, this.id);
        if (fault.code === 'disk_full') this.#metrics.diskFull.add(group.length);
        for (const append of group) append.reject(fault);
      }
    }
    this.#committing = undefined;
  }

  /** Takes what waits, as far as the file has room; a full file is closed first. */
  async #nextGroup(): Promise<Append[]> {
    const { segmentBytes } = this.#options;
    const used = this.#writer?.segment.sizeBytes ?? 0;
    if (used > FILE_HEADER_BYTES && used + recordBytes(this.#waiting[0].payloadBytes) > segmentBytes) {
      await this.#writer?.close();
      this.#writer = undefined;
    }
    let room = segmentBytes - (this.#writer?.segment.sizeBytes ?? FILE_HEADER_BYTES);
    let count = 0;
    while (count < this.#waiting.length) {
      room -= recordBytes(this.#waiting[count].payloadBytes);
      if (room < 0 && count > 0) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Makes the group durable and returns the position of its first record. */
  async #commit(group: readonly Append[]): Promise<Position> {
    const first = this.#end;
    this.#writer ??= await this.#startSegment();
    try {
      this.#metrics.syncMs(await this.#writer.append(first, group));
    } catch (error) {
      await this.#abandonSegment(this.#writer);
      throw error;
    }
    this.#end = first + group.length;
    this.#metrics.bytesInUse(this.sizeBytes());
    return first;
  }

  async #startSegment(): Promise<SegmentWriter> {
    const { directory, id, world } = this.#options;
    try {
      const writer = await SegmentWriter.create(world, { directory, id }, this.#epoch, this.#end);
      this.#segments.push(writer.segment);
      return writer;
    } catch (error) {
      this.#epoch++;
      throw error;
    }
  }

  /** After a failed write or sync nobody knows what the file holds, and Linux reports a failed sync once only: it is never written to again. */
  async #abandonSegment(writer: SegmentWriter): Promise<void> {
    this.#writer = undefined;
    this.#epoch++;
    await writer.close();
    // A full disk gets its room back from a file in which nothing was acknowledged.
    if (writer.segment.first < this.#end) return;
    const { segment } = writer;
    await this.#remove(() => this.#segments.length > 1 && this.#segments.at(-1) === segment && segment).catch(() => {});
  }

  async *read(from: Position): AsyncGenerator<LogRecord | LogGap, void, void> {
    const { files } = this.#options.world;
    const segments = [...this.#segments];
    const items = replay({ files, logId: this.id, segments, from, end: this.#end, trimmedTo: () => this.#trimmedTo });
    try {
      for await (const item of items) {
        if (item.kind === 'gap') this.#countLoss(item);
        yield item;
      }
    } catch (error) {
      if (errno(error) === undefined) throw error;
      throw new Fault('unavailable', `cannot read the ingest log ${this.id}: ${error}`, { cause: error });
    }
  }

  /** Once for each loss, however often it is read. */
  #countLoss(gap: LogGap): void {
    if (gap.from < this.#lossToldTo) return;
    this.#lossToldTo = gap.to;
    this.#metrics.lost(gap);
    this.#options.instruments.log.error('ingest log records are lost', { log: this.id, ...gap });
  }

  async trim(upTo: Position): Promise<void> {
    this.#trimmedTo = Math.max(this.#trimmedTo, Math.min(upTo, this.#end));
    // The newest file stays, whatever it holds: its name and records say where the log ends.
    const next = (): Segment | false => this.#segments.length > 1 && this.#segments[1].first <= this.#trimmedTo && this.#segments[0];
    try {
      await this.#remove(next);
    } catch (error) {
      throw fileFault(error, `trim the ingest log ${this.id}`);
    }
  }

  /** Removes the files that `next` names, until it names none. One is durably gone before the next goes, so that a power cut leaves no hole between files. */
  #remove(next: () => Segment | false): Promise<void> {
    const { directory, world } = this.#options;
    const removal = this.#removing.then(async () => {
      for (let segment = next(); segment !== false; segment = next()) {
        await world.files.unlink(segment.path).catch((error) => {
          if (errno(error) !== 'ENOENT') throw error;
        });
        await world.files.syncDirectory(directory);
        this.#segments.splice(this.#segments.indexOf(segment), 1);
        this.#metrics.bytesInUse(this.sizeBytes());
      }
    });
    this.#removing = removal.catch(() => {});
    return removal;
  }

  sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#committing;
    await this.#removing;
    await this.#writer?.close();
    this.#writer = undefined;
  }
}

function appendFault(error: unknown, id: string): Fault {
  const fault = fileFault(error, `append to the ingest log ${id}`);
  return fault.code === 'disk_full' ? fault : new Fault('unavailable', fault.message, { cause: error });
}
