import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serverEnvironment } from '../environment.mjs';
import { natsServerBinary } from './nats-server.ts';

export interface LocalClusterOptions {
  readonly processes: number;
  /** Folder of everything that they write. */
  readonly data: string;
  /** HTTP ports from here on, one for each process; the one before them is NATS'. */
  readonly basePort: number;
  /** Of every process, after those that make it one of the cluster. */
  readonly flags: readonly string[];
  /** Whether a process that ends unasked is started again. */
  readonly restarts: boolean;
  /** A line that one of them wrote, or that is about one. */
  readonly onLine: (who: string, line: string) => void;
  /** After every change of what is told by `members`. */
  readonly onChange: (state: LocalClusterState) => void;
}

/** One process of a local cluster. */
export interface LocalMember {
  readonly role: 'all';
  readonly instance: string;
  readonly pid: number | undefined;
  readonly http: string;
  /** In the ring, or `down`, or `starting`. */
  readonly state: string;
}

export interface LocalClusterState {
  /** A process that takes pushes and queries: all do. */
  readonly gateway: string;
  readonly nats: string;
  readonly processes: readonly LocalMember[];
}

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const WATCH_MS = 500;
const RESTART_MS = 1_000;
const STOP_LIMIT_MS = 15_000;

interface Running {
  readonly instance: string;
  readonly http: string;
  child: ChildProcess | undefined;
  /** Wall clock. */
  startedMs: number;
  state: string;
}

/** A NATS server and processes of ours on this machine, each in a zone of its own. */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #members: readonly Running[];
  readonly #ended = new AbortController();
  #nats: ChildProcess | undefined;
  #shown = '';

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#members = Array.from({ length: options.processes }, (_, index) => ({
      instance: `process-${index}`,
      http: `http://127.0.0.1:${options.basePort + index}`,
      child: undefined,
      startedMs: 0,
      state: 'down',
    }));
  }

  get state(): LocalClusterState {
    const processes = this.#members.map(
      ({ instance, child, http, state }): LocalMember => ({ role: 'all', instance, pid: child?.pid, http, state }),
    );
    return { gateway: this.#members[0].http, nats: `127.0.0.1:${this.#natsPort}`, processes };
  }

  get #natsPort(): number {
    return this.#options.basePort - 1;
  }

  /** Runs until `signal` is aborted; then everything has been stopped. Rejects if NATS cannot be started, or ends. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#ended.abort();
    signal.addEventListener('abort', stop, { once: true });
    const binary = await natsServerBinary();
    const folder = resolve(this.#options.data);
    mkdirSync(join(folder, 'nats'), { recursive: true });
    const nats = spawn(binary, ['-a', '127.0.0.1', '-p', String(this.#natsPort), '-js', '-sd', join(folder, 'nats')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#nats = nats;
    this.#lines('nats', nats);
    let failure: Error | undefined;
    nats.once('exit', (code, killed) => {
      if (!this.#ended.signal.aborted) failure = new Error(`nats-server ended with ${code ?? killed}: is port ${this.#natsPort} free?`);
      stop();
    });
    for (const member of this.#members) this.#start(member, folder);
    while (!this.#ended.signal.aborted) {
      await this.#look();
      await sleep(WATCH_MS, undefined, { signal: this.#ended.signal }).catch(() => {});
    }
    await this.#stop();
    if (failure !== undefined) throw failure;
  }

  #start(member: Running, folder: string): void {
    const { instance, http } = member;
    const flags = [
      `-server.http-listen-address=127.0.0.1`,
      `-server.http-listen-port=${new URL(http).port}`,
      `-common.path-prefix=${join(folder, instance)}`,
      `-common.storage.filesystem.chunk-directory=${join(folder, 'objects')}`,
      `-nats.servers=127.0.0.1:${this.#natsPort}`,
      `-common.storage.ring.instance-id=${instance}`,
      `-common.storage.ring.instance-availability-zone=${instance}`,
      ...this.#options.flags,
    ];
    const child = spawn(process.execPath, [MAIN, ...flags], { env: serverEnvironment(process.env), stdio: ['ignore', 'pipe', 'pipe'] });
    member.child = child;
    member.startedMs = Date.now();
    member.state = 'starting';
    this.#lines(instance, child);
    this.#changed();
    child.once('exit', (code, killed) => {
      member.child = undefined;
      member.state = 'down';
      this.#options.onLine(instance, `ended with ${code ?? killed}`);
      this.#changed();
      if (this.#ended.signal.aborted || !this.#options.restarts) return;
      void sleep(RESTART_MS).then(() => {
        if (!this.#ended.signal.aborted) this.#start(member, folder);
      });
    });
  }

  #lines(who: string, child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#options.onLine(who, line));
    }
  }

  /** What the ring says, by the first that answers. */
  async #look(): Promise<void> {
    for (const { http, child } of this.#members) {
      if (child === undefined) continue;
      const answer = await fetch(`${http}/ring`, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(WATCH_MS) }).catch(
        () => undefined,
      );
      if (!answer?.ok) continue;
      const { instances } = (await answer.json()) as { instances: { id: string; state: string; registered: string }[] };
      for (const member of this.#members) {
        if (member.child === undefined) continue;
        const seen = instances.find(({ id }) => id === member.instance);
        // What an earlier start of it said says nothing of this one.
        member.state = seen === undefined || Date.parse(seen.registered) < member.startedMs ? 'starting' : seen.state;
      }
      break;
    }
    this.#changed();
  }

  #changed(): void {
    const { state } = this;
    const text = JSON.stringify(state);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#options.onChange(state);
  }

  async #stop(): Promise<void> {
    const children = this.#members.flatMap(({ child }) => child ?? []);
    await Promise.all(children.map((child) => ended(child)));
    if (this.#nats !== undefined) await ended(this.#nats);
  }
}

/** SIGTERM, and SIGKILL if that takes too long. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(timer);
}

/** Replaces the file as a whole. */
export function writeState(path: string, state: LocalClusterState): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}
