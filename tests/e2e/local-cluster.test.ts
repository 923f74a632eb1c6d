import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LocalClusterState, LocalMember } from '../../ops/cluster/local-cluster.ts';
import { firstValue, get, nowNs, push } from '../support/client.ts';
import { withoutKafka } from '../support/kafka.ts';
import { withoutNats } from '../support/nats.ts';
import { CLUSTER_PORTS, freePorts } from '../support/ports.ts';

const CLI = fileURLToPath(new URL('../../ops/cli.ts', import.meta.url));
const run = promisify(execFile);

const allActive = ({ processes }: LocalClusterState): boolean => processes.every(({ state }) => state === 'ACTIVE');

/** `millrace cluster` as it runs. */
class RunningCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-local-'));
  readonly #stateFile = join(this.#folder, 'state.json');
  readonly #child;
  output = '';

  private constructor(basePort: number, args: readonly string[]) {
    const own = ['--data', join(this.#folder, 'data'), '--base-port', String(basePort), '--state-file', this.#stateFile, '--no-table'];
    this.#child = spawn(process.execPath, [CLI, 'cluster', ...own, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  static async start(args: readonly string[]): Promise<RunningCluster> {
    return new RunningCluster((await freePorts(CLUSTER_PORTS)) + 3, args);
  }

  get state(): LocalClusterState | undefined {
    try {
      return JSON.parse(readFileSync(this.#stateFile, 'utf8'));
    } catch {
      return undefined;
    }
  }

  async reached(condition: (state: LocalClusterState) => boolean): Promise<LocalClusterState> {
    for (;;) {
      const { state } = this;
      if (state !== undefined && condition(state)) return state;
      assert.equal(this.#child.exitCode, null, this.output);
      await sleep(50);
    }
  }

  /** Resolves when a push and a query are taken. */
  async serves({ gateway }: LocalClusterState): Promise<void> {
    while ((await get(gateway, '/ready')).status !== 200) await sleep(50);
    while ((await count(gateway)) === undefined) await sleep(50);
  }

  async order(...args: string[]): Promise<string> {
    return (await run(process.execPath, [CLI, 'cluster', ...args, '--state-file', this.#stateFile])).stdout;
  }

  /** Its exit code. */
  async stop(): Promise<number> {
    this.#child.kill('SIGTERM');
    const [code] = await once(this.#child, 'exit');
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** How many entries are found, of all that was pushed before; undefined: no answer. */
async function count(gateway: string): Promise<number | undefined> {
  const params = new URLSearchParams({ query: 'sum(count_over_time({app="a"}[1h]))' });
  const answer = await fetch(`${gateway}/loki/api/v1/query?${params}`, { headers: { 'x-millrace-read-after-write': '1' } });
  const { status, text } = { status: answer.status, text: await answer.text() };
  return status === 200 ? firstValue(text) : undefined;
}

const pushOne = (gateway: string) => push(gateway, [{ stream: { app: 'a' }, values: [[String(nowNs()), 'line']] }]);
const of = ({ processes }: LocalClusterState, role: string): LocalMember[] => processes.filter((one) => one.role === role);

test('millrace cluster: each part is a process; what dies is started again, and everything ends together', {
  skip: withoutNats,
  timeout: 240_000,
}, async () => {
  await using cluster = await RunningCluster.start([]);
  const state = await cluster.reached(allActive);
  assert.deepEqual(Object.fromEntries(state.processes.map(({ role }) => [role, of(state, role).length])), {
    gateway: 1,
    distributor: 2,
    ingester: 3,
    'query-scheduler': 1,
    'query-frontend': 1,
    querier: 2,
    compactor: 1,
  });
  await cluster.serves(state);
  assert.equal((await pushOne(state.gateway)).status, 204);
  for (const role of ['ingester', 'querier', 'distributor', 'query-scheduler', 'query-frontend', 'gateway']) {
    const [victim] = of(cluster.state!, role);
    process.kill(victim.pid!, 'SIGKILL');
    await cluster.reached((now) => allActive(now) && of(now, role)[0].pid !== victim.pid);
    await cluster.serves(cluster.state!);
    assert.equal((await pushOne(state.gateway)).status, 204, role);
  }
  assert.equal(await count(state.gateway), 7);
  const last = cluster.state!;
  assert.equal(await cluster.stop(), 0, cluster.output);
  for (const { pid } of last.processes) assert.throws(() => process.kill(pid!, 0));
  assert.match(cluster.output, /ingester-0 +ended with SIGKILL/);
});

test('millrace cluster add, drain and restart: nothing that was acknowledged is missing at any time', {
  skip: withoutNats,
  timeout: 240_000,
}, async () => {
  await using cluster = await RunningCluster.start(['--queriers', '1', '--distributors', '1']);
  const { gateway } = await cluster.reached(allActive);
  await cluster.serves(cluster.state!);
  let pushed = 0;
  const check = async (): Promise<void> => {
    assert.equal((await pushOne(gateway)).status, 204);
    assert.equal(await count(gateway), ++pushed);
  };
  await check();
  assert.match(await cluster.order('add', 'ingester'), /^ingester-3 ACTIVE http/);
  await check();
  assert.match(await cluster.order('drain', 'ingester/ingester-0'), /^ingester-0 /);
  assert.deepEqual(
    of(cluster.state!, 'ingester').map(({ instance }) => instance),
    ['ingester-1', 'ingester-2', 'ingester-3'],
  );
  await check();
  const before = of(cluster.state!, 'ingester').map(({ pid }) => pid);
  assert.equal((await cluster.order('restart', 'ingester')).split('\n').filter((line) => line.includes('ACTIVE')).length, 3);
  assert.ok(of(cluster.state!, 'ingester').every(({ pid }) => !before.includes(pid)));
  await cluster.serves(cluster.state!);
  await check();
  await assert.rejects(cluster.order('drain', 'querier'), /querier-0 is the only querier/);
  await assert.rejects(cluster.order('add', 'drummer'), /not one of/);
});

test('millrace cluster --kafka: a broker is there too; an ingester leaves what it has in storage, and its partitions to others', {
  skip: withoutNats || withoutKafka,
  timeout: 240_000,
}, async () => {
  const flags = ['-querier.max-listing-age=1s', '-querier.query-timeout=5s', '-kafka.session-timeout=6s'];
  await using cluster = await RunningCluster.start([
    '--kafka',
    '--queriers',
    '1',
    '--distributors',
    '1',
    '--ingesters',
    '2',
    '--',
    ...flags,
  ]);
  const { gateway, kafka } = await cluster.reached(allActive);
  assert.match(kafka ?? '', /^127\.0\.0\.1:\d+$/);
  await cluster.serves(cluster.state!);
  while ((await pushOne(gateway)).status !== 204) await sleep(50); // the topic has just been made
  assert.equal(await count(gateway), 1);
  const [stays, leaves] = of(cluster.state!, 'ingester');
  assert.match(await cluster.order('drain', `ingester/${leaves.instance}`), new RegExp(`^${leaves.instance} `));
  assert.equal((await pushOne(gateway)).status, 204);
  assert.equal(await count(gateway), 2);
  const { partitions } = JSON.parse((await get(stays.http, '/ingest-log')).text) as { partitions: { partition: number; state: string }[] };
  assert.deepEqual(
    partitions.map(({ state }) => state),
    Array.from({ length: 24 }, () => 'reading'),
  );
  process.kill(stays.pid!, 'SIGKILL');
  await cluster.reached((now) => allActive(now) && of(now, 'ingester')[0].pid !== stays.pid);
  await cluster.serves(cluster.state!);
  assert.equal(await count(gateway), 2);
  assert.equal(await cluster.stop(), 0, cluster.output);
});
