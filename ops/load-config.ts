import type { LimitOverrides } from '../actors/tenant-limits.ts';
import type { Files } from './base/world.ts';
import { type ConfigInputs, type Configuration, configure } from './config.ts';
import { Findings } from './config-findings.ts';
import { overridesIn, type RuntimeConfigSource, readRuntimeFiles, runtimeConfigSource } from './runtime-config.ts';
import { sections } from './sections.ts';

/** Everything that the program is told at its start. */
export interface LoadedConfig {
  readonly configuration: Configuration;
  readonly source: RuntimeConfigSource;
  readonly overrides: LimitOverrides;
  readonly overridesHash: string;
  /** A line for each option that is ignored. */
  readonly warnings: readonly string[];
}

/** Options and per-tenant overrides. Throws ConfigError with everything that is wrong with either, unless only help or the version is asked for. */
export async function loadConfig(inputs: ConfigInputs, files: Files): Promise<LoadedConfig> {
  const findings = new Findings();
  const configuration = configure(sections, inputs, findings);
  const { action, allowUnsupported } = configuration;
  const source = runtimeConfigSource(configuration);
  const runtime = await readRuntimeFiles(source.paths, files, findings);
  const overrides = overridesIn(runtime, findings);
  const warnings = action === 'help' || action === 'version' ? [] : findings.settle(allowUnsupported);
  return { configuration, source, overrides, overridesHash: runtime.hash, warnings };
}
