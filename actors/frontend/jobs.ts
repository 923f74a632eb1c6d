import type { MemoryBudget } from '../../logql/engine/memory-budget.ts';
import type { QueryStats } from '../../logql/engine/response-stats.ts';
import { addProfiles, type StageProfile } from '../../logql/pipeline/profile.ts';
import type { World } from '../../ops/base/world.ts';
import { type AskContext, type Asker, askOptions } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import type { StreamShard } from '../protocol/ingest.ts';
import { noScanStats, type QuerierAsk, type QuerierReply, querierProtocol, type ScanStats } from '../protocol/query.ts';

export interface FrontendServices {
  readonly asker: Asker;
  readonly queriers: readonly string[];
  /** Line bytes that are mined for patterns at most; absent where they are turned off. */
  readonly patternBytes?: number | undefined;
  readonly limits: (tenant: string) => TenantLimits;
  /** What is held of the queriers' replies counts here. */
  readonly memory: MemoryBudget;
  readonly world: World;
}

/** A question to queriers without its share of the streams and of memory, which `run` adds. */
type Unsharded<A> = A extends { shard: StreamShard } ? Omit<A, 'shard' | 'maxMemory'> : never;

/** A reply is held as it came, decoded, and as a part of the answer. */
const MERGED = 3;

/** Bytes of the frames and texts in a reply. */
function replyBytes(reply: object): number {
  let bytes = 0;
  for (const part of Object.values(reply)) {
    if (!Array.isArray(part) && !(part instanceof Uint8Array)) continue;
    if (part instanceof Uint8Array) bytes += part.length;
    else for (const item of part) if (typeof item === 'string' || item instanceof Uint8Array) bytes += item.length;
  }
  return bytes;
}

/** One kind of job of a query, as it went. */
export interface JobProfile {
  /** What was asked of queriers. */
  readonly query: string;
  /** How many of them, each over its share of the streams. */
  jobs: number;
  stages: readonly StageProfile[];
}

/** The jobs of one query, and what they cost together. */
export class Jobs {
  /** What was asked and how it went; kept if the query is to be explained. */
  readonly profiles: JobProfile[] | undefined;

  readonly #services: FrontendServices;
  readonly #asked: AskContext;
  readonly #startMs: number;
  readonly #scan = noScanStats();
  /** When one job fails all others of the query stop: their answers would be thrown away. */
  readonly #failed = new AbortController();
  #count = 0;

  constructor(services: FrontendServices, asked: AskContext, { explain = false }: { explain?: boolean } = {}) {
    this.profiles = explain ? [] : undefined;
    this.#services = services;
    this.#asked = asked;
    this.#startMs = services.world.clock.monotonicMs();
  }

  /** Asks every querier for its share of the streams, or one for all of them; the replies are in the order of the shares. If one fails, all do. */
  async run<K extends QuerierAsk['kind']>(
    ask: Unsharded<Extract<QuerierAsk, { kind: K }>> & { kind: K },
    sharded: boolean,
  ): Promise<QuerierReply[K][]> {
    const { asker, queriers } = this.#services;
    const of = sharded ? queriers.length : 1;
    const context = { ...askOptions(this.#asked), signal: AbortSignal.any([this.#asked.signal, this.#failed.signal]) };
    this.#count += of;
    const { maxQueryMemory: maxMemory } = this.#services.limits(this.#asked.tenant);
    const asks = Array.from({ length: of }, (_, index) => {
      const instance = sharded ? queriers[index] : 'any';
      const job = { ...ask, ...(this.profiles && { profile: true }), maxMemory, shard: { index, of } } as unknown as Extract<
        QuerierAsk,
        { kind: K }
      > & { kind: K };
      return asker.ask<QuerierAsk, QuerierReply, K>(querierProtocol, instance, job, context);
    });
    try {
      const replies = await Promise.all(asks);
      for (const reply of replies) this.#services.memory.take(MERGED * replyBytes(reply));
      for (const { stats } of replies) this.#add(stats);
      if ('query' in ask) this.#note(ask.query, replies as QuerierReply['logs' | 'samples'][]);
      return replies;
    } catch (error) {
      this.#failed.abort(error);
      await Promise.allSettled(asks);
      throw error;
    }
  }

  #note(query: string, replies: readonly QuerierReply['logs' | 'samples'][]): void {
    const stages = addProfiles(replies.map(({ stages = [] }) => stages));
    const known = this.profiles?.find((profile) => profile.query === query);
    if (known === undefined) this.profiles?.push({ query, jobs: replies.length, stages });
    else {
      known.jobs += replies.length;
      known.stages = addProfiles([known.stages, stages]);
    }
  }

  #add(stats: ScanStats): void {
    for (const key of Object.keys(stats) as (keyof ScanStats)[]) this.#scan[key] += stats[key];
  }

  /** Of all jobs together. */
  get scan(): Readonly<ScanStats> {
    return this.#scan;
  }

  stats(): QueryStats {
    const { world, queriers } = this.#services;
    return {
      ...this.#scan,
      execMs: world.clock.monotonicMs() - this.#startMs,
      queueMs: 0,
      subqueries: this.#count,
      splits: 1,
      shards: queriers.length,
      ingesters: queriers.length,
    };
  }
}
