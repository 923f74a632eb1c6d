import { Worker } from 'node:worker_threads';
import { Activity } from '../../actors/activity.ts';
import type { Asker } from '../../actors/kernel/define.ts';
import { SharedLimits } from '../../actors/limits.ts';
import { type IngesterStatus, ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { type ActorState, threadProtocol } from '../../actors/protocol/thread.ts';
import type { LimitOverrides } from '../../actors/tenant-limits.ts';
import type { Router } from '../../topology/transport/thread.ts';
import { progressCounter, watchThread } from '../../topology/transport/thread-watch.ts';
import type { Instruments, Logger } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import type { LogLevel, Logs } from '../log.ts';
import type { Component } from '../targets.ts';
import { countsOf, type MetricsSnapshot } from '../telemetry.ts';
import { shardInstances, type ThreadPlace, type ThreadRole, threadName, threadPlaces } from './place.ts';
import type { WorkerData, WorkerEvent, WorkerOrder } from './worker.ts';

export interface WorkersDeps {
  readonly world: World;
  readonly instruments: Instruments;
  readonly logs: Logs;
  readonly router: Router;
  readonly asker: Asker;
  /** What every worker is given, apart from what is its own. */
  readonly data: Omit<WorkerData, 'place' | 'number' | 'countedStreams' | 'activity' | 'progress' | 'port' | 'logLevel'>;
  /** A thread ended more often than it may: the process is to end. */
  readonly onFailed: (error: Error) => void;
}

/** Whether a process does its work; why not, if it does not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** A thread that does not turn its event loop for this long is ended and started again. */
const STALL_MS = 30_000;
const MOST_RESTARTS = 5;
const RESTART_WINDOW_MS = 60_000;
const ASK_MS = 2_000;
/** Memory for young objects: three spaces. Who compacts makes few. */
const YOUNG_MB: Readonly<Record<ThreadRole, number>> = { ingest: 12, query: 12, compactor: 3, source: 12 };

/** The worker threads of the process: started, watched, and started again when they end unasked. What a thread's actors knew is recovered from what is durable. */
export class Workers {
  /** Of the actors that each shard has. */
  readonly #instances: readonly string[];
  readonly #places: readonly ThreadPlace[];
  readonly #names: readonly string[];
  readonly #deps: WorkersDeps;
  readonly #log: Logger;
  /** Those that have not ended. */
  readonly #threads = new Set<Worker>();
  readonly #countedStreams: readonly SharedArrayBuffer[];
  readonly #activity: SharedArrayBuffer;
  readonly #lastMetrics = new Map<string, MetricsSnapshot>();
  readonly #endedMetrics: MetricsSnapshot[] = [];
  #overrides: LimitOverrides;
  #exits: number[] = [];
  #stopping = false;

  constructor(deps: WorkersDeps) {
    this.#deps = deps;
    this.#log = deps.instruments.log;
    this.#overrides = deps.data.overrides;
    this.#instances = shardInstances(deps.data.shards, deps.data.cluster?.instance);
    this.#places = threadPlaces(deps.data.shards, deps.data.components);
    this.#names = this.#places.map(threadName);
    this.#activity = Activity.memoryFor(this.#places.length);
    const { places } = new SharedLimits(deps.data.limitsMemory);
    this.#countedStreams = this.#places.map(() => new SharedArrayBuffer(places * Int32Array.BYTES_PER_ELEMENT));
  }

  /** Of a component with an actor for each shard; none if this process does not run it. */
  instancesOf(component: Component): readonly string[] {
    return this.#deps.data.components.has(component) ? this.#instances : [];
  }

  /** Resolves once every thread's actors run. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((_, number) => this.#spawn(number)));
  }

  #spawn(number: number): Promise<void> {
    const { world, router, logs, data } = this.#deps;
    const name = this.#names[number];
    const port = router.admit(name);
    const progress = progressCounter();
    const countedStreams = this.#countedStreams[number];
    const overrides = this.#overrides;
    const workerData: WorkerData = {
      ...data,
      place: this.#places[number],
      number,
      overrides,
      countedStreams,
      activity: this.#activity,
      progress,
      port,
      logLevel: logs.level,
    };
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB[this.#places[number].role] };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, transferList: [port], name, resourceLimits });
    this.#threads.add(worker);
    worker.once('exit', () => this.#threads.delete(worker));
    watchThread(worker, {
      timers: world.timers,
      log: this.#log,
      name,
      progress,
      stallMs: STALL_MS,
      onExit: ({ code, error }) => this.#exited(number, code, error),
    });
    return new Promise((resolve, reject) => {
      worker.on('message', (event: WorkerEvent) => {
        if (event.kind === 'started') resolve();
      });
      worker.once('exit', (code) => reject(new Error(`${name} ended with code ${code} before it had started`)));
    });
  }

  #exited(number: number, code: number, error: unknown): void {
    const name = this.#names[number];
    const last = this.#lastMetrics.get(name);
    if (last !== undefined) this.#endedMetrics.push(countsOf(last));
    this.#lastMetrics.delete(name);
    if (this.#stopping) return;
    this.#log.error('worker thread ended, starting it again', { worker: name, code, error });
    const nowMs = this.#deps.world.clock.monotonicMs();
    this.#exits = [...this.#exits.filter((atMs) => nowMs - atMs < RESTART_WINDOW_MS), nowMs];
    if (this.#exits.length > MOST_RESTARTS) {
      this.#deps.onFailed(new Error(`worker threads ended ${this.#exits.length} times within a minute`));
      return;
    }
    const delayMs = 100 * 2 ** this.#exits.length;
    void this.#deps.world.timers.sleep(delayMs).then(() => {
      if (!this.#stopping) this.#spawn(number).catch(() => {}); // its exit is seen here again
    });
  }

  /** Whether every shard takes pushes and queries, and why not. */
  async ready(): Promise<Readiness> {
    const { asker } = this.#deps;
    const serving = this.#names.filter((_, number) => this.#places[number].role !== 'compactor');
    const threads = await Promise.all(
      serving.map((name) => asker.ask(threadProtocol, name, { kind: 'observe' }, this.#options()).catch((error: Error) => error.message)),
    );
    const starting = threads.flatMap((thread, index) => {
      if (typeof thread === 'string') return [`${serving[index]}: ${thread}`];
      return thread.started ? [] : [`${serving[index]}: starting`];
    });
    const states = await Promise.all(
      this.instancesOf('ingester').map((instance) =>
        asker.ask(ingesterProtocol, instance, { kind: 'status' }, this.#options()).catch((error: Error) => error.message),
      ),
    );
    const notReady = states.flatMap((state, index) =>
      typeof state === 'string' || state.state !== 'ready' ? [`ingester/${index}: ${describe(state)}`] : [],
    );
    const reasons = [...starting, ...notReady];
    return { ready: reasons.length === 0, reason: reasons.join('\n') };
  }

  /** Of the ingest topic, those that this process's ingesters read; rejects while one of them does not answer. */
  async partitions(): Promise<readonly number[]> {
    const { asker } = this.#deps;
    const shards = await Promise.all(
      this.instancesOf('ingester').map((instance) => asker.ask(ingesterProtocol, instance, { kind: 'status' }, this.#options())),
    );
    return shards.flatMap(({ partitions = [] }) => partitions.map(({ partition }) => partition)).sort((a, b) => a - b);
  }

  /** Metrics of all threads; of those that have ended, the counts. */
  async metrics(): Promise<MetricsSnapshot[]> {
    const { asker } = this.#deps;
    await Promise.all(
      this.#names.map(async (name) => {
        try {
          const { snapshot } = await asker.ask(threadProtocol, name, { kind: 'metrics' }, this.#options());
          this.#lastMetrics.set(name, snapshot as MetricsSnapshot);
        } catch {
          // A thread that does not answer is shown as it was.
        }
      }),
    );
    return [...this.#lastMetrics.values(), ...this.#endedMetrics];
  }

  /** Every actor of the worker threads; a thread that does not answer shows as itself. */
  async observe(): Promise<ActorState[]> {
    const threads = this.#names.map(async (name) => {
      try {
        return (await this.#deps.asker.ask(threadProtocol, name, { kind: 'observe' }, this.#options())).actors;
      } catch {
        return [{ address: name, state: 'unavailable' }];
      }
    });
    return (await Promise.all(threads)).flat();
  }

  async setLogLevel(level: LogLevel): Promise<void> {
    await Promise.allSettled(
      this.#names.map((name) => this.#deps.asker.ask(threadProtocol, name, { kind: 'log_level', level }, this.#options())),
    );
  }

  /** Every thread goes by these limits from its next turn on. One that is just starting finds them waiting. */
  setOverrides(overrides: LimitOverrides): void {
    this.#overrides = overrides;
    for (const worker of this.#threads) send(worker, { kind: 'overrides', overrides });
  }

  /** Resolves once every thread has stopped its actors and ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      [...this.#threads].map(
        (worker) =>
          new Promise<void>((ended) => {
            worker.once('exit', () => ended());
            send(worker, { kind: 'stop' });
          }),
      ),
    );
  }

  #options(): { tenant: string; deadlineMs: number } {
    return { tenant: '', deadlineMs: this.#deps.world.clock.monotonicMs() + ASK_MS };
  }
}

function send(worker: Worker, order: WorkerOrder): void {
  worker.postMessage(order);
}

function describe(state: IngesterStatus | string): string {
  if (typeof state === 'string') return state;
  if (state.waitsFor !== '') return state.waitsFor;
  return `replaying the ingest log, ${state.replayedRecords} records so far, ${state.replayLeft} logs left`;
}
