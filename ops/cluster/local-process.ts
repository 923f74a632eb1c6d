import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serverEnvironment } from '../environment.mjs';
import type { Component } from '../targets.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const RESTART_MS = 1_000;
const STOP_LIMIT_MS = 15_000;

export interface LocalProcessOptions {
  readonly role: Component;
  readonly instance: string;
  readonly http: string;
  readonly flags: readonly string[];
  /** Whether it is started again when it ends unasked. */
  readonly restarts: boolean;
  readonly onLine: (who: string, line: string) => void;
  readonly onChange: () => void;
}

/** One process of a local cluster, over its starts. */
export class LocalProcess {
  readonly role: Component;
  readonly instance: string;
  readonly http: string;
  /** In its ring, `starting`, or `down`. */
  state = 'down';
  readonly #options: LocalProcessOptions;
  #child: ChildProcess | undefined;
  /** Wall clock. */
  #startedMs = 0;
  #isStopping = false;

  constructor(options: LocalProcessOptions) {
    this.#options = options;
    this.role = options.role;
    this.instance = options.instance;
    this.http = options.http;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { instance, flags, onLine, onChange } = this.#options;
    this.#isStopping = false;
    const child = spawn(process.execPath, [MAIN, ...flags], { env: serverEnvironment(process.env), stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#startedMs = Date.now();
    this.state = 'starting';
    linesOf(child, (line) => onLine(instance, line));
    onChange();
    child.once('exit', (code, killed) => {
      this.#child = undefined;
      this.state = 'down';
      onLine(instance, `ended with ${code ?? killed}`);
      onChange();
      if (this.#mayRestart) void sleep(RESTART_MS).then(() => this.#mayRestart && this.start());
    });
  }

  get #mayRestart(): boolean {
    return this.#options.restarts && !this.#isStopping && this.#child === undefined;
  }

  /** What its ring tells of it; undefined: nothing. `registeredMs`: when it entered: what an earlier start of it said says nothing of this one. */
  seen(ring: { readonly state: string; readonly registeredMs: number } | undefined): void {
    if (this.#child !== undefined) this.state = ring === undefined || ring.registeredMs < this.#startedMs ? 'starting' : ring.state;
  }

  /** Resolves once it has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#child !== undefined) await ended(this.#child);
  }
}

/** Runs `onLine` with every line that a process writes. */
export function linesOf(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) createInterface({ input: stream }).on('line', onLine);
}

/** SIGTERM, and SIGKILL if that takes too long. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(timer);
}
