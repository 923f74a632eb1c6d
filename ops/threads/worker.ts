import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Activity } from '../../actors/activity.ts';
import { defineActor } from '../../actors/kernel/define.ts';
import { ActorSystem } from '../../actors/kernel/system.ts';
import { SharedLimits, type TenantLimits } from '../../actors/limits.ts';
import { type ThreadAsk, type ThreadReply, threadProtocol } from '../../actors/protocol/thread.ts';
import { type LimitOverrides, LimitsByTenant } from '../../actors/tenant-limits.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { FsBlobStore } from '../../storage/blob/fs.ts';
import { Router } from '../../topology/transport/thread.ts';
import { reportProgress } from '../../topology/transport/thread-watch.ts';
import { lowerThreadPriority } from '../base/thread-priority.ts';
import { realWorld } from '../base/world.ts';
import type { ClusterSettings } from '../cluster/options.ts';
import type { ClusterReach } from '../cluster/reach.ts';
import { type LogLevel, Logs } from '../log.ts';
import type { WorkerOptions } from '../sections.ts';
import type { Component } from '../targets.ts';
import { Telemetry } from '../telemetry.ts';
import { clusterPeers, ownPeers, type Peers } from './peers.ts';
import { shardInstances, type ThreadPlace, type ThreadRole, threadName } from './place.ts';

/** What a worker thread is started with. */
export interface WorkerData {
  readonly place: ThreadPlace;
  /** Among all threads of the process. */
  readonly number: number;
  readonly shards: number;
  /** Of the process. */
  readonly components: ReadonlySet<Component>;
  readonly logRoot: string;
  readonly objectRoot: string;
  readonly options: WorkerOptions;
  /** At the time of the start; changes come as orders. */
  readonly overrides: LimitOverrides;
  readonly limitsMemory: SharedArrayBuffer;
  /** Of the thread's place: the next thread there is given the same. See ActiveStreams. */
  readonly countedStreams: SharedArrayBuffer;
  /** Shared by all threads. See Activity. */
  readonly activity: SharedArrayBuffer;
  readonly progress: SharedArrayBuffer;
  readonly logLevel: LogLevel;
  /** To the main thread's router. */
  readonly port: MessagePort;
  /** Of a process that is one of several. */
  readonly cluster: ClusterSettings | undefined;
  /** Kafka is in front of ingesters. */
  readonly isBuffered: boolean;
}

/** What it tells the main thread, and is told: everything else goes between actors. */
export type WorkerEvent = { readonly kind: 'started' } | { readonly kind: 'stopped' };
export type WorkerOrder = { readonly kind: 'stop' } | { readonly kind: 'overrides'; readonly overrides: LimitOverrides };

/** What the actors of a thread are made with. */
export interface ThreadParts {
  readonly system: ActorSystem;
  readonly data: WorkerData;
  /** Of the shard's actors. */
  readonly instance: string;
  readonly peers: Peers;
  /** Resolves with this process's instances, if it has any, once all of them can be asked from here: what is asked before that would be refused. */
  readonly reachOwn: (component: 'ingester' | 'distributor') => Promise<readonly string[]>;
  readonly activity: Activity;
  readonly blobs: BlobStore;
  readonly limits: (tenant: string) => TenantLimits;
  readonly shared: SharedLimits;
  /** How long a querier may go on with a listing, plus the longest query. */
  readonly recentObjectsMs: () => number;
}

const PROGRESS_EVERY_MS = 200;
/** Below the main thread and those that take in: what is pushed cannot wait. Compaction has not the lowest: it may hold a lock of the allocator that others wait for. */
const NICENESS: Readonly<Record<ThreadRole, number>> = { ingest: 0, source: 2, query: 3, compactor: 10 };
/** Loaded by the threads that need them: each would hold the others' code too. */
const ACTORS: Readonly<Record<ThreadRole, () => Promise<{ spawnActors(parts: ThreadParts): Promise<void> }>>> = {
  ingest: () => import('./ingest.ts'),
  query: () => import('./query.ts'),
  compactor: () => import('./compactor.ts'),
  source: () => import('./source.ts'),
};

const data = workerData as WorkerData;
const { place } = data;
const name = threadName(place);
const world = realWorld();
const logs = new Logs(data.logLevel);
const telemetry = new Telemetry(name, logs);
const reach = data.cluster && (await reachFrom(data.cluster));
const router = new Router({ world, instruments: telemetry.instruments('transport'), beyond: reach?.transport });
router.connect('main', data.port);
reportProgress(data.progress, world.timers, PROGRESS_EVERY_MS);

const system = new ActorSystem({
  world,
  transport: router,
  instruments: telemetry.instruments(name),
  onFailed: (address, error) => {
    logs.of(name).error('actor failed for good, ending the thread', { actor: address, error });
    process.exit(1);
  },
});

/** The thread's own affairs, as an actor. */
const thread = defineActor<ThreadAsk, ThreadReply, null>({
  name: threadProtocol.component,
  mailbox: { messages: 64, bytes: 1024, concurrency: 64, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start() {
    return {
      handlers: {
        metrics: async () => ({ snapshot: await telemetry.snapshot() }),
        observe: async () => ({ actors: system.observe().map(({ address, state }) => ({ address, state })), started }),
        log_level: async ({ level }) => {
          logs.level = level as LogLevel;
          return {};
        },
      },
      observe: () => ({}),
      stop: async () => {},
    };
  },
});

let started = false;
const tenantLimits = new LimitsByTenant(data.options.limits, data.overrides);
await system.spawn(thread, null, { instance: name });
const { spawnActors } = await ACTORS[place.role]();
const nice = NICENESS[place.role];
if (nice > 0 && !lowerThreadPriority(nice))
  logs.of(name).info('this system does not give threads priorities of their own: this one has that of the process');
const instances = shardInstances(data.shards, data.cluster?.instance);
const peers = reach && data.cluster ? clusterPeers(reach, data.cluster, data.isBuffered) : ownPeers(instances);
await spawnActors({
  system,
  data,
  instance: instances[place.index],
  peers,
  async reachOwn(component) {
    const own = data.components.has(component) ? instances : [];
    await Promise.all(own.map((instance) => router.whenServed(`${component}/${instance}`)));
    return own;
  },
  activity: new Activity(data.activity, data.number),
  blobs: new FsBlobStore(data.objectRoot, world),
  limits: tenantLimits.of,
  shared: new SharedLimits(data.limitsMemory),
  recentObjectsMs: () => data.options.querier.maxListingAge + tenantLimits.most('queryTimeout'),
});
started = true;
tell({ kind: 'started' });

parentPort?.on('message', (order: WorkerOrder) => (order.kind === 'stop' ? stop() : tenantLimits.replace(order.overrides)));

async function stop(): Promise<void> {
  await system.stop();
  peers.close();
  await router.close();
  await reach?.close();
  tell({ kind: 'stopped' });
  process.exit(0);
}

/** Loaded by who is one of several only. */
async function reachFrom(cluster: ClusterSettings): Promise<ClusterReach> {
  const { reachCluster } = await import('../cluster/reach.ts');
  return reachCluster(cluster, name, world, telemetry.instruments('transport'));
}

function tell(event: WorkerEvent): void {
  parentPort?.postMessage(event);
}
