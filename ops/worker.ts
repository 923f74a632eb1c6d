import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Activity, countedAsActivity } from '../actors/activity.ts';
import { compactor } from '../actors/compactor/compactor.ts';
import { distributor } from '../actors/distributor/distributor.ts';
import { ingester } from '../actors/ingester/ingester.ts';
import { defineActor } from '../actors/kernel/define.ts';
import { ActorSystem } from '../actors/kernel/system.ts';
import { SharedLimits } from '../actors/limits.ts';
import { patternIngester } from '../actors/pattern-ingester/pattern-ingester.ts';
import { type ThreadAsk, type ThreadReply, threadProtocol } from '../actors/protocol/thread.ts';
import { querier } from '../actors/querier/querier.ts';
import { tailer } from '../actors/tail/tailer.ts';
import { type LimitOverrides, LimitsByTenant } from '../actors/tenant-limits.ts';
import { FsBlobStore } from '../storage/blob/fs.ts';
import { Router } from '../topology/transport/thread.ts';
import { reportProgress } from '../topology/transport/thread-watch.ts';
import { lowerThreadPriority } from './base/thread-priority.ts';
import { realWorld } from './base/world.ts';
import { type LogLevel, Logs } from './log.ts';
import type { WorkerOptions } from './sections.ts';
import { Telemetry } from './telemetry.ts';
import { threadName } from './thread-name.ts';

/** What a worker thread is started with. */
export interface WorkerData {
  /** Those below `workers` have a shard each; the one behind them has what is done at an idle priority. */
  readonly index: number;
  readonly workers: number;
  readonly logRoot: string;
  readonly objectRoot: string;
  readonly options: WorkerOptions;
  /** At the time of the start; changes come as orders. */
  readonly overrides: LimitOverrides;
  readonly limitsMemory: SharedArrayBuffer;
  /** Of the worker's place: the next thread there is given the same. See ActiveStreams. */
  readonly countedStreams: SharedArrayBuffer;
  /** Shared by all workers. See Activity. */
  readonly activity: SharedArrayBuffer;
  readonly progress: SharedArrayBuffer;
  readonly logLevel: LogLevel;
  /** To the main thread's router. */
  readonly port: MessagePort;
}

/** What it tells the main thread, and is told: everything else goes between actors. */
export type WorkerEvent = { readonly kind: 'started' } | { readonly kind: 'stopped' };
export type WorkerOrder = { readonly kind: 'stop' } | { readonly kind: 'overrides'; readonly overrides: LimitOverrides };

const PROGRESS_EVERY_MS = 200;

const data = workerData as WorkerData;
const hasShard = data.index < data.workers;
const name = threadName(data.index, data.workers);
const instance = String(data.index);
const instances = Array.from({ length: data.workers }, (_, index) => String(index));
const world = realWorld();
const logs = new Logs(data.logLevel);
const telemetry = new Telemetry(name, logs);
const router = new Router({ world, instruments: telemetry.instruments('transport') });
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
        observe: async () => ({ actors: system.observe().map(({ address, state }) => ({ address, state })) }),
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

const activity = new Activity(data.activity, data.index);
const blobs = new FsBlobStore(data.objectRoot, world);
const shared = new SharedLimits(data.limitsMemory);
const { ingester: ingesterOptions, querier: querierOptions, patternIngester: patternOptions } = data.options;
const tenantLimits = new LimitsByTenant(data.options.limits, data.overrides);
const limits = tenantLimits.of;
const shard = { index: data.index, of: data.workers };
const recentObjectsMs = () => querierOptions.maxListingAge + tenantLimits.most('queryTimeout');

await system.spawn(thread, null, { instance });
await (hasShard ? spawnShard() : spawnCompactor());
tell({ kind: 'started' });

parentPort?.on('message', (order: WorkerOrder) => (order.kind === 'stop' ? stop() : tenantLimits.replace(order.overrides)));

async function spawnShard(): Promise<void> {
  await system.spawn(
    ingester,
    {
      options: ingesterOptions,
      logRoot: data.logRoot,
      blobs,
      shard,
      limits,
      shared,
      countedStreams: new Int32Array(data.countedStreams),
      recentObjectsMs,
    },
    { instance },
  );
  await system.spawn(
    countedAsActivity(querier, activity),
    { options: querierOptions, asker: system, ingesters: instances, blobs },
    { instance },
  );
  const { maxListingAge: maxListingAgeMs } = querierOptions;
  await system.spawn(
    patternIngester,
    { options: patternOptions, maxListingAgeMs, asker: system, ingesters: instances, blobs },
    { instance },
  );
  await system.spawn(tailer, { messenger: system, neighbour: instance, shard, limits }, { instance });
  await system.spawn(
    countedAsActivity(distributor, activity),
    { asker: system, ingesters: instances, limits, shared, otlp: data.options.otlp },
    { instance },
  );
}

/** One is enough for all shards. On a thread with a shard each of its steps would hold up the messages of that, some for 20 ms. */
async function spawnCompactor(): Promise<void> {
  if (!lowerThreadPriority())
    logs.of(name).info('this system does not give threads priorities of their own: compaction has that of the process');
  await system.spawn(
    compactor,
    { options: data.options.compactor, blobs, recentObjectsMs, busy: () => activity.busy() },
    { instance: '0' },
  );
}

async function stop(): Promise<void> {
  await system.stop();
  await router.close();
  tell({ kind: 'stopped' });
  process.exit(0);
}

function tell(event: WorkerEvent): void {
  parentPort?.postMessage(event);
}
