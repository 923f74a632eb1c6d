import { compactor, compactorOptions } from '../../actors/compactor/compactor.ts';
import { distributor, otlpOptions } from '../../actors/distributor/distributor.ts';
import { frontend, frontendOptions } from '../../actors/frontend/frontend.ts';
import { ingester, ingesterOptions } from '../../actors/ingester/ingester.ts';
import { type Neighbours, noNeighbours } from '../../actors/ingester/neighbours.ts';
import { type Ingesters, localIngesters, shardInstance } from '../../actors/ingesters.ts';
import type { ActorDefinition, Incarnation, Messenger } from '../../actors/kernel/define.ts';
import { ActorSystem } from '../../actors/kernel/system.ts';
import { limitsOptions, SharedLimits, type TenantLimits } from '../../actors/limits.ts';
import { patternIngester, patternIngesterOptions } from '../../actors/pattern-ingester/pattern-ingester.ts';
import { distributorProtocol, type IngesterStatus, ingesterProtocol, type PushOutcome } from '../../actors/protocol/ingest.ts';
import { type CompactorReply, compactorProtocol } from '../../actors/protocol/jobs.ts';
import { type FrontendAsk, type FrontendReply, frontendProtocol } from '../../actors/protocol/query.ts';
import { querier, querierOptions } from '../../actors/querier/querier.ts';
import { queryScheduler } from '../../actors/query-scheduler/query-scheduler.ts';
import { localSchedulers, type Schedulers } from '../../actors/schedulers.ts';
import { tailFrontend } from '../../actors/tail/tail-frontend.ts';
import { tailer } from '../../actors/tail/tailer.ts';
import { tailersThere } from '../../actors/tail/tailers.ts';
import { type LimitOverrides, LimitsByTenant } from '../../actors/tenant-limits.ts';
import { makeDurableDirectory } from '../../ops/base/durable-directory.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { defaultsOf, type OptionsOf } from '../../ops/base/options.ts';
import type { Files, World } from '../../ops/base/world.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { openFsBlobStore } from '../../storage/blob/fs.ts';
import type { ConnectKafka } from '../../storage/kafka/client.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { InProcessTransport } from '../../topology/transport/in-process.ts';
import type { Transport } from '../../topology/transport/transport.ts';
import { PowerCutFiles } from './power-cut-files.ts';
import { pushAsk } from './push-ask.ts';

export interface SingleStoreOptions {
  /** Distributor, ingester and querier instances. */
  readonly shards: number;
  /** What is not the default. */
  readonly ingester?: Partial<OptionsOf<typeof ingesterOptions>>;
  readonly querier?: Partial<OptionsOf<typeof querierOptions>>;
  readonly limits?: Partial<TenantLimits>;
  /** Of single tenants. */
  readonly overrides?: LimitOverrides;
  /** Line bytes that are mined for patterns; absent: they are turned off. */
  readonly patternBytes?: number;
  /** How many compactors there are, and what of their options is not the default; none without it. */
  readonly compactors?: { readonly count: number } & Partial<OptionsOf<typeof compactorOptions>>;
  /** How long flushed objects are named to queriers: a listing may be as old, with the longest query. */
  readonly recentObjectsMs?: number;
  readonly onFailed?: (address: string, error: unknown) => void;
  /** Of a store that is one process of several. */
  readonly among?: {
    readonly process: string;
    readonly transport: Transport;
    readonly ingesters: Ingesters;
    readonly schedulers: Schedulers;
    /** What queriers ask others with, if not as they should. */
    readonly querying?: ((right: Messenger) => Messenger) | undefined;
    readonly neighbours: Neighbours;
    /** Where the objects are that all share. */
    readonly objects: Files;
    /** Where Kafka is in front of ingesters. */
    readonly buffered?: { readonly kafka: KafkaOptions; readonly ring: Ring; readonly connect: ConnectKafka } | undefined;
  };
}

export interface Entry {
  readonly labels: Readonly<Record<string, string>>;
  readonly timeNs: bigint;
  readonly line: string;
}

/** Which entries a query is about; all of them unless said otherwise. */
export interface Extent {
  /** [fromNs, toNs) */
  readonly fromNs?: bigint;
  readonly toNs?: bigint;
  readonly direction?: 'forward' | 'backward';
  /** See AnswerWishes. */
  readonly afterWrite?: boolean;
}

/** What an answer says of Kafka, where it is in front of ingesters. */
export interface BufferStats {
  readonly watermark: string;
  readonly unreadPartitions: number;
}

const TENANT = 'fake';
const FOREVER = { tenant: TENANT, deadlineMs: Number.POSITIVE_INFINITY };
const FAR_NS = 4_000_000_000_000_000_000n;

/** The shipped actors in one thread, over the world that a test owns; bodies between them are encoded and frozen. */
export class SingleStore {
  readonly system: ActorSystem;
  readonly #instances: readonly string[];
  readonly #frontend: string;
  /** By address, the latest. */
  readonly #incarnations: ReadonlyMap<string, Incarnation>;

  private constructor(system: ActorSystem, frontend: string, instances: readonly string[], incarnations: ReadonlyMap<string, Incarnation>) {
    this.system = system;
    this.#frontend = frontend;
    this.#instances = instances;
    this.#incarnations = incarnations;
  }

  /** As `boot`, over files of its own, once the ingesters take pushes. Time is that of `fakeWorld`. */
  static async bootReady(options: SingleStoreOptions): Promise<SingleStore> {
    const world = fakeWorld(1, new PowerCutFiles());
    const store = await SingleStore.boot(world, options);
    while (!(await store.ready())) await world.settle();
    return store;
  }

  /** Resolves once every actor runs; the ingesters may still be replaying: see `ready`. */
  static async boot(
    world: World,
    {
      shards,
      ingester: ingesting = {},
      querier: queries = {},
      limits: own = {},
      overrides = [],
      patternBytes,
      compactors,
      recentObjectsMs = 120_000,
      onFailed = () => {},
      among,
    }: SingleStoreOptions,
  ): Promise<SingleStore> {
    const instances = Array.from({ length: shards }, (_, index) =>
      among === undefined ? String(index) : shardInstance(among.process, index),
    );
    const frontendInstance = among?.process ?? '0';
    await makeDurableDirectory(world.files, '/data/wal');
    const blobs = await openFsBlobStore({ root: '/data/objects', world: among === undefined ? world : { ...world, files: among.objects } });
    const transport = among?.transport ?? new InProcessTransport({ world, strict: true });
    const system = new ActorSystem({ world, transport, instruments: noInstruments, onFailed });
    const wide = { rejectOldSamples: false, ingestionRateMb: 1e6, ingestionBurstSizeMb: 1e6 };
    const tenantLimits = { ...defaultsOf(limitsOptions), ...wide, ...own };
    const limits = new LimitsByTenant(tenantLimits, overrides).of;
    const shared = new SharedLimits();
    const options = { ...defaultsOf(ingesterOptions), ...ingesting };
    const incarnations = new Map<string, Incarnation>();
    const known = <A extends { kind: string }, R extends Record<A['kind'], unknown>, D>(definition: ActorDefinition<A, R, D>) => ({
      ...definition,
      start: (deps: D, context: Parameters<typeof definition.start>[1]) => {
        incarnations.set(`${definition.name}/${context.instance}`, context.incarnation);
        return definition.start(deps, context);
      },
    });
    const ingesters = among?.ingesters ?? localIngesters(instances);
    const schedulers = among?.schedulers ?? localSchedulers([frontendInstance]);
    await system.spawn(known(queryScheduler), null, { instance: frontendInstance });
    for (const [index, instance] of instances.entries()) {
      const shard = { index, of: shards };
      const countedStreams = new Int32Array(shared.places);
      const ingesterDeps = {
        options,
        asker: system,
        logRoot: '/data/wal',
        blobs,
        shard,
        limits,
        shared,
        countedStreams,
        recentObjectsMs: () => recentObjectsMs,
        neighbours: among?.neighbours ?? noNeighbours,
        buffered: among?.buffered && { ...among.buffered, process: among.process },
      };
      await system.spawn(known(ingester), ingesterDeps, { instance });
      const querying = { ...defaultsOf(querierOptions), ...queries };
      await system.spawn(
        known(querier),
        { options: querying, messenger: among?.querying?.(system) ?? system, schedulers, ingesters, blobs },
        { instance },
      );
      const mining = { options: defaultsOf(patternIngesterOptions), maxListingAgeMs: 60_000, asker: system, ingesters, blobs };
      await system.spawn(patternIngester, mining, { instance });
      await system.spawn(known(tailer), { messenger: system, ingesters, limits }, { instance });
      const buffer = among?.buffered && { ...among.buffered, countedStreams, streamIdlePeriod: options.streamIdlePeriod };
      const distributing = { asker: system, ingesters, buffer, limits, shared, otlp: defaultsOf(otlpOptions) };
      await system.spawn(known(distributor), distributing, { instance });
    }
    const { count = 0, ...compacting } = compactors ?? {};
    for (let number = 0; number < count; number++) {
      const deps = {
        options: { ...defaultsOf(compactorOptions), ...compacting },
        blobs,
        recentObjectsMs: () => recentObjectsMs,
        busy: () => false,
      };
      await system.spawn(known(compactor), deps, { instance: among === undefined ? String(number) : shardInstance(among.process, number) });
    }
    await system.spawn(
      frontend,
      { options: defaultsOf(frontendOptions), messenger: system, limits, patternBytes },
      { instance: frontendInstance },
    );
    const maxDurationMs = { ...defaultsOf(querierOptions), ...queries }.tailMaxDuration;
    const tailers = tailersThere(instances, system, world);
    await system.spawn(tailFrontend, { messenger: system, tailers, maxDurationMs, limits }, { instance: frontendInstance });
    return new SingleStore(system, frontendInstance, instances, incarnations);
  }

  /** The actor at `address` fails, as if a loop of its own had died: its supervisor starts it anew. */
  fail(address: string): void {
    this.#incarnations.get(address)?.fail(new Error('told to fail'));
  }

  status(): Promise<IngesterStatus[]> {
    return Promise.all(this.#instances.map((instance) => this.system.ask(ingesterProtocol, instance, { kind: 'status' }, FOREVER)));
  }

  /** Whether every shard has replayed its log. */
  async ready(): Promise<boolean> {
    return (await this.status()).every(({ state }) => state === 'ready');
  }

  push(entries: readonly Entry[], distributorInstance = this.#instances[0], tenant = TENANT): Promise<PushOutcome> {
    const streams = entries.map(({ labels, timeNs, line }) => ({ stream: labels, values: [[String(timeNs), line]] }));
    const ask = pushAsk(streams);
    return this.system.ask(distributorProtocol, distributorInstance, ask, { ...FOREVER, tenant });
  }

  async flush(): Promise<void> {
    await Promise.all(this.#instances.map((instance) => this.system.ask(ingesterProtocol, instance, { kind: 'flush' }, FOREVER)));
  }

  /** Compacts and deletes what can be now. */
  compact(instance = '0'): Promise<CompactorReply['compact']> {
    return this.system.ask(compactorProtocol, instance, { kind: 'compact' }, FOREVER);
  }

  /** Every line that the selector finds, in the order of the answer. */
  async lines(selector: string, extent: Extent = {}): Promise<string[]> {
    return (await this.found(selector, extent)).lines;
  }

  /** As `lines`, and up to when what Kafka has is in it. */
  async found(
    selector: string,
    { fromNs = 0n, toNs = FAR_NS, direction = 'forward', afterWrite = false }: Extent = {},
  ): Promise<{ lines: string[]; buffer: BufferStats | undefined }> {
    const ask = {
      kind: 'range' as const,
      query: selector,
      startNs: fromNs,
      endNs: toNs,
      stepNs: 1e9,
      intervalNs: 0,
      limit: 1_000_000,
      direction,
      categorize: false,
      afterWrite,
    };
    const { data } = await this.ask(ask);
    const lines = data.result.flatMap(({ values }: { values: [string, string][] }) => values.map(([, line]) => line));
    return { lines, buffer: data.stats.buffer };
  }

  /** How many entries the selector counts. */
  async count(selector: string): Promise<number> {
    return (await this.counted(selector)).count;
  }

  /** As `count`, and up to when what Kafka has is counted. */
  async counted(selector: string, afterWrite = false): Promise<{ count: number; buffer: BufferStats | undefined }> {
    const query = `sum(count_over_time(${selector}[${100 * 365}d]))`;
    const ask = {
      kind: 'instant' as const,
      query,
      timeNs: FAR_NS,
      limit: 100,
      direction: 'backward' as const,
      categorize: false,
      afterWrite,
    };
    const { data } = await this.ask(ask);
    return { count: Number(data.result[0]?.value[1] ?? 0), buffer: data.stats.buffer };
  }

  /** What the frontend answers. `tenant`: several with `|` between them. */
  ask(ask: FrontendAsk, tenant = TENANT) {
    const options = { ...FOREVER, tenant };
    return this.#json(this.system.ask<FrontendAsk, FrontendReply, FrontendAsk['kind']>(frontendProtocol, this.#frontend, ask, options));
  }

  async #json(reply: Promise<{ body: Uint8Array[] }>) {
    return JSON.parse(Buffer.concat((await reply).body).toString());
  }
}
