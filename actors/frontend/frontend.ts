import { MiB } from '../../ops/base/bytes.ts';
import { type Asker, defineActor, type Handlers } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import { type FrontendAsk, type FrontendReply, frontendProtocol } from '../protocol/query.ts';
import { entriesAround } from './context.ts';
import { detectedFields, detectedLabels, detectedValues } from './detected.ts';
import { explainQuery } from './explain.ts';
import { indexShards, indexStats } from './index-stats.ts';
import { labelNames, labelValues, seriesSets } from './metadata.ts';
import { minedPatterns } from './patterns.ts';
import { instantQuery, rangeQuery } from './queries.ts';
import { indexVolume } from './volume.ts';

export interface FrontendDeps {
  readonly asker: Asker;
  /** Querier instances; a query is sharded over all of them by stream. */
  readonly queriers: readonly string[];
  /** Line bytes that are mined for patterns at most, by miners with the queriers' instances; absent where they are turned off. */
  readonly patternBytes?: number | undefined;
  readonly limits: (tenant: string) => TenantLimits;
}

/** Turns a query into jobs for queriers, and their results into one answer. */
export const frontend = defineActor<FrontendAsk, FrontendReply, FrontendDeps>({
  name: frontendProtocol.component,
  mailbox: { messages: 2_048, bytes: 64 * MiB, concurrency: 256, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, { world }) {
    const services = { ...deps, world, clock: world.clock };
    const handlers: Handlers<FrontendAsk, FrontendReply> = {
      range: (ask, asked) => rangeQuery(ask, services, asked),
      instant: (ask, asked) => instantQuery(ask, services, asked),
      explain: (ask, asked) => explainQuery(ask, services, asked),
      context: (ask, asked) => entriesAround(ask, services, asked),
      labels: (ask, asked) => labelNames(ask, services, asked),
      label_values: (ask, asked) => labelValues(ask, services, asked),
      series: (ask, asked) => seriesSets(ask, services, asked),
      index_stats: (ask, asked) => indexStats(ask, services, asked),
      index_shards: (ask, asked) => indexShards(ask, services, asked),
      index_volume: (ask, asked) => indexVolume(ask, services, asked),
      patterns: (ask, asked) => minedPatterns(ask, services, asked),
      detected_labels: (ask, asked) => detectedLabels(ask, services, asked),
      detected_fields: (ask, asked) => detectedFields(ask, services, asked),
      detected_values: (ask, asked) => detectedValues(ask, services, asked),
    };
    return { handlers, observe: () => ({ queriers: deps.queriers.length }), stop: async () => {} };
  },
});
