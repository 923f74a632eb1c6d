import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { brokerProperties, type KafkaServer, kafkaServer } from '../../ops/cluster/kafka-server.ts';
import { endsWithTest, lacking } from './children.ts';
import { ADD_USER, type SecuredListener, securedListeners } from './kafka-secured.ts';
import { freePorts } from './ports.ts';

const run = promisify(execFile);

/** See lacking. */
export const withoutKafka = await lacking('a Kafka broker', kafkaServer());

const START_LIMIT_MS = 60_000;
const POLL_MS = 50;
const CLUSTER_ID = 'bWlsbHJhY2UtdGVzdHMtMQ';

export interface KafkaClusterOptions {
  readonly brokers?: number;
  readonly properties?: readonly string[];
  /** Ways into the brokers for those who prove who they are, beside the one that is open to all. */
  readonly secured?: boolean;
}

interface KafkaPorts {
  readonly first: number;
  readonly each: number;
  readonly secured: readonly SecuredListener[];
}

/** Kafka brokers of its own, each of which can be killed and started again on the same port and data. */
export class KafkaCluster {
  readonly #server: KafkaServer;
  readonly #folder: string;
  readonly #firstPort: number;
  readonly #count: number;
  /** Of each broker: the open one, the controllers' and those of `secured`. */
  readonly #portsEach: number;
  readonly secured: readonly SecuredListener[];
  readonly #children: (ChildProcess | undefined)[] = [];
  readonly #output: string[] = [];

  private constructor(server: KafkaServer, folder: string, ports: KafkaPorts, { brokers = 1, properties = [] }: KafkaClusterOptions) {
    this.#server = server;
    this.#folder = folder;
    this.#count = brokers;
    this.#firstPort = ports.first;
    this.#portsEach = ports.each;
    this.secured = ports.secured;
    for (let index = 0; index < brokers; index++) writeFileSync(this.#file(index), this.#properties(index, properties).join('\n'));
  }

  static async start(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
    const secured = options.secured === true ? securedListeners(folder) : [];
    const each = 2 + secured.length;
    const ports = { first: await freePorts(each * (options.brokers ?? 1)), each, secured };
    const cluster = new KafkaCluster(await kafkaServer(), folder, ports, options);
    try {
      const indexes = Array.from({ length: cluster.#count }, (_, index) => index);
      await Promise.all(indexes.map((index) => cluster.#format(index)));
      await Promise.all(indexes.map((index) => cluster.restart(index)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** For those who need not prove who they are, or by one of `secured`. */
  addresses(listener?: SecuredListener): string[] {
    const offset = listener === undefined ? 0 : 2 + this.secured.indexOf(listener);
    return Array.from({ length: this.#count }, (_, index) => `127.0.0.1:${this.#port(index) + offset}`);
  }

  /** For a test's own doings: of another client than the one that is tested only by its settings. */
  client(): Kafka {
    return new Kafka({
      brokers: this.addresses(),
      clientId: 'test',
      logLevel: logLevel.NOTHING,
      retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 1_000 },
    });
  }

  /** Resolves once it answers. */
  async restart(index = 0): Promise<void> {
    const child = spawn('java', this.#server.broker(this.#file(index)), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output[index] = ((this.#output[index] ?? '') + text).slice(-20_000);
      });
    }
    this.#children[index] = child;
    endsWithTest(child);
    const untilMs = Date.now() + START_LIMIT_MS;
    while (!(await this.#answers())) {
      if (child.exitCode !== null || Date.now() > untilMs) throw new Error(`the Kafka broker does not start\n${this.#output[index] ?? ''}`);
      await sleep(POLL_MS);
    }
  }

  /** Of the brokers that run. */
  get pids(): number[] {
    return this.#children.flatMap((child) => (child?.exitCode === null ? (child.pid ?? []) : []));
  }

  signal(signal: NodeJS.Signals, index = 0): void {
    this.#children[index]?.kill(signal);
  }

  async kill(index = 0): Promise<void> {
    const child = this.#children[index];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((_, index) => this.kill(index)));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #format(index: number): Promise<void> {
    await run('java', [...this.#server.format(this.#file(index), CLUSTER_ID), ...(this.secured.length > 0 ? ADD_USER : [])]);
  }

  /** Whether the cluster has a leader and the broker is one of it. */
  async #answers(): Promise<boolean> {
    const admin = new Kafka({
      brokers: this.addresses(),
      logLevel: logLevel.NOTHING,
      connectionTimeout: 1_000,
      requestTimeout: 1_000,
      retry: { retries: 0 },
    }).admin();
    try {
      await admin.connect();
      const { brokers, controller } = await admin.describeCluster();
      return controller !== null && brokers.length === this.#children.filter((child) => child?.exitCode === null).length;
    } catch {
      return false;
    } finally {
      await admin.disconnect().catch(() => {});
    }
  }

  #file(index: number): string {
    return join(this.#folder, `broker-${index}.properties`);
  }

  #port(index: number): number {
    return this.#firstPort + this.#portsEach * index;
  }

  #properties(index: number, own: readonly string[]): string[] {
    const listeners = [
      { name: 'CLIENTS', protocol: 'PLAINTEXT' },
      { name: 'CONTROLLER', protocol: 'PLAINTEXT' },
      ...this.secured.map(({ name, protocol }) => ({ name: name.toUpperCase(), protocol })),
    ].map((listener, offset) => ({ ...listener, address: `127.0.0.1:${this.#port(index) + offset}` }));
    const voters = Array.from({ length: this.#count }, (_, other) => `127.0.0.1:${this.#port(other) + 1}`);
    return [
      ...brokerProperties({ id: index + 1, voters, listeners, data: join(this.#folder, `data-${index}`) }),
      'group.min.session.timeout.ms=1000',
      'log.segment.delete.delay.ms=1000',
      ...this.secured.flatMap(({ properties }) => properties),
      ...own,
    ];
  }
}
