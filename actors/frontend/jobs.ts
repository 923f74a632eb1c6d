import type { MemoryBudget } from '../../logql/engine/memory-budget.ts';
import type { QueryStats } from '../../logql/engine/response-stats.ts';
import { finishInTurns, type Steps } from '../../logql/engine/steps.ts';
import { addProfiles, type StageProfile } from '../../logql/pipeline/profile.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { checkSelected } from '../job-limits.ts';
import { type AskContext, askOptions, type Messenger } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import type { StreamShard } from '../protocol/ingest.ts';
import {
  type AnswerWishes,
  addScanStats,
  type JobAsk,
  type JobLimits,
  noScanStats,
  type QuerierAsk,
  type QuerierReply,
  querierProtocol,
  type ScanStats,
} from '../protocol/query.ts';
import type { Slices } from '../turns.ts';
import { askByTenant } from './by-tenant.ts';
import { isGone, leased, MOST_QUERIERS } from './leased.ts';
import { jobLimits } from './query-limits.ts';
import { Slots } from './slots.ts';

export interface FrontendServices {
  readonly messenger: Messenger;
  /** Those that are there. */
  readonly queriers: readonly string[];
  /** Line bytes that are mined for patterns at most; absent where they are turned off. */
  readonly patternBytes?: number | undefined;
  readonly limits: (tenant: string) => TenantLimits;
  /** What is held of the queriers' replies counts here. */
  readonly memory: MemoryBudget;
  /** Of the query's work on this thread. */
  readonly slices: Slices;
  readonly world: World;
}

type Job<K extends QuerierAsk['kind']> = Extract<QuerierAsk, { kind: K }> & { kind: K };

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

function endsBeforeItBegins(ask: object): boolean {
  const {
    fromNs = 0n,
    toNs = fromNs,
    startNs = 0n,
    endNs = startNs,
  } = ask as Partial<Record<'fromNs' | 'toNs' | 'startNs' | 'endNs', bigint>>;
  return toNs < fromNs || endNs < startNs;
}

/** Each job is within the limits; throws Fault limit_exceeded unless all of them together are. */
function checkTogether(replies: readonly { readonly stats: ScanStats }[], most: JobLimits): void {
  const sum = (key: 'streams' | 'chunks'): number => replies.reduce((total, { stats }) => total + stats[key], 0);
  checkSelected({ streams: sum('streams'), chunks: sum('chunks'), bytes: 0 }, most, true);
}

export interface JobsOptions extends AnswerWishes {
  /** Whether stages are measured. */
  readonly explain?: boolean;
}

const PARTIAL = 'this answer may be short: ingesters that may have more entries did not answer';

/** Kafka may be behind by so much without a word of it. */
const MOST_BEHIND_MS = 5_000;

function behindWarnings({ behindMs, watermarkMs, unread, late }: ScanStats): string[] {
  const warnings: string[] = [];
  if (behindMs > MOST_BEHIND_MS) {
    const since = watermarkMs > 0 ? `since ${new Date(watermarkMs).toISOString()}` : 'lately';
    const how = watermarkMs > 0 ? `are ${(behindMs / 1_000).toFixed(1)} s behind Kafka` : 'have only begun to read Kafka';
    warnings.push(`what was taken in ${since} may be missing: ingesters ${how}`);
  }
  if (unread > 0)
    warnings.push(`what was taken in lately may be missing: ${unread} partitions of Kafka are read by no ingester at the moment`);
  if (late > 0) warnings.push(`what was written just before may be missing: ${late} ingesters had not read all of it in time`);
  return warnings;
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
  readonly #limits: TenantLimits;
  readonly #slots: Slots;
  readonly #wishes: AnswerWishes;
  #count = 0;
  #waitedMs = 0;

  /** Throws Fault rate_limited if the tenant may not query at all. */
  constructor(services: FrontendServices, asked: AskContext, { explain = false, partial = false, afterWrite = false }: JobsOptions = {}) {
    this.profiles = explain ? [] : undefined;
    this.#wishes = { ...(partial && { partial }), ...(afterWrite && { afterWrite }) };
    this.#services = services;
    this.#asked = asked;
    this.#startMs = services.world.clock.monotonicMs();
    this.#limits = services.limits(asked.tenant);
    const { tsdbMaxQueryParallelism: parallel } = this.#limits;
    if (parallel === 0) throw new Fault('rate_limited', 'querying is disabled, please contact your Loki operator');
    this.#slots = new Slots(parallel);
  }

  /** Asks every querier for its share of the streams, or one for all of them, of each tenant; the replies are in the order of tenants and shares. If one fails, all do.
   *  Nobody is asked for a range that ends before it begins. */
  async run<K extends JobAsk['kind']>(ask: Extract<JobAsk, { kind: K }>, sharded: boolean): Promise<QuerierReply[K][]> {
    if (endsBeforeItBegins(ask)) return [];
    return this.orStop(async () => {
      const canHelp = ask.kind === 'samples' && sharded && this.#services.queriers.length > 1;
      if (!canHelp) return this.#run(ask, sharded);
      try {
        return await this.#run(ask, sharded, this.#services.world.random.id());
      } catch (error) {
        // An object is gone that a job took over from another, or a querier with what it took over: alone, each can start over.
        if (!(error instanceof Fault && error.code === 'not_found') && !isGone(error)) throw error;
        return this.#run(ask, sharded);
      }
    });
  }

  /** Does a part of the query's work: if it fails, all jobs stop. */
  async orStop<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.#failed.signal.throwIfAborted();
      return await work();
    } catch (error) {
      this.#failed.abort(error);
      throw error;
    }
  }

  /** `help`: a name for the jobs under which they are to help each other. */
  async #run<K extends JobAsk['kind']>(ask: Extract<JobAsk, { kind: K }>, sharded: boolean, help?: string): Promise<QuerierReply[K][]> {
    const { messenger, queriers, world } = this.#services;
    const of = sharded ? queriers.length : 1;
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#asked.signal, this.#failed.signal, failed.signal]);
    const most = jobLimits(ask, this.#limits);
    const { maxQueryMemory: maxMemory } = this.#limits;
    const asks = askByTenant(this.#asked.tenant, ask).flatMap(({ tenant, ask: own }) => {
      const context = { ...askOptions(this.#asked), tenant, signal };
      const common = {
        ...own,
        ...this.#wishes,
        ...(most && { most }),
        ...(this.profiles && { profile: true }),
        maxMemory,
      };
      return Array.from({ length: of }, (_, index) => {
        const shard: StreamShard = { index, of };
        const jobAt = (querier: string): Job<K> => {
          const others = queriers.filter((other) => other !== querier);
          return { ...common, shard, ...(help && { help: { job: `${help} of ${tenant}`, others } }) } as unknown as Job<K>;
        };
        const wish = {
          preferred: sharded ? queriers[index] : '',
          world,
          waited: this.#waited,
          tries: help === undefined ? MOST_QUERIERS : 1,
        };
        return this.#slots.run(() =>
          leased(messenger, wish, context, (querier) =>
            messenger.ask<QuerierAsk, QuerierReply, K>(querierProtocol, querier, jobAt(querier), context),
          ),
        );
      });
    });
    this.#count += asks.length;
    try {
      const replies = await this.#services.slices.waiting(Promise.all(asks));
      if (most !== undefined) checkTogether(replies, most);
      for (const reply of replies) this.#services.memory.take(MERGED * replyBytes(reply));
      for (const { stats } of replies) this.#add(stats);
      if ('query' in ask) this.#note(ask.query, replies as QuerierReply['logs' | 'samples'][]);
      return replies;
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(asks);
      throw error;
    }
  }

  readonly #waited = (ms: number): void => {
    this.#waitedMs += ms;
  };

  /** Runs work over the replies, and gives way between its steps. */
  inTurns<T>(work: Steps<T>): Promise<T> {
    return finishInTurns(work, () => this.#services.slices.giveWay());
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
    addScanStats(this.#scan, stats);
  }

  /** Of all jobs together. */
  get scan(): Readonly<ScanStats> {
    return this.#scan;
  }

  /** What an answer is told with; `partial`: why it may be short. */
  frame(): { stats: QueryStats; warnings: readonly string[] } {
    return { stats: this.stats(), warnings: [...(this.#scan.short > 0 ? [PARTIAL] : []), ...behindWarnings(this.#scan)] };
  }

  stats(): QueryStats {
    const { world, queriers } = this.#services;
    return {
      ...this.#scan,
      execMs: world.clock.monotonicMs() - this.#startMs,
      queueMs: this.#waitedMs,
      subqueries: this.#count,
      splits: 1,
      shards: queriers.length,
      ingesters: queriers.length,
    };
  }
}
