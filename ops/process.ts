import { availableParallelism } from 'node:os';
import { frontend, frontendOptions } from '../actors/frontend/frontend.ts';
import { ActorSystem } from '../actors/kernel/system.ts';
import { SharedLimits } from '../actors/limits.ts';
import { schedulerProtocol } from '../actors/protocol/schedule.ts';
import { sourceProtocol } from '../actors/protocol/source.ts';
import { queryScheduler } from '../actors/query-scheduler/query-scheduler.ts';
import { tailFrontend } from '../actors/tail/tail-frontend.ts';
import { tailersThere } from '../actors/tail/tailers.ts';
import { type LimitOverrides, LimitsByTenant } from '../actors/tenant-limits.ts';
import { Router } from '../topology/transport/thread.ts';
import type { World } from './base/world.ts';
import { Memberships } from './cluster/memberships.ts';
import { type ClusterSettings, ringPlace } from './cluster/options.ts';
import type { ClusterReach } from './cluster/reach.ts';
import { memoryRings } from './cluster/ring-store.ts';
import { type Configuration, isBuffered, serverOptions } from './config.ts';
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
  readonly memberships: Memberships;
  readonly tenantLimits: LimitsByTenant;
  readonly router: Router;
  readonly reach: ClusterReach | undefined;
}

const ASK_MS = 2_000;

/** The actors of this process: those of its main thread, its worker threads, and its part of the cluster. */
export class ServingProcess {
  readonly components: ReadonlySet<Component>;
  readonly world: World;
  readonly options: WorkerOptions;
  readonly system: ActorSystem;
  readonly workers: Workers;
  readonly memberships: Memberships;
  readonly tenantLimits: LimitsByTenant;
  readonly #router: Router;
  readonly #reach: ClusterReach | undefined;

  private constructor({ components, world }: ProcessParts, made: Made) {
    this.components = components;
    this.world = world;
    this.options = made.options;
    this.system = made.system;
    this.workers = made.workers;
    this.memberships = made.memberships;
    this.tenantLimits = made.tenantLimits;
    this.#router = made.router;
    this.#reach = made.reach;
  }

  /** The actors of the main thread run; worker threads are not started yet. */
  static async make(parts: ProcessParts): Promise<ServingProcess> {
    const { configuration, components, settings, storage, overrides, world, logs, telemetry, fail } = parts;
    const instruments = telemetry.instruments('main');
    // Loaded by who is one of several only.
    const reach =
      settings && (await (await import('./cluster/reach.ts')).reachCluster(settings, 'main', world, telemetry.instruments('transport')));
    const router = new Router({ world, instruments, beyond: reach?.transport });
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
        isBuffered: isBuffered(configuration),
      },
      onFailed: (error) => fail('worker threads cannot be kept running', error),
    });
    const tenantLimits = new LimitsByTenant(options.limits, overrides);
    const place = settings ?? ringPlace(configuration, world.random.id());
    const rings = reach ?? memoryRings({ heartbeatTimeoutMs: place.ring.heartbeatTimeout, world, log: instruments.log });
    const memberships = new Memberships({
      place,
      store: rings,
      world,
      instruments: telemetry.instruments('ring'),
      isAlone: reach === undefined,
      isBuffered: isBuffered(configuration),
    });
    const serving = new ServingProcess(parts, { options, system, workers, memberships, tenantLimits, router, reach });
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
    const tailers = tailersThere(workers.instancesOf('querier'), system, this.world);
    await system.spawn(tailFrontend, { messenger: system, tailers, maxDurationMs, limits }, { instance });
  }

  /** Whether the process does its work: its threads, its places in the rings, and the queriers or the brokers that it needs. */
  async readiness(): Promise<Readiness> {
    const own = await this.workers.ready();
    const ready = this.#reach !== undefined ? this.memberships.readiness(own) : own;
    if (!ready.ready) return ready;
    if (this.components.has('query-frontend')) return this.#queriersReady();
    // Whoever does more than that goes on with it while Kafka is away.
    return this.components.has('kafka-source') && this.components.size === 1 ? this.#sourcesReady() : ready;
  }

  async #sourcesReady(): Promise<Readiness> {
    const options = { tenant: '', deadlineMs: this.world.clock.monotonicMs() + ASK_MS };
    try {
      const { sources } = await this.system.ask(sourceProtocol, this.memberships.instance, { kind: 'status' }, options);
      const waiting = sources.filter(({ waitsFor }) => waitsFor !== '');
      return { ready: waiting.length === 0, reason: waiting.map(({ topics, waitsFor }) => `${topics.join(', ')}: ${waitsFor}`).join('\n') };
    } catch (error) {
      return { ready: false, reason: `kafka-source: ${(error as Error).message}` };
    }
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
    await this.memberships.close();
    await this.#router.close();
    await this.#reach?.close();
  }
}
