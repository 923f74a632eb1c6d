import { logExecution } from '../../logql/engine/log-execution.ts';
import { sampleExecution } from '../../logql/engine/sample-execution.ts';
import { PipelineProfile } from '../../logql/pipeline/profile.ts';
import { parseSelector } from '../../logql/syntax/parse.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { bytes, duration, int, type OptionsOf, section } from '../../ops/base/options.ts';
import { inShard } from '../../storage/batch/batch.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { type AskContext, type Asker, defineActor, type Handlers, type StartContext } from '../kernel/define.ts';
import { compileMatchers } from '../matchers.ts';
import { ingesterProtocol } from '../protocol/ingest.ts';
import { noScanStats, type QuerierAsk, type QuerierReply } from '../protocol/query.ts';
import { Slices } from '../slices.ts';
import { streamSizes, volumes } from './index-jobs.ts';
import { openedOnce, scanGroups } from './scan.ts';
import { type JobTools, SourceReader } from './source-reader.ts';
import { liveObjects } from './sources.ts';

export const querierOptions = section('querier', 'querier', {
  maxConcurrent: int('4', 'Jobs that one querier works on at once; the rest wait.', { flag: 'querier.max-concurrent', min: 1 }),
  maxListingAge: duration('1m', 'A listing of object storage older than this is made anew before it is used.'),
  maxAnswerBytes: bytes('256MB', 'Lines that one querier gathers for the answer of a log query at most; beyond, the query fails.'),
  tailMaxDuration: duration('1h', 'How long a tail lasts; then it is closed, and clients begin another.'),
  footerCache: bytes('64MB', 'Memory of one querier for the indexes of objects.'),
});

export interface QuerierDeps {
  readonly options: OptionsOf<typeof querierOptions>;
  readonly asker: Asker;
  readonly ingesters: readonly string[];
  readonly blobs: BlobStore;
}

export const querier = ({ maxConcurrent }: { maxConcurrent: number }) =>
  defineActor<QuerierAsk, QuerierReply, QuerierDeps>({
    name: 'querier',
    mailbox: { messages: 2_048, bytes: 64 * MiB, concurrency: maxConcurrent, whenFull: 'refuse' },
    restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
    async start(deps, context) {
      const jobs = new QuerierJobs(deps, context);
      const handlers: Handlers<QuerierAsk, QuerierReply> = {
        logs: (ask, asked) => jobs.run(asked, (tools) => jobs.logs(ask, tools)),
        samples: (ask, asked) => jobs.run(asked, (tools) => jobs.samples(ask, tools)),
        series: (ask, asked) => jobs.run(asked, () => jobs.series(ask, asked)),
        stream_sizes: (ask, asked) => jobs.run(asked, (tools) => streamSizes(ask, tools)),
        volumes: (ask, asked) => jobs.run(asked, (tools) => volumes(ask, tools)),
      };
      return { handlers, observe: () => ({ running: jobs.running }), stop: async () => {} };
    },
  });

class QuerierJobs {
  running = 0;
  readonly #deps: QuerierDeps;
  readonly #start: StartContext;
  readonly #reader: SourceReader;

  constructor(deps: QuerierDeps, start: StartContext) {
    this.#deps = deps;
    this.#start = start;
    const { footerCache, maxListingAge } = deps.options;
    this.#reader = new SourceReader({ ...deps, footerBytes: footerCache, maxListingAgeMs: maxListingAge }, start.world);
  }

  async run<T>(asked: AskContext, job: (tools: JobTools) => Promise<T>): Promise<T> {
    this.running++;
    try {
      return await this.#reader.planned(asked, job);
    } finally {
      this.running--;
    }
  }

  async logs(ask: Extract<QuerierAsk, { kind: 'logs' }>, tools: JobTools): Promise<QuerierReply['logs']> {
    const stats = noScanStats();
    const profile = this.#profileFor(ask);
    const execution = logExecution(ask.query, { ...ask, maxBytes: this.#deps.options.maxAnswerBytes, profile });
    const streams = await tools.gather({ matchers: execution.matchers, fromNs: ask.fromNs, toNs: ask.toNs, shard: ask.shard }, stats);
    const groups = scanGroups(streams);
    const forward = ask.direction === 'forward';
    // Groups of a stream touch where its blocks were cut within one time: backward, the later one comes first.
    if (!forward) groups.reverse();
    groups.sort((a, b) => (forward ? compare(a.minNs, b.minNs) : compare(b.maxNs, a.maxNs)));
    const streamOf = openedOnce((labels) => execution.stream(labels));
    await tools.scan(groups, stats, {
      backward: !forward,
      needs: execution,
      wanted: ({ minNs, maxNs }) => {
        const bound = execution.bound();
        return bound === undefined || (forward ? minNs <= bound : maxNs >= bound);
      },
      header: () => false,
      block: (group, block) => streamOf(group).block(block),
    });
    return { frame: execution.frame(), stats: { ...stats, ...execution.stats }, ...(profile && { stages: profile.stages }) };
  }

  async samples(ask: Extract<QuerierAsk, { kind: 'samples' }>, tools: JobTools): Promise<QuerierReply['samples']> {
    const stats = noScanStats();
    const profile = this.#profileFor(ask);
    const execution = sampleExecution(ask.query, ask, profile);
    const { matchers, fromNs, toNs } = execution;
    const streams = await tools.gather({ matchers, fromNs, toNs, shard: ask.shard }, stats);
    const streamOf = openedOnce((labels) => execution.stream(labels));
    await tools.scan(scanGroups(streams), stats, {
      backward: false,
      needs: execution,
      wanted: () => true,
      header: (group, outline) => streamOf(group).header(outline),
      block: (group, block) => streamOf(group).block(block),
    });
    return { frame: execution.frame(), stats: { ...stats, ...execution.stats }, ...(profile && { stages: profile.stages }) };
  }

  #profileFor({ profile = false }: { profile?: boolean }): PipelineProfile | undefined {
    return profile ? new PipelineProfile(() => this.#start.world.clock.monotonicMs()) : undefined;
  }

  /** Canonical texts of the streams that any of the selectors takes; those with entries in objects and heads of the range. */
  async series(ask: Extract<QuerierAsk, { kind: 'series' }>, asked: AskContext): Promise<QuerierReply['series']> {
    const stats = noScanStats();
    const matcherSets = ask.selectors.map((selector) => [...parseSelector(selector, { allowAll: true })]);
    const { fromNs, toNs, shard } = ask;
    const replies = await Promise.all(
      this.#deps.ingesters.map((instance) =>
        this.#deps.asker.ask(ingesterProtocol, instance, { kind: 'series', matcherSets, fromNs, toNs, shard }, asked),
      ),
    );
    const labels = new Set(replies.flatMap((reply) => reply.labels));
    const objects = await liveObjects(
      { fromNs, toNs },
      replies.flatMap(({ cover }) => cover),
      { catalog: this.#reader.catalog, context: asked },
    );
    const compiled = matcherSets.map(compileMatchers);
    const slices = new Slices(this.#start.world, asked.signal);
    for (const object of objects) {
      stats.objects++;
      for (const matchers of compiled) {
        for (const series of object.select(matchers, fromNs, toNs)) if (inShard(series.hash, shard)) labels.add(series.labels);
      }
      await slices.giveWay();
    }
    return { labels: [...labels], stats };
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
