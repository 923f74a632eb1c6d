import { logExecution } from '../../logql/engine/log-execution.ts';
import { SharedMemory } from '../../logql/engine/memory-budget.ts';
import { formatLabels } from '../../logql/model.ts';
import { PipelineProfile } from '../../logql/pipeline/profile.ts';
import { parseSelector } from '../../logql/syntax/parse.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { bool, bytes, duration, int, type OptionsOf, section } from '../../ops/base/options.ts';
import { inShard } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { askIngesters, type Ingesters } from '../ingesters.ts';
import { type AskContext, defineActor, type Handlers, type Messenger, type StartContext } from '../kernel/define.ts';
import { compileMatchers } from '../matchers.ts';
import { noScanStats, type QuerierAsk, type QuerierReply } from '../protocol/query.ts';
import type { Schedulers } from '../schedulers.ts';
import { withTenant } from '../tenants.ts';
import type { Slices } from '../turns.ts';
import { attachToSchedulers } from './attach.ts';
import { readSize, streamSizes, volumes } from './index-jobs.ts';
import { groupsOfOthers, labelled, needsOf, type SamplesAsk, samples } from './samples-job.ts';
import { openedOnce } from './scan.ts';
import { scanGroups } from './scan-group.ts';
import { type SharedScan, Sharing } from './sharing.ts';
import { type JobTools, SourceReader } from './source-reader.ts';
import { liveObjects } from './sources.ts';

export const querierOptions = section('querier', 'querier', {
  maxConcurrent: int('4', 'Long jobs that one querier works on at once; what goes on for longer waits, what is soon done does not.', {
    flag: 'querier.max-concurrent',
    min: 1,
  }),
  multiTenantQueriesEnabled: bool('false', 'Let queries span several tenants, whose ids stand in X-Scope-OrgID with a | between them.'),
  maxListingAge: duration('1m', 'A listing of object storage older than this is made anew before it is used.'),
  maxMemory: bytes('96MB', 'What the jobs that one querier works on may hold together; beyond, one more is refused, to be tried again.'),
  tailMaxDuration: duration('1h', 'How long a tail lasts; then it is closed, and clients begin another.'),
  footerCache: bytes('64MB', 'Memory of one querier for the indexes of objects.'),
  rangeCache: bytes(
    '16MB',
    'Memory of one querier for short parts of objects: times and lengths of lines, metadata, pages of skip filters.',
  ),
});

export interface QuerierDeps {
  readonly options: OptionsOf<typeof querierOptions>;
  readonly messenger: Messenger;
  readonly schedulers: Schedulers;
  readonly ingesters: Ingesters;
  readonly blobs: BlobStore;
}

export const querier = defineActor<QuerierAsk, QuerierReply, QuerierDeps>({
  name: 'querier',
  mailbox: { messages: 65_536, bytes: 64 * MiB, concurrency: 65_536, whenFull: 'refuse' }, // what a tenant may ask is limited at the door, what jobs hold by their memory
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, context) {
    const jobs = new QuerierJobs(deps, context);
    const handlers: Handlers<QuerierAsk, QuerierReply> = {
      logs: (ask, asked) => jobs.run(ask, asked, (tools) => jobs.logs(ask, tools)),
      samples: (ask, asked) => jobs.samples(ask, asked),
      spare_groups: async ({ job }) => ({ groups: await jobs.sharing.spare(job) }),
      series: (ask, asked) => jobs.run(ask, asked, (tools) => jobs.series(ask, asked, tools)),
      stream_sizes: (ask, asked) => jobs.run(ask, asked, (tools) => streamSizes(ask, tools)),
      volumes: (ask, asked) => jobs.run(ask, asked, (tools) => volumes(ask, tools)),
      read_size: (ask, asked) => jobs.run(ask, asked, (tools) => readSize(ask, tools)),
    };
    attachToSchedulers(deps.schedulers, deps.messenger, context);
    return { handlers, observe: () => jobs.observe(), stop: async () => {} };
  },
});

/** An entry in a set of labels, beside its text as it is held and sent. */
const SERIES_BYTES = 128;

class QuerierJobs {
  running = 0;
  readonly sharing = new Sharing();
  readonly #deps: QuerierDeps;
  readonly #start: StartContext;
  readonly #memory: SharedMemory;
  readonly #reader: SourceReader;

  constructor(deps: QuerierDeps, start: StartContext) {
    this.#deps = deps;
    this.#start = start;
    const { footerCache, rangeCache, maxListingAge, maxMemory, maxConcurrent: longJobs } = deps.options;
    this.#memory = new SharedMemory(`querier ${start.instance}`, maxMemory);
    const reading = { footerBytes: footerCache, rangeBytes: rangeCache, maxListingAgeMs: maxListingAge, memory: this.#memory, longJobs };
    const damagedPages = start.instruments.counter(
      'millrace_querier_damaged_filter_pages_total',
      'Pages of skip filters that were damaged: the blocks were read instead.',
    );
    this.#reader = new SourceReader({ ...deps, asker: deps.messenger, ...reading, damagedPages }, start.world);
  }

  observe(): Record<string, unknown> {
    return { running: this.running, memoryBytes: this.#memory.heldBytes, rangeBytes: this.#reader.rangeBytes };
  }

  async run<T>(
    { maxMemory = 0 }: { readonly maxMemory?: number },
    asked: AskContext,
    job: (tools: JobTools) => Promise<T>,
    shared?: SharedScan,
  ): Promise<T> {
    this.running++;
    try {
      return await this.#reader.planned(asked, maxMemory, job, shared);
    } finally {
      this.running--;
    }
  }

  async logs(ask: Extract<QuerierAsk, { kind: 'logs' }>, tools: JobTools): Promise<QuerierReply['logs']> {
    const stats = noScanStats();
    const profile = this.#profileFor(ask);
    const execution = logExecution(ask.query, { ...ask, memory: tools.memory, profile });
    const { fromNs, toNs, shard, partial, afterWrite, most } = ask;
    const streams = await tools.gather({ matchers: execution.matchers, fromNs, toNs, shard, partial, afterWrite }, stats, most);
    const groups = scanGroups(streams);
    const forward = ask.direction === 'forward';
    // Groups of a stream touch where its blocks were cut within one time: backward, the later one comes first.
    if (!forward) groups.reverse();
    groups.sort((a, b) => (forward ? compare(a.minNs, b.minNs) : compare(b.maxNs, a.maxNs)));
    const streamOf = openedOnce((labels) => execution.stream(labelled(labels, ask)));
    await tools.scan(groups, stats, {
      backward: !forward,
      demanding: execution.demanding,
      needs: needsOf(execution, ask),
      wanted: ({ minNs, maxNs }) => {
        const bound = execution.bound();
        return bound === undefined || (forward ? minNs <= bound : maxNs >= bound);
      },
      header: () => false,
      block: (group, block) => streamOf(group).block(block),
    });
    return { frame: execution.frame(), stats: { ...stats, ...execution.stats }, ...(profile && { stages: profile.stages }) };
  }

  samples(ask: SamplesAsk, asked: AskContext): Promise<QuerierReply['samples']> {
    const { help } = ask;
    const profile = this.#profileFor(ask);
    if (help === undefined) return this.run(ask, asked, (tools) => samples(ask, tools, { profile }));
    return this.sharing.during(help.job, (shared) => {
      const others = (slices: Slices) => groupsOfOthers(help, shared, this.#deps.messenger, asked, slices);
      return this.run(ask, asked, (tools) => samples(ask, tools, { profile, others }), shared);
    });
  }

  #profileFor({ profile = false }: { profile?: boolean }): PipelineProfile | undefined {
    return profile ? new PipelineProfile(() => this.#start.world.clock.monotonicMs()) : undefined;
  }

  /** Canonical texts of the streams that any of the selectors takes; those with entries in objects and heads of the range. */
  async series(
    ask: Extract<QuerierAsk, { kind: 'series' }>,
    asked: AskContext,
    { memory, slices }: JobTools,
  ): Promise<QuerierReply['series']> {
    const stats = noScanStats();
    const matcherSets = ask.selectors.map((selector) => [...parseSelector(selector, { allowAll: true })]);
    const { fromNs, toNs, shard } = ask;
    const { ingesters, messenger } = this.#deps;
    const replies = await slices.waiting(askIngesters(ingesters, messenger, { kind: 'series', matcherSets, fromNs, toNs, shard }, asked));
    const labels = new Set<string>();
    const add = (text: string): void => {
      if (labels.has(text)) return;
      memory.take(SERIES_BYTES + 4 * text.length);
      labels.add(text);
    };
    for (const reply of replies) for (const text of reply.labels) add(text);
    const covers = replies.flatMap(({ cover }) => cover);
    const objects = await slices.waiting(liveObjects({ fromNs, toNs }, covers, { catalog: this.#reader.catalog, context: asked }));
    const compiled = matcherSets.map(compileMatchers);
    for (const object of objects) {
      stats.objects++;
      for (const matchers of compiled) {
        for (const series of object.select(matchers, fromNs, toNs)) if (inShard(series.hash, shard)) add(series.labels);
      }
      await slices.giveWay();
    }
    return { labels: [...labels].map((text) => labelledText(text, ask)), stats };
  }
}

function labelledText(text: string, { tenantLabel }: { tenantLabel?: string }): string {
  return tenantLabel === undefined ? text : formatLabels(withTenant(parseCanonicalLabels(text), tenantLabel));
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
