import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LocalCluster, type LocalClusterState, USUAL_COUNTS, writeState } from '../cluster/local-cluster.ts';
import { give, ORDERS, type Order, roleAndInstance, serveControl } from '../cluster/local-control.ts';
import { COMPONENTS, type Component } from '../targets.ts';
import { type Command, CommandError, type Io, UsageError } from './command.ts';

const USUAL = COMPONENTS.map((role) => `${USUAL_COUNTS[role]} --${plural(role)}`).join(', ');

export const cluster: Command = {
  summary: 'run a whole cluster on this machine: a NATS server and a process for each part',
  help: `usage: millrace cluster [options] [-- FLAGS]
       millrace cluster add ROLE --state-file FILE
       millrace cluster drain|restart ROLE[/INSTANCE] --state-file FILE

Starts a NATS server (NATS_SERVER_BIN, one on the PATH, or one that is built once with Go) and a process for each part of the store, until Ctrl-C. Ingesters are in zones of their own.
FLAGS go to each process. A running cluster is told to start one more of a role, to have one leave that hands over what it has, or to stop and start all of a role, one after the other.

  --ROLEs N          how many of a role: ${USUAL}
  --kafka            a Kafka broker (Java, and Maven once, to fetch it) in front of the ingesters
  --data DIR         where they keep everything (./data/cluster)
  --base-port N      HTTP ports from here on, the gateway's first, NATS on the one before,
                     Kafka on the two before that (3101)
  --state-file FILE  keep {gateway, nats, kafka, control, processes: [{role, instance, pid, http, state}]} there, as JSON
  --no-table         do not show who is in which state
  --no-restart       leave a process that ends as it is
  -h, --help         show this`,
  run(args, io) {
    const order = ORDERS.find((known) => known === args[0]);
    return order === undefined ? runCluster(args, io) : orderCluster(order, args.slice(1), io);
  },
};

async function runCluster(args: string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      ...Object.fromEntries(COMPONENTS.map((role) => [plural(role), { type: 'string' as const }])),
      data: { type: 'string', default: './data/cluster' },
      'base-port': { type: 'string', default: '3101' },
      kafka: { type: 'boolean', default: false },
      'state-file': { type: 'string' },
      'no-table': { type: 'boolean', default: false },
      'no-restart': { type: 'boolean', default: false },
    },
  });
  const asked: Readonly<Record<string, unknown>> = values;
  const countOf = (role: Component): number => {
    const text = asked[plural(role)];
    return text === undefined ? USUAL_COUNTS[role] : number(plural(role), String(text), 1, 99);
  };
  const stateFile = values['state-file'];
  let controlUrl = '';
  const running = new LocalCluster({
    counts: Object.fromEntries(COMPONENTS.map((role) => [role, countOf(role)])) as Record<Component, number>,
    data: values.data,
    basePort: number('base-port', values['base-port'], 4, 65_000),
    kafka: values.kafka === true,
    flags: positionals,
    restarts: !values['no-restart'],
    onLine: (who, line) => io.stdout.write(`${who.padEnd(17)} ${line}\n`),
    onChange(state) {
      if (stateFile !== undefined) writeState(stateFile, { ...state, control: controlUrl });
      if (!values['no-table']) io.stderr.write(`${table(state)}\n`);
    },
  });
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const control = stateFile === undefined ? undefined : await serveControl(running);
  controlUrl = control?.url ?? '';
  try {
    await running.run(stopped.signal);
  } catch (error) {
    throw new CommandError((error as Error).message);
  } finally {
    control?.close();
  }
  return 0;
}

async function orderCluster(order: Order, args: string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { 'state-file': { type: 'string' } } });
  const [text, ...rest] = positionals;
  if (text === undefined || rest.length > 0 || values['state-file'] === undefined)
    throw new UsageError(`cluster ${order} wants one role and --state-file FILE`);
  let target: ReturnType<typeof roleAndInstance>;
  try {
    target = roleAndInstance(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  try {
    const { control } = JSON.parse(readFileSync(values['state-file'], 'utf8')) as { control: string };
    for (const { instance, http, state } of await give({ order, ...target }, control)) io.stdout.write(`${instance} ${state} ${http}\n`);
  } catch (error) {
    throw new CommandError(`${order} ${text}: ${(error as Error).message}`);
  }
  return 0;
}

/** The option for the number of a role. */
function plural(role: Component): string {
  return `${role}s`;
}

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${name} is a number from ${least} to ${most}, not ${text}`);
  return value;
}

/** Who is in which state, on one line each. */
function table({ nats, processes }: LocalClusterState): string {
  const rows = processes.map(
    ({ instance, state, http, pid = '-' }) => `  ${instance.padEnd(17)} ${state.padEnd(10)} ${http.padEnd(24)} ${pid}`,
  );
  return [`  ${'nats'.padEnd(17)} ${''.padEnd(10)} ${nats}`, ...rows].join('\n');
}
