import { KiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { writeBlock } from '../chunk/block.ts';
import { chunkId, cutBlocks } from '../chunk/chunk.ts';
import type { MemoryBlock } from '../chunk/memory-block.ts';
import { type LevelZeroInfo, type TenantContents, writeLevelZeroFooter } from './footer.ts';
import { Slabs } from './slabs.ts';
import { type SegmentStream, TenantUnderWay } from './tenant-contents.ts';

/** Raw bytes after which the event loop gets a turn: 1 to 2 ms of work, and so after each block of a large stream. */
const TURN_BYTES = 512 * KiB;
/** What a chunk costs however small it is, in raw bytes. */
const CHUNK_TURN_BYTES = 8192;

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
  finish(range: LevelZeroInfo): Uint8Array[] {
    this.#endTenant();
    return [...this.#data.parts(), ...writeLevelZeroFooter(range, this.#tenants)];
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
