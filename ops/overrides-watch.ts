import type { LimitOverrides } from '../actors/tenant-limits.ts';
import type { Gauge, Instruments } from './base/instruments.ts';
import type { World } from './base/world.ts';
import { ConfigError, Findings } from './config-findings.ts';
import { overridesIn, type RuntimeConfigSource, readRuntimeFiles } from './runtime-config.ts';

export interface OverridesWatchDeps {
  readonly world: World;
  readonly instruments: Instruments;
  readonly source: RuntimeConfigSource;
  /** Hash of what was read at the start. */
  readonly hash: string;
  readonly onChange: (overrides: LimitOverrides) => void;
}

/** Value of the label `config`, as Loki has it. */
const CONFIG = 'loki';

/** Reads the files of overrides again and again, and tells when they changed. While they cannot be read or anything is wrong with them, what was
 *  read before stays. */
export class OverridesWatch {
  readonly #deps: OverridesWatchDeps;
  readonly #successful: Gauge;
  readonly #hashes: Gauge;
  readonly #stopped = new AbortController();
  #hash = '';
  /** Of the last attempt; told once. */
  #problems = '';

  constructor(deps: OverridesWatchDeps) {
    this.#deps = deps;
    const { gauge } = deps.instruments;
    this.#successful = gauge('loki_runtime_config_last_reload_successful', 'Whether the files of overrides were read without error.', [
      'config',
    ]);
    this.#hashes = gauge('loki_runtime_config_hash', 'Hash of the overrides in use.', ['config', 'sha256']);
    this.#took(deps.hash);
  }

  /** Reads every period until `stop`. */
  async run(): Promise<void> {
    const { world, source } = this.#deps;
    const { signal } = this.#stopped;
    for (;;) {
      await world.timers.sleep(source.periodMs, signal).catch(() => {});
      if (signal.aborted) return;
      await this.#reload();
    }
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #reload(): Promise<void> {
    const { world, instruments, source, onChange } = this.#deps;
    try {
      const findings = new Findings();
      const files = await readRuntimeFiles(source.paths, world.files, findings);
      const { hash } = files;
      const changed = hash !== this.#hash;
      const overrides = changed ? overridesIn(files, findings) : [];
      const warnings = findings.settle(source.allowUnsupported);
      this.#took(hash);
      if (!changed) return;
      onChange(overrides);
      for (const warning of warnings) instruments.log.warn('option ignored', { warning });
      instruments.log.info('overrides changed', { tenants: overrides.length, hash });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#successful.set(0, { config: CONFIG });
      if (error.message === this.#problems) return;
      this.#problems = error.message;
      for (const problem of error.problems) instruments.log.error('overrides not taken, those before stay', { problem });
    }
  }

  #took(hash: string): void {
    this.#successful.set(1, { config: CONFIG });
    this.#problems = '';
    if (hash === this.#hash) return;
    this.#hashes.remove({ config: CONFIG, sha256: this.#hash });
    this.#hashes.set(1, { config: CONFIG, sha256: hash });
    this.#hash = hash;
  }
}
