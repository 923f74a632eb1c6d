import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { limitsOptions } from '../actors/limits.ts';
import type { LimitOverrides } from '../actors/tenant-limits.ts';
import { duration, list, section, string } from './base/options.ts';
import type { Files } from './base/world.ts';
import type { Configuration } from './config.ts';
import type { Findings } from './config-findings.ts';
import { type Given, slotsOf } from './config-slots.ts';
import { type KnownKeys, knownKeys, readOptions, YamlFile } from './config-yaml.ts';

export const runtimeConfigOptions = section('runtime_config', 'runtime-config', {
  file: list('', 'YAML files with limits by tenant, read again while running; where two set the same, the later one wins.'),
  period: duration('10s', 'How often those files are read.', { flag: 'runtime-config.reload-period', min: 10 }),
});

/** Names of the above in older versions of Loki. */
export const legacyOverridesOptions = section('limits_config', 'limits', {
  perTenantOverrideConfig: string('', 'Old name of runtime_config.file, which goes before it.', {
    flag: 'limits.per-user-override-config',
  }),
  perTenantOverridePeriod: duration('10s', 'Old name of runtime_config.period, for that file.', {
    flag: 'limits.per-user-override-period',
    min: 10,
  }),
});

/** Where overrides are read, and how often. */
export interface RuntimeConfigSource {
  readonly paths: readonly string[];
  readonly periodMs: number;
  readonly allowUnsupported: boolean;
}

export function runtimeConfigSource(configuration: Configuration): RuntimeConfigSource {
  const { file, period } = configuration.valuesOf(runtimeConfigOptions);
  const { perTenantOverrideConfig: old, perTenantOverridePeriod } = configuration.valuesOf(legacyOverridesOptions);
  const { allowUnsupported } = configuration;
  if (file.length > 0 || old === '') return { paths: file, periodMs: period, allowUnsupported };
  return { paths: [old], periodMs: perTenantOverridePeriod, allowUnsupported };
}

/** What the files hold now, unread. */
export interface RuntimeFiles {
  readonly texts: readonly (readonly [path: string, text: string])[];
  /** SHA-256 of the files, hexadecimal: equal for equal files. */
  readonly hash: string;
}

/** Files that cannot be read are added to `findings`. */
export async function readRuntimeFiles(paths: readonly string[], files: Files, findings: Findings): Promise<RuntimeFiles> {
  const texts: [path: string, text: string][] = [];
  const hash = createHash('sha256');
  for (const path of paths) {
    const bytes = await files.read(resolve(path)).catch((error: Error) => findings.problem(path, error.message));
    if (bytes === undefined) continue;
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
    texts.push([path, bytes.toString()]);
  }
  return { texts, hash: hash.digest('hex') };
}

/** What is wrong with the files is added to `findings`. */
export function overridesIn({ texts }: RuntimeFiles, findings: Findings): LimitOverrides {
  const limits = new Map<string, Given[]>();
  for (const [path, text] of texts) {
    for (const [tenant, own] of readOverrides(path, text, findings)) limits.set(tenant, [...(limits.get(tenant) ?? []), ...own]);
  }
  return [...limits].map(([tenant, own]) => [tenant, Object.fromEntries(own.map(([{ key }, value]) => [key, value]))]);
}

/** What else Loki looks for in such a file. */
const LOKI_ONLY = ['configs', 'multi_kv_config'];
const OVERRIDES = 'overrides';
const LIMITS = knownKeys(slotsOf([limitsOptions])).get(limitsOptions.yaml) as KnownKeys;

function* readOverrides(path: string, text: string, findings: Findings): Generator<[tenant: string, given: Given[]]> {
  const file = new YamlFile(path, text, findings);
  for (const entry of file.top(findings)) {
    if (LOKI_ONLY.includes(entry.name)) findings.unsupported(`${entry.where}: ${entry.name}`);
    else if (entry.name !== OVERRIDES) findings.problem(entry.where, `unknown key ${entry.name}, wants ${OVERRIDES}`);
    else {
      for (const tenant of file.below(entry, OVERRIDES, findings)) {
        const shown = [OVERRIDES, tenant.name];
        const own = file.below(tenant, shown.join('.'), findings);
        yield [tenant.name, readOptions(file, own, { known: LIMITS, shown, path: [limitsOptions.yaml] }, findings)];
      }
    }
  }
}
