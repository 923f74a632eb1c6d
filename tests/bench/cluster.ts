// What a cluster costs: npm run bench -- --cluster [--mb-per-s 5] [--push-kb 100] [--seconds 30] [--handoff-mib 200] [--only PART]
// Parts: `push` (CPU seconds of all processes together for each GB of lines, and how long pushes take, at a steady rate: one process, a cluster with one copy, with three), `hop` (what a
// question over NATS takes longer than one between threads), `kill` (from a kill -9 of each kind of process to the first push and the first whole count), `handoff` (what an ingester has is
// handed over), `idle` (CPU time of a cluster that nobody asks for anything).
// Each cluster is the one that `millrace cluster` starts: a process for each part, and a NATS server, all on this machine beside the load.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LocalMember } from '../../ops/cluster/local-cluster.ts';
import type { Component } from '../../ops/targets.ts';
import { get, nowNs, push } from '../support/client.ts';
import { RoleCluster } from '../support/role-cluster.ts';
import { TestServer } from '../support/server.ts';
import { hopTimes } from './hop.ts';
import { LIFTED } from './lifted.ts';
import { NOT_COMPACTING, pushAll } from './load.ts';
import { cpuSeconds, mb, median, percentile, round, timed } from './measure.ts';
import { bodiesOf, steadyCost, WARM_MS } from './steady.ts';

const { values: options } = parseArgs({
  options: {
    cluster: { type: 'boolean' },
    'mb-per-s': { type: 'string', default: '5' },
    'push-kb': { type: 'string', default: '100' },
    seconds: { type: 'string', default: '30' },
    'handoff-mib': { type: 'string', default: '200' },
    only: { type: 'string' },
  },
});
const rate = { pushBytes: Number(options['push-kb']) * 1e3, mbPerS: Number(options['mb-per-s']) };
const seconds = Number(options.seconds);
const HOPS = 2_000;
/** As a cluster has them unless told otherwise; those of tests come more often. */
const HEARTBEATS = ['-common.storage.ring.heartbeat-period=5s', '-common.storage.ring.heartbeat-timeout=1m'];
const FLAGS = [...LIFTED, ...NOT_COMPACTING];
const KILLED: readonly Component[] = ['ingester', 'querier', 'distributor', 'query-frontend', 'query-scheduler', 'gateway'];

const parts: Readonly<Record<string, () => Promise<void>>> = { push: pushes, hop, kill: kills, handoff, idle };
for (const [name, measure] of Object.entries(parts)) if (options.only === undefined || options.only === name) await measure();

async function pushes(): Promise<void> {
  console.log(`pushes of ${options['push-kb']} KB of lines, ${options['mb-per-s']} MB/s for ${seconds} s`);
  {
    await using server = await TestServer.start({ flags: FLAGS });
    await steadyCost('one process', server.url, () => [server.process.pid], { rate, seconds });
  }
  for (const copies of [1, 3]) {
    await using cluster = await RoleCluster.start({
      flags: [...FLAGS, ...HEARTBEATS, `-common.storage.ring.replication-factor=${copies}`],
    });
    await steadyCost(`cluster, ${copies} ${copies === 1 ? 'copy' : 'copies'}`, cluster.urls[0], () => cluster.pids, { rate, seconds });
  }
}

async function hop(): Promise<void> {
  const { natsMs, threadMs } = await hopTimes(HOPS);
  const told = (times: readonly number[]): string =>
    `p50 ${Math.round(median(times) * 1e3)} µs, p99 ${Math.round(percentile(times, 0.99) * 1e3)} µs`;
  console.log(`a question and its answer over NATS: ${told(natsMs)}; between threads: ${told(threadMs)}; ${HOPS} one after the other`);
}

async function kills(): Promise<void> {
  await using cluster = await RoleCluster.start({ flags: [...FLAGS, ...HEARTBEATS] });
  const url = cluster.urls[0];
  let pushed = 0;
  const pushOnce = async (): Promise<boolean> => {
    const { status } = await push(url, [{ stream: { app: 'kill' }, values: [[String(nowNs()), `line ${pushed}`]] }]).catch(() => ({
      status: 0,
    }));
    if (status !== 204) return false;
    pushed++;
    return true;
  };
  const countOnce = async (): Promise<boolean> => {
    const answer = await get(url, '/loki/api/v1/query', { query: 'sum(count_over_time({app="kill"}[1h]))' }).catch(() => undefined);
    return answer?.status === 200 && Number(JSON.parse(answer.text).data.result[0]?.value[1] ?? 0) >= pushed;
  };
  await until(pushOnce);
  await until(countOnce);
  for (const role of KILLED) {
    const [member] = cluster.of(role);
    const killed = cluster.kill(member);
    const began = performance.now();
    const [pushMs, countMs] = await Promise.all([until(pushOnce), until(countOnce)].map(async (done) => (await done) - began));
    await killed;
    console.log(`${role} killed: first push after ${Math.round(pushMs)} ms, first whole count after ${Math.round(countMs)} ms`);
  }
}

/** When it succeeded, by performance.now(). */
async function until(work: () => Promise<boolean>): Promise<number> {
  while (!(await work())) await sleep(10);
  return performance.now();
}

async function handoff(): Promise<void> {
  const mib = Number(options['handoff-mib']);
  await using cluster = await RoleCluster.start({ flags: [...FLAGS, '-ingester.flush-bytes=1GB', '-ingester.head-ceiling=3GB'] });
  const bodies = bodiesOf(mib * 2 ** 20, rate.pushBytes);
  await pushAll(cluster.urls[0], bodies);
  const [giver] = cluster.of('ingester');
  const ms = await timed(() => cluster.cluster.drain('ingester', giver.instance));
  const tookOver = cluster.output.split('\n').filter((line) => line.includes('handoff') || line.includes('handed over'));
  console.log(`${mb(mib * 2 ** 20)} MB of lines pushed, ${giver.instance} left after ${round(ms / 1e3)} s`);
  for (const line of tookOver) console.log(`  ${line}`);
}

async function idle(): Promise<void> {
  await using cluster = await RoleCluster.start({ flags: HEARTBEATS });
  await sleep(WARM_MS);
  const members = cluster.cluster.state.processes;
  const own = (): number[] => members.map(({ pid }) => cpuSeconds([pid ?? 0]));
  const [before, all] = [own(), cpuSeconds(cluster.pids)];
  await sleep(seconds * 1_000);
  const [after, total] = [own(), cpuSeconds(cluster.pids) - all];
  const share = (s: number): string => `${round((100 * s) / seconds)} %`;
  console.log(`idle for ${seconds} s: ${share(total)} of a core for ${cluster.pids.length} processes, NATS among them`);
  console.log(`  ${members.map(({ instance }: LocalMember, index) => `${instance} ${share(after[index] - before[index])}`).join(', ')}`);
}
