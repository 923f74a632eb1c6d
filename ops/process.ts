import { availableParallelism } from 'node:os';
import { frontend, frontendOptions } from '../actors/frontend/frontend.ts';
import { ActorSystem } from '../actors/kernel/system.ts';
import { SharedLimits } from '../actors/limits.ts';
import { schedulerProtocol } from '../actors/protocol/schedule.ts';
import { queryScheduler } from '../actors/query-scheduler/query-scheduler.ts';
import { tailFrontend } from '../actors/tail/tail-frontend.ts';
import { type LimitOverrides, LimitsByTenant } from '../actors/tenant-limits.ts';
import { Router } from '../topology/transport/thread.ts';
import type { World } from './base/world.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { ClusterSettings } from './cluster/options.ts';
import { type Configuration, serverOptions } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import type { Logs } from './log.ts';
import { type WorkerOptions, workerOptions } from './sections.ts';
import type { Component } from './targets.ts';
import type { Telemetry } from './telemetry.ts';
import { ONLY_INSTANCE } from './threads/peers.ts';
import { type Readiness, Workers } from './threads/workers.ts';

export interface ProcessParts {
  readonly configuration: Configuration;
  readonly components: ReadonlySet<Component>;
  /** Of a process that is one of several. */
  readonly settings: ClusterSettings | undefined;
  /** Of a process that has one. */
  readonly storage: DataFolder | undefined;
  readonly overrides: LimitOverrides;
  readonly world: World;
  readonly logs: Logs;
  readonly telemetry: Telemetry;
  readonly fail: (what: string, error: unknown) => void;
}

interface Made {
  readonly options: WorkerOptions;
  readonly system: ActorSystem;
  readonly workers: Workers;
  readonly cluster: Cluster | undefined;
  readonly tenantLimits: LimitsByTenant;
  readonly router: Router;
}

const ASK_MS = 2_000;

/** The actors of this process: those of its main thread, its worker threads, and its part of the cluster. */
export class ServingProcess {
  readonly components: ReadonlySet<Component>;
  readonly world: World;
  readonly options: WorkerOptions;
  readonly system: ActorSystem;
  readonly workers: Workers;
  readonly cluster: Cluster | undefined;
  readonly tenantLimits: LimitsByTenant;
  readonly #router: Router;

  private constructor({ components, world }: ProcessParts, made: Made) {
    this.components = components;
    this.world = world;
    this.options = made.options;
    this.system = made.system;
    this.workers = made.workers;
    this.cluster = made.cluster;
    this.tenantLimits = made.tenantLimits;
    this.#router = made.router;
  }

  /** The actors of the main thread run; worker threads are not started yet. */
  static async make(parts: ProcessParts): Promise<ServingProcess> {
    const { configuration, components, settings, storage, overrides, world, logs, telemetry, fail } = parts;
    const instruments = telemetry.instruments('main');
    // Loaded by who is one of several only.
    const cluster =
      settings && (await (await import('./cluster/cluster.ts')).Cluster.find(settings, world, telemetry.instruments('cluster')));
    const router = new Router({ world, instruments, beyond: cluster?.reach.transport });
    const system = new ActorSystem({
      world,
      transport: router,
      instruments,
      onFailed: (actor, error) => fail(`${actor} failed for good`, error),
    });
    const { workers: threads } = configuration.valuesOf(serverOptions);
    const options = workerOptions(configuration);
    const workers = new Workers({
      world,
      instruments,
      logs,
      router,
      asker: system,
      data: {
        shards: threads === 0 ? availableParallelism() : threads,
        components,
        logRoot: storage?.logs ?? '',
        objectRoot: storage?.objects ?? '',
        options,
        overrides,
        limitsMemory: new SharedLimits().memory,
        cluster: settings,
      },
      onFailed: (error) => fail('worker threads cannot be kept running', error),
    });
    const tenantLimits = new LimitsByTenant(options.limits, overrides);
    const serving = new ServingProcess(parts, { options, system, workers, cluster, tenantLimits, router });
    await serving.#spawn(parts);
    return serving;
  }

  async #spawn({ configuration, components, settings }: ProcessParts): Promise<void> {
    const { system, workers, options } = this;
    const instance = settings?.instance ?? ONLY_INSTANCE;
    const limits = this.tenantLimits.of;
    if (components.has('query-scheduler')) await system.spawn(queryScheduler, null, { instance });
    if (!components.has('query-frontend')) return;
    const { enabled, maxBytesPerQuery } = options.patternIngester;
    const patternBytes = enabled ? maxBytesPerQuery : undefined;
    const answering = { options: configuration.valuesOf(frontendOptions), messenger: system, limits, patternBytes };
    await system.spawn(frontend, answering, { instance });
    const { tailMaxDuration: maxDurationMs } = options.querier;
    await system.spawn(tailFrontend, { messenger: system, tailers: workers.instancesOf('querier'), maxDurationMs, limits }, { instance });
  }

  /** Whether the process does its work: its threads, its places in the rings, and the queriers that its frontend needs. */
  async readiness(): Promise<Readiness> {
    const { workers, cluster } = this;
    const own = await workers.ready();
    const ready = cluster === undefined ? own : cluster.readiness(own);
    return ready.ready && this.components.has('query-frontend') ? this.#queriersReady() : ready;
  }

  async #queriersReady(): Promise<Readiness> {
    const options = { tenant: '', deadlineMs: this.world.clock.monotonicMs() + ASK_MS };
    try {
      const { queriers } = await this.system.ask(schedulerProtocol, 'any', { kind: 'queriers' }, options);
      const missing = this.workers.instancesOf('querier').filter((own) => !queriers.includes(own));
      if (queriers.length > 0 && missing.length === 0) return { ready: true, reason: '' };
      return {
        ready: false,
        reason: missing.length > 0 ? `querier/${missing.join(', querier/')}: takes no jobs yet` : 'no querier is there',
      };
    } catch (error) {
      return { ready: false, reason: `query-scheduler: ${(error as Error).message}` };
    }
  }

  /** Worker threads first: they use what the main thread has. */
  async stop(): Promise<void> {
    await this.workers.stop();
    await this.system.stop();
    await this.#router.close();
    await this.cluster?.close();
  }
}
