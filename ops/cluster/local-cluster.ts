import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ringPath } from '../http/ring.ts';
import { COMPONENTS, type Component } from '../targets.ts';
import { startLocalKafka } from './local-kafka.ts';
import { ended, LocalProcess, linesOf } from './local-process.ts';
import { natsServerBinary } from './nats-server.ts';

export interface LocalClusterOptions {
  /** Processes of each role; at least one gateway. */
  readonly counts: Readonly<Record<Component, number>>;
  /** Folder of everything that they write. */
  readonly data: string;
  /** HTTP ports from here on, one for each process, the first gateway's first; the one before them is NATS', and the two before that are Kafka's. */
  readonly basePort: number;
  /** Whether there is a Kafka broker in front of ingesters too. */
  readonly kafka: boolean;
  /** Of every process, after those that make it one of the cluster. */
  readonly flags: readonly string[];
  /** Whether a process that ends unasked is started again. */
  readonly restarts: boolean;
  /** A line that one of them wrote, or that is about one. */
  readonly onLine: (who: string, line: string) => void;
  /** After every change of `state`. */
  readonly onChange: (state: LocalClusterState) => void;
}

/** One process of a local cluster. */
export interface LocalMember {
  readonly role: Component;
  readonly instance: string;
  readonly pid: number | undefined;
  readonly http: string;
  /** In its ring, or `down`, or `starting`. */
  readonly state: string;
}

export interface LocalClusterState {
  /** Takes pushes and queries. */
  readonly gateway: string;
  readonly nats: string;
  /** Absent where there is none. */
  readonly kafka?: string;
  readonly processes: readonly LocalMember[];
}

/** How many of each role a local cluster has unless told otherwise. */
export const USUAL_COUNTS: Readonly<Record<Component, number>> = {
  gateway: 1,
  distributor: 2,
  ingester: 3,
  'query-scheduler': 1,
  'query-frontend': 1,
  querier: 2,
  compactor: 1,
  'kafka-source': 0,
};

const LOCALHOST = '127.0.0.1';
const WATCH_MS = 500;
const ASK_LIMIT_MS = 2_000;

/** A NATS server and processes of ours on this machine, each of one role; ingesters are in zones of their own. */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #folder: string;
  readonly #processes: LocalProcess[] = [];
  readonly #ended = new AbortController();
  #nats: ChildProcess | undefined;
  #kafka: ChildProcess | undefined;
  #nextPort: number;
  #shown = '';

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#folder = resolve(options.data);
    this.#nextPort = options.basePort;
    for (const role of ['gateway', ...COMPONENTS.filter((other) => other !== 'gateway')] as const) {
      for (let count = 0; count < options.counts[role]; count++) this.#make(role);
    }
  }

  get state(): LocalClusterState {
    const processes = this.#processes.map(({ role, instance, pid, http, state }): LocalMember => ({ role, instance, pid, http, state }));
    return {
      gateway: this.#of('gateway')[0].http,
      nats: `${LOCALHOST}:${this.#natsPort}`,
      ...(this.#options.kafka && { kafka: this.#kafkaAddress }),
      processes,
    };
  }

  get natsPid(): number | undefined {
    return this.#nats?.pid;
  }

  get #natsPort(): number {
    return this.#options.basePort - 1;
  }

  get #kafkaPort(): number {
    return this.#natsPort - 2;
  }

  get #kafkaAddress(): string {
    return `${LOCALHOST}:${this.#kafkaPort}`;
  }

  #of(role: Component): LocalProcess[] {
    return this.#processes.filter((one) => one.role === role);
  }

  #make(role: Component): LocalProcess {
    const taken = new Set(this.#processes.map(({ instance }) => instance));
    let number = 0;
    while (taken.has(`${role}-${number}`)) number++;
    const instance = `${role}-${number}`;
    const port = this.#nextPort++;
    const made = new LocalProcess({
      role,
      instance,
      http: `http://${LOCALHOST}:${port}`,
      flags: [
        `-target=${role}`,
        `-server.http-listen-address=${LOCALHOST}`,
        `-server.http-listen-port=${port}`,
        '-server.workers=1',
        `-common.path-prefix=${join(this.#folder, instance)}`,
        `-common.storage.filesystem.chunk-directory=${join(this.#folder, 'objects')}`,
        `-nats.servers=${LOCALHOST}:${this.#natsPort}`,
        `-common.storage.ring.instance-id=${instance}`,
        `-common.storage.ring.instance-availability-zone=${instance}`,
        ...(this.#options.kafka ? ['-common.ingest-log=kafka', `-kafka.brokers=${this.#kafkaAddress}`] : []),
        ...this.#options.flags,
      ],
      restarts: this.#options.restarts,
      onLine: this.#options.onLine,
      onChange: () => this.#changed(),
    });
    this.#processes.push(made);
    return made;
  }

  /** Runs until `signal` is aborted; then everything has been stopped. Rejects if NATS or Kafka cannot be started, or ends. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#ended.abort();
    signal.addEventListener('abort', stop, { once: true });
    const binary = await natsServerBinary();
    const store = join(this.#folder, 'nats');
    mkdirSync(store, { recursive: true });
    const nats = spawn(binary, ['-a', LOCALHOST, '-p', String(this.#natsPort), '-js', '-sd', store], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#nats = nats;
    let failure: Error | undefined;
    const watch = (name: string, child: ChildProcess, port: number): void => {
      linesOf(child, (line) => this.#options.onLine(name, line));
      child.once('exit', (code, killed) => {
        if (!this.#ended.signal.aborted) failure = new Error(`${name} ended with ${code ?? killed}: is port ${port} free?`);
        stop();
      });
    };
    watch('nats', nats, this.#natsPort);
    if (this.#options.kafka) {
      this.#kafka = await startLocalKafka(join(this.#folder, 'kafka'), this.#kafkaPort);
      watch('kafka', this.#kafka, this.#kafkaPort);
    }
    for (const one of this.#processes) one.start();
    while (!this.#ended.signal.aborted) {
      await this.#look();
      await sleep(WATCH_MS, undefined, { signal: this.#ended.signal }).catch(() => {});
    }
    await this.#stop();
    if (failure !== undefined) throw failure;
  }

  /** One more of a role. Resolves with it once it is active. */
  async add(role: Component): Promise<LocalMember> {
    const added = this.#make(role);
    added.start();
    await this.#active(added);
    return added;
  }

  /** Has processes of a role end for good, the last one unless another is named: what an ingester has is with others, or in storage, then. Throws if there is none, or no other. */
  async drain(role: Component, instance?: string): Promise<LocalMember[]> {
    const those = this.#named(role, instance);
    const leaving = those.slice(-1);
    if (leaving.length === this.#of(role).length) throw new Error(`${leaving[0].instance} is the only ${role}`);
    for (const one of leaving) {
      if (role === 'ingester') await this.#leave(one);
      await one.stop();
      this.#processes.splice(this.#processes.indexOf(one), 1);
    }
    this.#changed();
    return leaving;
  }

  /** Stops and starts processes of a role, or the one that is named, one after the other. */
  async restart(role: Component, instance?: string): Promise<LocalMember[]> {
    const those = this.#named(role, instance);
    for (const one of those) {
      await one.stop();
      one.start();
      await this.#active(one);
    }
    return those;
  }

  #named(role: Component, instance: string | undefined): LocalProcess[] {
    const those = this.#of(role).filter((one) => instance === undefined || one.instance === instance);
    if (those.length === 0) throw new Error(`there is no ${instance ?? role}`);
    return those;
  }

  async #active(one: LocalProcess): Promise<void> {
    while (one.state !== 'ACTIVE') await sleep(WATCH_MS, undefined, { signal: this.#ended.signal });
  }

  /** Resolves once it is in its ring no more. */
  async #leave({ role, instance, http }: LocalProcess): Promise<void> {
    const answer = await fetch(`${http}${ringPath(role)}`, {
      method: 'POST',
      body: new URLSearchParams({ drain: instance }),
      redirect: 'manual',
    });
    if (answer.status !== 302) throw new Error(`${instance} does not leave: ${await answer.text()}`);
    for (;;) {
      const ring = await this.#ring(role);
      if (ring !== undefined && !ring.has(instance)) return;
      await sleep(WATCH_MS, undefined, { signal: this.#ended.signal });
    }
  }

  /** What the rings say. */
  async #look(): Promise<void> {
    await Promise.all(
      [...new Set(this.#processes.map(({ role }) => role))].map(async (role) => {
        const ring = await this.#ring(role);
        if (ring !== undefined) for (const one of this.#of(role)) one.seen(ring.get(one.instance));
      }),
    );
    this.#changed();
  }

  /** The instances of a ring, by the first process that answers. */
  async #ring(role: Component): Promise<Map<string, { state: string; registeredMs: number }> | undefined> {
    for (const { http, pid } of this.#processes) {
      if (pid === undefined) continue;
      const options = { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(ASK_LIMIT_MS) };
      const answer = await fetch(`${http}${ringPath(role)}`, options).catch(() => undefined);
      if (!answer?.ok) continue;
      const { instances } = (await answer.json()) as { instances: { id: string; state: string; registered: string }[] };
      return new Map(instances.map(({ id, state, registered }) => [id, { state, registeredMs: Date.parse(registered) }]));
    }
    return undefined;
  }

  #changed(): void {
    const { state } = this;
    const text = JSON.stringify(state);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#options.onChange(state);
  }

  /** What takes in and answers first, then what that needs. */
  async #stop(): Promise<void> {
    const isIngester = ({ role }: LocalProcess): boolean => role === 'ingester';
    await Promise.all(this.#processes.filter((one) => !isIngester(one)).map((one) => one.stop()));
    await Promise.all(this.#processes.filter(isIngester).map((one) => one.stop()));
    for (const child of [this.#kafka, this.#nats]) if (child !== undefined) await ended(child);
  }
}

/** Replaces the file as a whole. */
export function writeState(path: string, state: object): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}
