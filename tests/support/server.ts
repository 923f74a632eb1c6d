import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serverEnvironment } from '../../ops/environment.mjs';
import { freePort } from './ports.ts';

const MAIN = fileURLToPath(new URL('../../ops/main.ts', import.meta.url));
const POLL_MS = 10;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One run of the shipped process: everything it printed, and how it ended. */
export class ServerProcess {
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #output = '';
  #ended = false;

  constructor(flags: readonly string[]) {
    // What the launcher sets; the tests start the script itself, so that the process id is the server's.
    this.#child = spawn(process.execPath, [MAIN, ...flags], {
      env: serverEnvironment(process.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    const kill = (): boolean => this.#child.kill('SIGKILL'); // a test that dies leaves no server behind
    process.on('exit', kill);
    this.exited = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#ended = true;
        process.off('exit', kill);
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Standard output and error as they came. */
  get output(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when the process has ended. Kills it, and rejects, if that takes longer. */
  async ends(withinMs: number): Promise<Exit> {
    const exit = await Promise.race([this.exited, sleep(withinMs, undefined, { ref: false })]);
    if (exit !== undefined) return exit;
    await this.kill();
    throw new Error(`still running after ${withinMs} ms\n${this.#output}`);
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Peak resident memory, bytes (Linux). */
  peakMemory(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }
}

export interface ServerOptions {
  flags?: readonly string[];
  /** Kept after the test; without it a folder is made and removed again. */
  dataDir?: string;
  readyWithinMs?: number;
}

/** A server on a port and a data folder of its own that can be killed and started again on both. */
export class TestServer {
  readonly port: number;
  readonly dataDir: string;
  readonly #options: ServerOptions;
  #process!: ServerProcess;

  private constructor(port: number, dataDir: string, options: ServerOptions) {
    this.port = port;
    this.dataDir = dataDir;
    this.#options = options;
  }

  /** Starts the shipped program and waits until it is ready. Rejects with its output if it ends first. */
  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'millrace-test-')));
    const server = new TestServer(await freePort(), dataDir, options);
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get process(): ServerProcess {
    return this.#process;
  }

  /** Starts a process where the last one ran; wants that one to have ended. */
  async restart(): Promise<void> {
    this.begin();
    await this.ready();
  }

  /** Starts a process without waiting for it. */
  begin(): void {
    this.#process = new ServerProcess([
      `-server.http-listen-port=${this.port}`,
      `-common.path-prefix=${this.dataDir}`,
      ...(this.#options.flags ?? []),
    ]);
  }

  /** Resolves when /ready says so. */
  async ready(): Promise<void> {
    const current = this.#process;
    const until = performance.now() + (this.#options.readyWithinMs ?? 60_000);
    let last = 'no answer';
    while (!current.ended) {
      const answer = await fetch(`${this.url}/ready`).catch((error: Error) => error);
      if (!(answer instanceof Error)) {
        last = `${answer.status} ${await answer.text()}`;
        if (answer.ok) return;
      }
      if (performance.now() > until) throw new Error(`not ready in time, /ready said: ${last}\n${current.output}`);
      await sleep(POLL_MS);
    }
    const { code, signal } = await current.exited;
    throw new Error(`ended with ${code ?? signal} before it was ready\n${current.output}`);
  }

  /** SIGTERM; resolves with how the process ended and how long it took. Rejects as `ends` does. */
  async stop(withinMs = 30_000): Promise<Exit & { tookMs: number }> {
    const started = performance.now();
    this.#process.signal('SIGTERM');
    const exit = await this.#process.ends(withinMs);
    return { ...exit, tookMs: performance.now() - started };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#process.ended) await this.#process.kill();
    if (this.#options.dataDir === undefined) await rm(this.dataDir, { recursive: true, force: true });
  }
}
