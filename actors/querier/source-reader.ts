import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { ReadMeter } from '../../storage/chunk/block.ts';
import { Catalog } from '../../storage/segment/catalog.ts';
import type { AskContext, Asker } from '../kernel/define.ts';
import type { ScanStats } from '../protocol/query.ts';
import { type ScanGroup, type Scanner, scan } from './scan.ts';
import { gatherSources, type Selection, type StreamSources } from './sources.ts';

export interface SourceReaderDeps {
  readonly asker: Asker;
  readonly ingesters: readonly string[];
  readonly blobs: BlobStore;
  /** Memory for the indexes of objects. */
  readonly footerBytes: number;
  readonly maxListingAgeMs: number;
}

/** What a job does with streams, bound to its question. */
export interface JobTools {
  gather(selection: Selection, stats: ScanStats): Promise<StreamSources[]>;
  scan(groups: readonly ScanGroup[], stats: ScanStats, scanner: Scanner): Promise<void>;
}

/** How often a job starts over because an object that it had listed was gone when it came to read it. */
const MAX_PLANS = 3;

/** Reads what ingesters and storage have, for one actor. */
export class SourceReader {
  readonly catalog: Catalog;
  readonly #deps: SourceReaderDeps;
  readonly #world: World;

  constructor(deps: SourceReaderDeps, world: World) {
    this.#deps = deps;
    this.#world = world;
    this.catalog = new Catalog(deps.blobs, world.clock, deps);
  }

  /** Runs `job` from its beginning again when an object vanished under it: the next listing has what took its place. */
  async planned<T>(asked: AskContext, job: (tools: JobTools) => Promise<T>): Promise<T> {
    const tools = this.#tools(asked);
    for (let plan = 1; ; plan++) {
      try {
        return await job(tools);
      } catch (error) {
        asked.signal.throwIfAborted();
        if (!(error instanceof Fault) || error.code !== 'not_found') throw error;
        if (plan === MAX_PLANS) throw new Fault('unavailable', error.message, { cause: error });
        await this.catalog.refresh();
      }
    }
  }

  #tools(asked: AskContext): JobTools {
    const { asker, ingesters, blobs } = this.#deps;
    const [catalog, world] = [this.catalog, this.#world];
    return {
      gather: (selection, stats) => gatherSources(selection, { asker, ingesters, catalog, world, context: asked, stats }),
      async scan(groups, stats, scanner) {
        const meter = new ReadMeter(world.clock);
        await scan(groups, { blobs, world, context: asked, stats, meter }, scanner);
        stats.fetchedBytes = meter.fetchedBytes;
        stats.filterBytes = meter.filterBytes;
        stats.compressedBytes = meter.storedBytes;
        stats.decompressedBytes = meter.rawBytes;
        stats.decompressMs = meter.decompressMs;
      },
    };
  }
}
