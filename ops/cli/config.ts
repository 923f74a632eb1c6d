import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { realWorld } from '../base/world.ts';
import { ConfigError } from '../config-findings.ts';
import { type Command, UsageError } from './command.ts';
import { write } from './print.ts';

export const config: Command = {
  summary: 'check a configuration file and per-tenant overrides',
  help: `usage: millrace config check [options] [FILE]

Says what a server with -config.file=FILE and this environment would refuse, a line for each problem, and checks
the file of per-tenant overrides that FILE names. Nothing is started. Exit code 1 if anything is wrong.

  --overrides FILE     check this file of overrides instead; may be repeated
  --expand-env         replace variables of the environment in FILE, as -config.expand-env does
  --allow-unsupported  only warn of what Loki has and Millrace does not, as -config.allow-unsupported does
  -h, --help           show this

  millrace config check loki.yaml
  millrace config check --overrides overrides.yaml`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        overrides: { type: 'string', multiple: true, default: [] },
        'expand-env': { type: 'boolean', default: false },
        'allow-unsupported': { type: 'boolean', default: false },
      },
    });
    const [action, ...files] = positionals;
    if (action !== 'check') throw new UsageError(action === undefined ? 'wants check' : `no such action: ${action}`);
    if (files.length > 1) throw new UsageError('one file at most');
    if (files.length + values.overrides.length === 0) throw new UsageError('wants a file to check');
    const argv = [
      ...files.map((file) => `-config.file=${file}`),
      ...values.overrides.map((file) => `-runtime-config.file=${file}`),
      `-config.expand-env=${values['expand-env']}`,
      `-config.allow-unsupported=${values['allow-unsupported']}`,
    ];
    // Imported only here: every part of the server that has options is loaded with it.
    const { loadConfig } = await import('../load-config.ts');
    const inputs = { argv, env: io.env, readFile: (path: string) => readFileSync(path, 'utf8') };
    try {
      const { warnings } = await loadConfig(inputs, realWorld().files);
      await write(io.stdout, [...warnings.map((warning) => `warning: ${warning}`), 'valid', ''].join('\n'));
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      await write(io.stderr, `${error.problems.join('\n')}\n`);
      return 1;
    }
  },
};
