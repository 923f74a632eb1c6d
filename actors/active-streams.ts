import type { World } from '../ops/base/world.ts';
import type { Batch } from '../storage/batch/batch.ts';
import { type SharedLimits, StreamRate, type TenantLimits } from './limits.ts';
import type { Refusals } from './refusals.ts';

/** Streams that pushed lately, with what each may still send: who is over a limit is refused before anything is written. */
export class ActiveStreams {
  readonly #tenants = new Map<string, Map<string, { rate: StreamRate; seenMs: number; cell: number }>>();
  readonly #shared: SharedLimits;
  readonly #counted: Int32Array;
  readonly #limits: (tenant: string) => TenantLimits;
  readonly #world: World;
  readonly #idleMs: number;

  /** `counted`: by tenant cell, how many of its streams in `shared` are this shard's. It outlives the thread, so that what one that died had counted is given
   *  back here. */
  constructor(deps: {
    shared: SharedLimits;
    counted: Int32Array;
    limits: (tenant: string) => TenantLimits;
    world: World;
    idleMs: number;
  }) {
    this.#shared = deps.shared;
    this.#counted = deps.counted;
    this.#limits = deps.limits;
    this.#world = deps.world;
    this.#idleMs = deps.idleMs;
    this.clear();
  }

  get count(): number {
    let count = 0;
    for (const streams of this.#tenants.values()) count += streams.size;
    return count;
  }

  /** Whether the batch may go on; then it is charged to its stream, otherwise `refusals` has the reason. */
  admit(tenant: string, batch: Batch, refusals: Refusals): boolean {
    const limits = this.#limits(tenant);
    const nowMs = this.#world.clock.monotonicMs();
    let streams = this.#tenants.get(tenant);
    if (streams === undefined) {
      streams = new Map();
      this.#tenants.set(tenant, streams);
    }
    let stream = streams.get(batch.hash);
    const bytes = batch.lineBytes + batch.metadataBytes;
    if (stream === undefined) {
      const cell = this.#shared.tenantCell(tenant);
      if (!this.#shared.addStream(cell, limits.maxGlobalStreamsPerUser)) {
        refusals.add('stream_limit', batch, () => streamLimitText(tenant, limits.maxGlobalStreamsPerUser, batch.labels()));
        return false;
      }
      this.#counted[cell]++;
      stream = { rate: new StreamRate(nowMs), seenMs: nowMs, cell };
      streams.set(batch.hash, stream);
    }
    stream.seenMs = nowMs;
    if (!stream.rate.take(bytes, nowMs, limits.perStreamRateLimit, limits.perStreamRateLimitBurst)) {
      refusals.add('per_stream_rate_limit', batch, () => streamRateText(limits.perStreamRateLimit, batch.labels(), bytes));
      return false;
    }
    return true;
  }

  /** Forgets streams that were idle for long enough. */
  sweep(): void {
    const oldest = this.#world.clock.monotonicMs() - this.#idleMs;
    for (const [tenant, streams] of this.#tenants) {
      for (const [hash, { seenMs, cell }] of streams) {
        if (seenMs >= oldest) continue;
        streams.delete(hash);
        this.#counted[cell]--;
        this.#shared.removeStream(cell);
      }
      if (streams.size === 0) this.#tenants.delete(tenant);
    }
  }

  /** Gives every stream back to the tenants' counts: the next incarnation starts from none. */
  clear(): void {
    for (let cell = 0; cell < this.#counted.length; cell++)
      for (let left = this.#counted[cell]; left > 0; left--) this.#shared.removeStream(cell);
    this.#counted.fill(0);
    this.#tenants.clear();
  }
}

function streamLimitText(tenant: string, limit: number, labels: string): string {
  return `maximum active stream limit exceeded when trying to create stream ${labels}, reduce the number of active streams (reduce labels or reduce label values), or contact your administrator to see if the limit can be increased, user: '${tenant}', limit: ${limit}`;
}

function streamRateText(limit: number, labels: string, bytes: number): string {
  const mib = (value: number): string => `${(value / 1024 / 1024).toFixed(2)}MB`;
  return `Per stream rate limit exceeded (limit: ${mib(limit)}/sec) while attempting to ingest for stream '${labels}' totaling ${mib(bytes)}, consider splitting a stream via additional labels or contact your administrator to see if the limit can be increased`;
}
