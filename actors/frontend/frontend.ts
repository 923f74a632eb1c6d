import { MemoryBudget, SharedMemory } from '../../logql/engine/memory-budget.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { bytes, int, type OptionsOf, section } from '../../ops/base/options.ts';
import { type AskContext, askOptions, defineActor, type Handlers, type Messenger } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import { type BodyReply, type FrontendAsk, type FrontendReply, frontendProtocol } from '../protocol/query.ts';
import { Turns } from '../turns.ts';
import { entriesAround } from './context.ts';
import { detectedFields, detectedLabels, detectedValues } from './detected.ts';
import { explainQuery } from './explain.ts';
import { indexShards, indexStats } from './index-stats.ts';
import type { FrontendServices } from './jobs.ts';
import { queriersThere } from './leased.ts';
import { labelNames, labelValues, seriesSets } from './metadata.ts';
import { minedPatterns } from './patterns.ts';
import { instantQuery, rangeQuery } from './queries.ts';
import { indexVolume } from './volume.ts';

export const frontendOptions = section('frontend', 'frontend', {
  maxOutstandingPerTenant: int('2048', 'Queries of a tenant that wait or run at once; one more is answered with 429; 0: any number.', {
    flag: 'querier.max-outstanding-requests-per-tenant',
    min: 0,
  }),
  maxMemory: bytes(
    '192MB',
    'What the queries that are worked on may hold of their answers together; beyond, one more is refused, to be tried again.',
  ),
});

export interface FrontendDeps {
  readonly options: OptionsOf<typeof frontendOptions>;
  readonly messenger: Messenger;
  /** Line bytes that are mined for patterns at most, by miners with the queriers' instances; absent where they are turned off. */
  readonly patternBytes?: number | undefined;
  readonly limits: (tenant: string) => TenantLimits;
}

/** Turns a query into jobs for queriers, sharded over all of them by stream, and their results into one answer. A scheduler says whose turn it is. */
export const frontend = defineActor<FrontendAsk, FrontendReply, FrontendDeps>({
  name: frontendProtocol.component,
  mailbox: { messages: 16_384, bytes: 64 * MiB, concurrency: 256, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, { world }) {
    const pool = new SharedMemory('the query frontend', deps.options.maxMemory);
    const turns = new Turns(world);
    /** What works on a query, with the memory that one may have. */
    const within =
      <A>(work: (ask: A, services: FrontendServices, asked: AskContext) => Promise<BodyReply>) =>
      async (ask: A, asked: AskContext): Promise<BodyReply> => {
        const queriers = await queriersThere(deps.messenger, askOptions(asked));
        const memory = new MemoryBudget(deps.limits(asked.tenant).maxQueryMemory, pool);
        const slices = turns.begin(asked.signal);
        try {
          return await work(ask, { ...deps, queriers, world, memory, slices }, asked);
        } finally {
          slices.end();
          memory.close();
        }
      };
    const handlers: Handlers<FrontendAsk, FrontendReply> = {
      range: within(rangeQuery),
      instant: within(instantQuery),
      explain: within(explainQuery),
      context: within(entriesAround),
      labels: within(labelNames),
      label_values: within(labelValues),
      series: within(seriesSets),
      index_stats: within(indexStats),
      index_shards: within(indexShards),
      index_volume: within(indexVolume),
      patterns: within(minedPatterns),
      detected_labels: within(detectedLabels),
      detected_fields: within(detectedFields),
      detected_values: within(detectedValues),
    };
    return { handlers, observe: () => ({ memoryBytes: pool.heldBytes }), stop: async () => {} };
  },
});
