import { readFileSync } from 'node:fs';
import { cluster } from './cli/cluster.ts';
import { type Command, CommandError, type Io, UsageError } from './cli/command.ts';
import { config } from './cli/config.ts';
import { explain } from './cli/explain.ts';
import { labels, series } from './cli/labels.ts';
import { paint } from './cli/print.ts';
import { push } from './cli/push.ts';
import { query } from './cli/query.ts';

const commands: Record<string, Command> = { push, query, labels, series, explain, config, cluster };

const HELP = `usage: millrace COMMAND [options]

  serve     start the server: the same as npm start; millrace serve -help lists its flags
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
  .join('\n')}

millrace COMMAND --help tells more. The server is named by --addr or LOKI_ADDR.
`;

/** Runs one command line (without node and script) and returns the exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function cli(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? io.stderr : io.stdout).write(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
    io.stdout.write(`millrace ${version}\n`);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    io.stderr.write(`millrace: no such command: ${name}; millrace --help lists them\n`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(`${command.help}\n`);
    return 0;
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    if (error instanceof UsageError || isParseArgsError(error)) {
      io.stderr.write(`millrace ${name}: ${error.message}\nmillrace ${name} --help tells more\n`);
      return 2;
    }
    if (!(error instanceof CommandError)) throw error;
    io.stderr.write(`${paint(io.stderr, 'red', `millrace ${name}:`)} ${error.message}\n`);
    return 1;
  }
}

function isParseArgsError(error: unknown): error is Error {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

if (import.meta.main) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0); // the reader has enough, as `head` has
  });
  process.exitCode = await cli(process.argv.slice(2), process);
}
