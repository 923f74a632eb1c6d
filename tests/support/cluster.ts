import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unlimited } from './check-sent.ts';
import { NatsServer } from './nats.ts';
import { TestServer } from './server.ts';

/** Short enough for a test to wait for. */
export const HEARTBEAT_TIMEOUT_MS = 2_000;
export const HEARTBEATS = [
  '-common.storage.ring.heartbeat-period=200ms',
  `-common.storage.ring.heartbeat-timeout=${HEARTBEAT_TIMEOUT_MS}ms`,
];

export interface TestClusterOptions {
  readonly processes?: number;
  readonly flags?: readonly string[];
  /** Where they meet; absent: one server of their own. */
  readonly nats?: () => Promise<readonly NatsServer[]>;
}

/** Real processes that meet at a real NATS server and share a folder of objects. */
export class TestCluster {
  /** The only one, or the first of them. */
  readonly nats: NatsServer;
  readonly natsServers: readonly NatsServer[];
  readonly servers: readonly TestServer[];
  readonly #folder: string;

  private constructor(natsServers: readonly NatsServer[], servers: readonly TestServer[], folder: string) {
    this.nats = natsServers[0];
    this.natsServers = natsServers;
    this.servers = servers;
    this.#folder = folder;
  }

  /** Each process does everything, in a zone of its own. Resolves once all are ready. */
  static async start({
    processes = 3,
    flags = [],
    nats = async () => [await NatsServer.start()],
  }: TestClusterOptions = {}): Promise<TestCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-cluster-'));
    const natsServers = await nats();
    const servers = Array.from({ length: processes }, (_, index) =>
      TestServer.start({
        flags: [
          ...unlimited,
          ...HEARTBEATS,
          '-server.workers=2',
          `-nats.servers=${natsServers.map(({ url }) => url).join(',')}`,
          `-common.storage.filesystem.chunk-directory=${join(folder, 'objects')}`,
          `-common.storage.ring.instance-id=process-${index}`,
          `-common.storage.ring.instance-availability-zone=zone-${index}`,
          ...flags,
        ],
      }),
    );
    const started = await Promise.allSettled(servers);
    const cluster = new TestCluster(
      natsServers,
      started.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
      folder,
    );
    const failed = started.find((one) => one.status === 'rejected');
    if (failed === undefined) return cluster;
    await cluster[Symbol.asyncDispose]();
    throw failed.reason;
  }

  get urls(): string[] {
    return this.servers.map(({ url }) => url);
  }

  /** Each process has ingesters. */
  get flushUrls(): string[] {
    return this.urls;
  }

  async ready(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.ready()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
    await Promise.all(this.natsServers.map((server) => server[Symbol.asyncDispose]()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
