import { dirname } from 'node:path';
import type { AppendFile, World } from '../../ops/base/world.ts';
import type { Position } from './ingest-log.ts';
import { FILE_HEADER_BYTES, fileHeader, RECORD_HEADER_BYTES, recordBytes, type Seal, sealOf, writeRecordHead } from './record.ts';
import { type Segment, segmentPath } from './segments.ts';

/** A record that waits to be written. */
export interface Payload {
  readonly parts: readonly Uint8Array[];
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

const PADDING = Buffer.alloc(8);

/** The file that a log appends to. One call at a time; after one that failed only `close`. */
export class SegmentWriter {
  readonly segment: Segment;
  readonly #world: World;
  readonly #file: AppendFile;
  readonly #seal: Seal;

  private constructor(world: World, segment: Segment, file: AppendFile, seal: Seal) {
    this.#world = world;
    this.segment = segment;
    this.#file = file;
    this.#seal = seal;
  }

  /** Makes the file whose first record gets position `first`. Once this resolves its name survives a power cut. Throws what the file system does; then it is
   *  gone again. */
  static async create(world: World, log: { directory: string; id: string }, epoch: number, first: Position): Promise<SegmentWriter> {
    const segment: Segment = { path: segmentPath(log.directory, epoch, first), epoch, first, sizeBytes: FILE_HEADER_BYTES };
    const seal = sealOf(log.id, epoch);
    const writer = new SegmentWriter(world, segment, await world.files.create(segment.path), seal);
    try {
      await writer.#file.append([fileHeader(seal, first)]);
      await writer.#file.sync();
      await world.files.syncDirectory(dirname(segment.path));
      return writer;
    } catch (error) {
      await writer.close();
      await world.files.unlink(segment.path).catch(() => {}); // an empty file left behind says nothing wrong
      throw error;
    }
  }

  /** Writes a group of records, the first at position `first`, and makes them durable. Resolves with how long the sync took, in milliseconds. */
  async append(first: Position, group: readonly Payload[]): Promise<number> {
    const heads = Buffer.alloc(group.length * RECORD_HEADER_BYTES);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for (const [index, { parts, payloadBytes, payloadCrc }] of group.entries()) {
      const headAt = index * RECORD_HEADER_BYTES;
      writeRecordHead(heads, headAt, this.#seal, { position: first + index, index, payloadBytes, payloadCrc });
      chunks.push(heads.subarray(headAt, headAt + RECORD_HEADER_BYTES), ...parts, PADDING.subarray(0, -payloadBytes & 7));
      sizeBytes += recordBytes(payloadBytes);
    }
    await this.#file.append(chunks);
    const { clock } = this.#world;
    const beganMs = clock.monotonicMs();
    await this.#file.sync();
    this.segment.sizeBytes += sizeBytes;
    return clock.monotonicMs() - beganMs;
  }

  /** What was synced stays; an error here says nothing about it. */
  async close(): Promise<void> {
    await this.#file.close().catch(() => {});
  }
}
