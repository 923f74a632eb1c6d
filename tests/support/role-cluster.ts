import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalCluster, type LocalMember, USUAL_COUNTS } from '../../ops/cluster/local-cluster.ts';
import type { Component } from '../../ops/targets.ts';
import { unlimited } from './check-sent.ts';
import { get } from './client.ts';
import { HEARTBEATS } from './cluster.ts';
import type { LoadedCluster } from './cluster-load.ts';
import { CLUSTER_PORTS, freePorts } from './ports.ts';

const POLL_MS = 50;
/** Who leaves waits until every listing that a query goes by has what it flushed. */
const SHORT_LISTINGS = ['-querier.max-listing-age=1s', '-querier.query-timeout=5s'];

export interface RoleClusterOptions {
  /** Other than `millrace cluster` starts. */
  readonly counts?: Partial<Record<Component, number>>;
  readonly flags?: readonly string[];
}

/** What `millrace cluster` runs: a process for each part, started again when it dies. */
export class RoleCluster implements LoadedCluster {
  readonly cluster: LocalCluster;
  readonly #folder: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** What the processes wrote. */
  #output = '';

  private constructor(folder: string, basePort: number, { counts = {}, flags = [] }: RoleClusterOptions) {
    this.#folder = folder;
    this.cluster = new LocalCluster({
      counts: { ...USUAL_COUNTS, ...counts },
      data: folder,
      basePort,
      kafka: false,
      flags: [...unlimited, ...HEARTBEATS, ...SHORT_LISTINGS, ...flags],
      restarts: true,
      onLine: (who, line) => {
        this.#output += `${who} ${line}\n`;
      },
      onChange: () => {},
    });
    this.#running = this.cluster.run(this.#stop.signal);
    this.#running.catch(() => {}); // told by whoever waits for it
  }

  /** Resolves once all of it does its work. */
  static async start(options: RoleClusterOptions = {}): Promise<RoleCluster> {
    const cluster = new RoleCluster(mkdtempSync(join(tmpdir(), 'millrace-roles-')), (await freePorts(CLUSTER_PORTS)) + 1, options);
    try {
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  of(role: Component): LocalMember[] {
    return this.cluster.state.processes.filter((one) => one.role === role);
  }

  get urls(): string[] {
    return this.of('gateway').map(({ http }) => http);
  }

  get flushUrls(): string[] {
    return this.of('ingester').map(({ http }) => http);
  }

  /** Of all that run, the NATS server among them. */
  get pids(): readonly number[] {
    return [this.cluster.natsPid, ...this.cluster.state.processes.map(({ pid }) => pid)].flatMap((pid) => pid ?? []);
  }

  get output(): string {
    return this.#output;
  }

  async ready(): Promise<void> {
    const over = this.#running.then(() => Promise.reject(new Error(`the cluster has ended\n${this.#output}`)));
    await Promise.race([over, this.#allReady()]);
  }

  async #allReady(): Promise<void> {
    const isReady = async ({ http }: LocalMember): Promise<boolean> =>
      (await get(http, '/ready', {}, AbortSignal.timeout(2_000)).catch(() => undefined))?.status === 200;
    while (!this.#stop.signal.aborted) {
      const ready = await Promise.all(this.cluster.state.processes.map(isReady));
      if (ready.every((one) => one)) return;
      await sleep(POLL_MS);
    }
  }

  /** Resolves once another start of it does its work. */
  async kill({ instance, pid }: LocalMember): Promise<void> {
    if (pid === undefined) throw new Error(`${instance} is not running`);
    process.kill(pid, 'SIGKILL');
    while (this.cluster.state.processes.some((one) => one.instance === instance && (one.pid === undefined || one.pid === pid)))
      await sleep(POLL_MS);
    await this.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running.catch(() => {});
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
