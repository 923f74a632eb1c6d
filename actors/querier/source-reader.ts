import { MemoryBudget, type MemoryPool } from '../../logql/engine/memory-budget.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Counter } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { RangeCache } from '../../storage/blob/range-cache.ts';
import { ReadMeter } from '../../storage/chunk/block.ts';
import { Catalog } from '../../storage/segment/catalog.ts';
import type { Ingesters } from '../ingesters.ts';
import { checkSelected } from '../job-limits.ts';
import type { AskContext, Asker } from '../kernel/define.ts';
import type { JobLimits, ScanStats } from '../protocol/query.ts';
import { type Slices, Turns } from '../turns.ts';
import { KnownApart } from './repeats.ts';
import { type Scanner, scan } from './scan.ts';
import type { ScanGroup } from './scan-group.ts';
import type { SharedScan } from './sharing.ts';
import { bytesIn, gatherSources, type Selection, type StreamSources } from './sources.ts';

export interface SourceReaderDeps {
  readonly asker: Asker;
  readonly ingesters: Ingesters;
  readonly blobs: BlobStore;
  /** Memory for the indexes of objects. */
  readonly footerBytes: number;
  /** Memory for short parts of objects: columns beside the lines, pages of skip filters. None unless said. */
  readonly rangeBytes?: number;
  readonly maxListingAgeMs: number;
  /** Of all jobs of the actor. */
  readonly memory: MemoryPool;
  /** Jobs at a time that are not soon done. */
  readonly longJobs: number;
  /** Counts pages of skip filters that are damaged, and so ruled nothing out. */
  readonly damagedPages?: Counter;
}

/** What a job does with streams, bound to its question. */
export interface JobTools {
  /** What the job holds is to be taken from here; all of it is given back when it ends. */
  readonly memory: MemoryBudget;
  readonly slices: Slices;
  /** Throws Fault limit_exceeded if there is more than `most`. */
  gather(selection: Selection, stats: ScanStats, most?: JobLimits): Promise<StreamSources[]>;
  /** Scans the groups, but for those that are given away where the job is shared. */
  scan(groups: readonly ScanGroup[], stats: ScanStats, scanner: Scanner): Promise<void>;
}

/** How often a job starts over because an object that it had listed was gone when it came to read it. */
const MAX_PLANS = 3;

/** Reads what ingesters and storage have, for one actor. */
export class SourceReader {
  readonly catalog: Catalog;
  readonly #deps: SourceReaderDeps;
  readonly #world: World;
  readonly #turns: Turns;
  readonly #ranges: RangeCache;
  readonly #knownApart = new KnownApart();

  constructor(deps: SourceReaderDeps, world: World) {
    this.#deps = deps;
    this.#world = world;
    this.#turns = new Turns(world, deps.longJobs);
    this.#ranges = new RangeCache(deps.blobs, deps.rangeBytes ?? 0);
    this.catalog = new Catalog(deps.blobs, world.clock, deps);
  }

  /** What is held of short parts of objects. */
  get rangeBytes(): number {
    return this.#ranges.sizeBytes;
  }

  /** Runs `job` from its beginning again when an object vanished under it: the next listing has what took its place. `maxMemory`: bytes that the job may hold
   *  by itself, 0 for any number. A job that has exchanged groups by `shared` does not start over, and throws Fault not_found. */
  async planned<T>(asked: AskContext, maxMemory: number, job: (tools: JobTools) => Promise<T>, shared?: SharedScan): Promise<T> {
    const slices = this.#turns.begin(asked.signal);
    try {
      return await this.#planned(asked, maxMemory, slices, job, shared);
    } finally {
      slices.end();
    }
  }

  async #planned<T>(
    asked: AskContext,
    maxMemory: number,
    slices: Slices,
    job: (tools: JobTools) => Promise<T>,
    shared: SharedScan | undefined,
  ): Promise<T> {
    for (let plan = 1; ; plan++) {
      const memory = new MemoryBudget(maxMemory, this.#deps.memory);
      try {
        return await job(this.#tools(asked, memory, slices, shared));
      } catch (error) {
        asked.signal.throwIfAborted();
        if (!(error instanceof Fault) || error.code !== 'not_found' || shared?.isMixed === true) throw error;
        if (plan === MAX_PLANS) throw new Fault('unavailable', error.message, { cause: error });
        await this.catalog.refresh();
      } finally {
        memory.close();
      }
    }
  }

  #tools(asked: AskContext, memory: MemoryBudget, slices: Slices, shared: SharedScan | undefined): JobTools {
    const { asker, ingesters, blobs, damagedPages } = this.#deps;
    const [catalog, world, ranges, knownApart] = [this.catalog, this.#world, this.#ranges, this.#knownApart];
    return {
      memory,
      slices,
      async gather(selection, stats, most) {
        const streams = await gatherSources(selection, { asker, ingesters, catalog, world, context: asked, stats, memory, slices });
        if (most !== undefined) checkSelected({ ...stats, bytes: bytesIn(streams) }, most, selection.shard.of > 1);
        return streams;
      },
      async scan(groups, stats, scanner) {
        const meter = new ReadMeter(world.clock);
        await scan(groups, { blobs, ranges, knownApart, world, slices, stats, meter, memory }, scanner, shared);
        stats.fetchedBytes += meter.fetchedBytes;
        stats.filterBytes += meter.filterBytes;
        if (meter.damagedPages > 0) damagedPages?.add(meter.damagedPages);
        stats.compressedBytes += meter.storedBytes;
        stats.decompressedBytes += meter.rawBytes;
        stats.decompressMs += meter.decompressMs;
      },
    };
  }
}
