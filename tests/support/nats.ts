import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsServerBinary } from '../../ops/cluster/nats-server.ts';
import { endsWithTest, lacking } from './children.ts';
import { freePort } from './ports.ts';

/** See lacking. */
export const withoutNats = await lacking('a NATS server', natsServerBinary());

const START_LIMIT_MS = 10_000;
const POLL_MS = 10;

export interface NatsServerOptions {
  readonly flags?: readonly string[];
  /** The text of a configuration file. */
  readonly config?: string;
  readonly jetStream?: boolean;
}

/** A NATS server of its own that can be killed and started again on the same port and data. */
export class NatsServer {
  readonly port: number;
  readonly #folder: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, { flags = [], config, jetStream = true }: NatsServerOptions) {
    this.port = port;
    this.#folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'));
    const configFile = join(this.#folder, 'nats.conf');
    if (config !== undefined) writeFileSync(configFile, config);
    this.#flags = [
      ...(config === undefined ? [] : ['-c', configFile]),
      '-a',
      '127.0.0.1',
      '-p',
      String(port),
      ...(jetStream ? ['-js', '-sd', this.#folder] : []),
      ...flags,
    ];
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), options);
    await server.restart();
    return server;
  }

  get url(): string {
    return `127.0.0.1:${this.port}`;
  }

  async restart(): Promise<void> {
    const child = spawn(await natsServerBinary(), this.#flags, { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
    this.#child = child;
    endsWithTest(child);
    const untilMs = Date.now() + START_LIMIT_MS;
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null || Date.now() > untilMs) throw new Error(`nats-server does not start\n${output}`);
      await sleep(POLL_MS);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Servers of one NATS cluster, which keeps three copies of what JetStream stores. */
export async function startThreeNatsServers(): Promise<NatsServer[]> {
  const routes = [await freePort(), await freePort(), await freePort()];
  const all = routes.map((route) => `nats://127.0.0.1:${route}`).join(',');
  return Promise.all(
    routes.map((port, index) => {
      const own = ['--cluster', `nats://127.0.0.1:${port}`, '--cluster_name', 'three', '--name', `server-${index}`];
      return NatsServer.start({ flags: [...own, '--routes', all] });
    }),
  );
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => end(true)); // it speaks first
    socket.once('error', () => end(false));
    function end(accepted: boolean): void {
      socket.destroy();
      resolve(accepted);
    }
  });
}
