import type { Labels } from '../../logql/model.ts';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { HOUR_NS, type StreamHash } from '../batch/batch.ts';
import { writeBlock } from '../chunk/block.ts';
import { type ChunkRef, chunkId, cutBlocks } from '../chunk/chunk.ts';
import type { MemoryBlock } from '../chunk/memory-block.ts';
import type { Position } from '../log/ingest-log.ts';
import { type Part, type TenantContents, writeFooter } from './footer.ts';
import { TenantSectionBuilder } from './tenant-section.ts';

export interface SegmentStream {
  readonly tenant: string;
  /** Canonical text. */
  readonly labels: string;
  /** The same as pairs. */
  readonly parsed: Labels;
  readonly hash: StreamHash;
}

const SLAB_BYTES = MiB;
/** Raw bytes after which the event loop gets a turn: 1 to 2 ms of work, and so after each block of a large stream. */
const TURN_BYTES = 512 * KiB;
/** What a chunk costs however small it is, in raw bytes. */
const CHUNK_TURN_BYTES = 8192;
const HOURS_A_DAY = 24;

/** Writes one object of level 0: chunks of many tenants and streams, then their index. Compressed blocks are kept until `finish`; what is written is not. */
export class SegmentWriter {
  readonly #world: Pick<World, 'timers'>;
  readonly #level: number;
  readonly #data = new Slabs();
  readonly #tenants: TenantContents[] = [];
  #tenant: TenantUnderWay | undefined;
  #turnBytes = 0;

  /** `level`: of zstd. */
  constructor(world: Pick<World, 'timers'>, level = 3) {
    this.#world = world;
    this.#level = level;
  }

  /** Writes one hour of a stream, or some of it, as a chunk. Calls come one after the other, sorted by tenant, labels (code units) and hour; `block` starts at
   *  its hour. */
  async add(stream: SegmentStream, block: MemoryBlock): Promise<void> {
    if (block.rows === 0) return;
    const tenant = this.#tenantOf(stream);
    const at = this.#data.length;
    const blocks = [];
    for (const part of cutBlocks(block)) {
      await this.#turn(part.lineBytes + part.metadataBytes);
      blocks.push(writeBlock(part, (bytes) => this.#data.append(bytes), this.#level));
    }
    await this.#turn(CHUNK_TURN_BYTES);
    const { baseNs, minOffset, maxOffset, rows, lineBytes, metadataBytes } = block;
    const id = chunkId(stream.tenant, stream.labels, block);
    tenant.add(stream, { id, level: 0, baseNs, minOffset, maxOffset, rows, lineBytes, metadataBytes, at, blocks });
  }

  /** The object's bytes, to be written one after the other; owned by the caller. Records [from, to) of `log` are in it. */
  finish({ log, from, to }: { log: string; from: Position; to: Position }): Uint8Array[] {
    this.#endTenant();
    const info = { log, from, to, deletesApplied: 0, cover: [{ log, upTo: to }], replaces: [] };
    return [...this.#data.parts(), ...writeFooter(info, this.#tenants)];
  }

  #tenantOf({ tenant }: SegmentStream): TenantUnderWay {
    if (this.#tenant?.name === tenant) return this.#tenant;
    if (this.#tenant !== undefined && tenant < this.#tenant.name)
      throw new Fault('internal', `tenant ${tenant} after ${this.#tenant.name}`);
    this.#endTenant();
    this.#tenant = new TenantUnderWay(tenant);
    return this.#tenant;
  }

  #endTenant(): void {
    if (this.#tenant !== undefined) this.#tenants.push(this.#tenant.finish());
    this.#tenant = undefined;
  }

  async #turn(bytes: number): Promise<void> {
    this.#turnBytes += bytes;
    if (this.#turnBytes < TURN_BYTES) return;
    this.#turnBytes = 0;
    await this.#world.timers.yield();
  }
}

class TenantUnderWay {
  readonly name: string;
  readonly #section = new TenantSectionBuilder();
  readonly #parts = new Map<number, Part>();
  #stream: SegmentStream | undefined;
  #chunks: ChunkRef[] = [];

  constructor(name: string) {
    this.name = name;
  }

  add(stream: SegmentStream, chunk: ChunkRef): void {
    const before = this.#stream;
    if (before?.labels !== stream.labels) {
      if (before !== undefined && stream.labels < before.labels)
        throw new Fault('internal', `stream ${stream.labels} after ${before.labels}`);
      this.#endStream();
      this.#stream = stream;
    } else if (chunk.baseNs < this.#chunks[this.#chunks.length - 1].baseNs) {
      throw new Fault('internal', `chunks of ${stream.labels} not in the order of their hours`);
    }
    this.#chunks.push(chunk);
    this.#count(chunk);
  }

  #endStream(): void {
    if (this.#stream === undefined) return;
    const { labels, hash, parsed } = this.#stream;
    this.#section.add({ labels, hash, chunks: this.#chunks }, parsed);
    this.#chunks = [];
  }

  #count({ baseNs, minOffset, maxOffset, rows, lineBytes }: ChunkRef): void {
    const hour = Number(baseNs / BigInt(HOUR_NS));
    const day = Math.floor(hour / HOURS_A_DAY);
    const hourOffset = (hour - day * HOURS_A_DAY) * HOUR_NS;
    const part = this.#parts.get(day);
    this.#parts.set(day, {
      day,
      minOffset: Math.min(part?.minOffset ?? Number.POSITIVE_INFINITY, hourOffset + minOffset),
      maxOffset: Math.max(part?.maxOffset ?? 0, hourOffset + maxOffset),
      rows: (part?.rows ?? 0) + rows,
      lineBytes: (part?.lineBytes ?? 0) + lineBytes,
    });
  }

  finish(): TenantContents {
    this.#endStream();
    const parts = [...this.#parts.values()].sort((a, b) => a.day - b.day);
    return { tenant: this.name, parts, section: this.#section.finish() };
  }
}

/** A byte string that grows in pieces, so that growing copies nothing and small columns do not become objects of their own. */
class Slabs {
  #full: Buffer[] = [];
  #slab = Buffer.alloc(0);
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#slab.length) {
      if (this.#used > 0) this.#full.push(this.#slab.subarray(0, this.#used));
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes.length));
      this.#used = 0;
    }
    this.#slab.set(bytes, this.#used);
    this.#used += bytes.length;
    this.#length += bytes.length;
  }

  parts(): Buffer[] {
    return this.#used === 0 ? this.#full : [...this.#full, this.#slab.subarray(0, this.#used)];
  }
}
