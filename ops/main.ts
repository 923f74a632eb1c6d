import { readFileSync } from 'node:fs';
import { realWorld } from './base/world.ts';
import { ConfigError } from './config-findings.ts';
import type { BuildInfo } from './exposition.ts';
import { limitHeaps } from './heap.ts';
import { type LoadedConfig, loadConfig } from './load-config.ts';
import { serve } from './serve.ts';

limitHeaps();
const inputs = { argv: process.argv.slice(2), env: process.env, readFile: (path: string) => readFileSync(path, 'utf8') };
try {
  const loaded = await loadConfig(inputs, realWorld().files);
  if (loaded.configuration.action === 'run') await serve(loaded, buildInfo());
  else console.log(textFor(loaded));
} catch (error) {
  console.error(error instanceof ConfigError ? error.problems.join('\n') : `millrace: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

function textFor({ configuration, warnings }: LoadedConfig): string {
  switch (configuration.action) {
    case 'help':
      return configuration.helpText();
    case 'version':
      return `millrace ${buildInfo().version}`;
    case 'verify':
      return [...warnings, 'the configuration is valid'].join('\n');
    default:
      return configuration.toYaml();
  }
}

function buildInfo(): BuildInfo {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return { version, revision: '', branch: '' };
}
