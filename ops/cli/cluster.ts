import { parseArgs } from 'node:util';
import { LocalCluster, type LocalClusterState, writeState } from '../cluster/local-cluster.ts';
import { type Command, CommandError, UsageError } from './command.ts';

export const cluster: Command = {
  summary: 'run a whole cluster on this machine: a NATS server and several processes',
  help: `usage: millrace cluster [options] [-- FLAGS]

Starts a NATS server (NATS_SERVER_BIN, one on the PATH, or one that is built once with Go) and processes that each do everything, in zones of their own, until Ctrl-C.
FLAGS go to each process.

  --processes N      how many (3)
  --data DIR         where they keep everything (./data/cluster)
  --base-port N      HTTP ports from here on, NATS on the one before (3101)
  --state-file FILE  keep {gateway, nats, processes: [{role, instance, pid, http, state}]} there, as JSON
  --no-table         do not show who is in which state
  --no-restart       leave a process that ends as it is
  -h, --help         show this`,
  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        processes: { type: 'string', default: '3' },
        data: { type: 'string', default: './data/cluster' },
        'base-port': { type: 'string', default: '3101' },
        'state-file': { type: 'string' },
        'no-table': { type: 'boolean', default: false },
        'no-restart': { type: 'boolean', default: false },
      },
    });
    const shows = !values['no-table'];
    const running = new LocalCluster({
      processes: number('processes', values.processes, 1, 99),
      data: values.data,
      basePort: number('base-port', values['base-port'], 2, 65_000),
      flags: positionals,
      restarts: !values['no-restart'],
      onLine: (who, line) => io.stdout.write(`${who.padEnd(12)} ${line}\n`),
      onChange(state) {
        if (values['state-file'] !== undefined) writeState(values['state-file'], state);
        if (shows) io.stderr.write(`${table(state)}\n`);
      },
    });
    const stopped = new AbortController();
    const stop = (): void => stopped.abort();
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    try {
      await running.run(stopped.signal);
    } catch (error) {
      throw new CommandError((error as Error).message);
    }
    return 0;
  },
};

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${name} is a number from ${least} to ${most}, not ${text}`);
  return value;
}

/** Who is in which state, on one line each. */
function table({ nats, processes }: LocalClusterState): string {
  const rows = processes.map(
    ({ instance, state, http, pid = '-' }) => `  ${instance.padEnd(12)} ${state.padEnd(10)} ${http.padEnd(24)} ${pid}`,
  );
  return [`  ${'nats'.padEnd(12)} ${''.padEnd(10)} ${nats}`, ...rows].join('\n');
}
