// Kafka in front of ingesters: npm run bench -- --buffer [--mb-per-s 5] [--push-kb 100] [--seconds 30] [--backlog-mib 2048] [--brokers 1] [--only PART]
// Parts: `push` (CPU seconds of all processes for each GB of lines, and how long pushes take, at a steady rate, with three copies and with Kafka in front), `replay` (all ingesters stand still, then are killed, while a
// backlog is pushed: how fast it is read, with how much memory, and what queries are told meanwhile), `moves` (the longest time that a partition is not read while an ingester joins, leaves, or is killed).
// All on this machine, beside the load; brokers are told of apart.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { get } from '../support/client.ts';
import { KafkaCluster } from '../support/kafka.ts';
import { RoleCluster } from '../support/role-cluster.ts';
import { LIFTED } from './lifted.ts';
import { NOT_COMPACTING, pushAll } from './load.ts';
import { mb, median, p99, round, timed } from './measure.ts';
import { bodiesOf, steadyCost, steadyPushes } from './steady.ts';

const { values: options } = parseArgs({
  options: {
    buffer: { type: 'boolean' },
    'mb-per-s': { type: 'string', default: '5' },
    'push-kb': { type: 'string', default: '100' },
    seconds: { type: 'string', default: '30' },
    'backlog-mib': { type: 'string', default: '2048' },
    brokers: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const rate = { pushBytes: Number(options['push-kb']) * 1e3, mbPerS: Number(options['mb-per-s']) };
const seconds = Number(options.seconds);
const SESSION_MS = 10_000;
const FLAGS = [...LIFTED, ...NOT_COMPACTING];
const HEARTBEATS = ['-common.storage.ring.heartbeat-period=5s', '-common.storage.ring.heartbeat-timeout=1m'];
const BACKLOG_PUSH_BYTES = 1e6;
const LOOK_MS = 50;

/** For how long the partition was not read that waits the longest. */
class Ages {
  longestS = 0;
  readonly #cluster: RoleCluster;
  readonly #newest = new Map<number, number>();
  #isStopped = false;

  constructor(cluster: RoleCluster) {
    this.#cluster = cluster;
    void this.#look();
  }

  forget(): void {
    this.longestS = 0;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #look(): Promise<void> {
    while (!this.#isStopped) {
      await Promise.all(
        this.#cluster.of('ingester').map(async ({ http, pid }) => {
          const answer =
            pid === undefined ? undefined : await get(http, '/ingest-log', {}, AbortSignal.timeout(1_000)).catch(() => undefined);
          if (answer?.status !== 200) return;
          const { partitions } = JSON.parse(answer.text) as { partitions: { partition: number; watermarkMs: number }[] };
          for (const { partition, watermarkMs } of partitions)
            this.#newest.set(partition, Math.max(watermarkMs, this.#newest.get(partition) ?? 0));
        }),
      );
      const nowMs = Date.now();
      for (const watermarkMs of this.#newest.values())
        if (watermarkMs > 0) this.longestS = Math.max(this.longestS, (nowMs - watermarkMs) / 1e3);
      await sleep(LOOK_MS);
    }
  }
}

const parts: Readonly<Record<string, () => Promise<void>>> = { push: pushes, replay, moves };
for (const [name, measure] of Object.entries(parts)) if (options.only === undefined || options.only === name) await measure();

function buffered(brokers: KafkaCluster): string[] {
  return ['-common.ingest-log=kafka', `-kafka.brokers=${brokers.addresses()}`, `-kafka.session-timeout=${SESSION_MS}ms`];
}

async function pushes(): Promise<void> {
  console.log(`pushes of ${options['push-kb']} KB of lines, ${options['mb-per-s']} MB/s for ${seconds} s`);
  {
    await using cluster = await RoleCluster.start({ flags: [...FLAGS, ...HEARTBEATS] });
    await steadyCost('three copies', cluster.urls[0], () => cluster.pids, { rate, seconds });
  }
  await using brokers = await KafkaCluster.start({ brokers: Number(options.brokers) });
  await using cluster = await RoleCluster.start({ flags: [...FLAGS, ...HEARTBEATS, ...buffered(brokers)] });
  await steadyCost('behind Kafka', cluster.urls[0], () => cluster.pids, { rate, seconds, beside: brokers.pids });
}

interface Told {
  readonly warnings: number;
  readonly behindS: number;
  readonly count: number;
  readonly tookMs: number;
}

/** What a count is answered; undefined: nothing. */
async function counted(url: string): Promise<Told | undefined> {
  const began = performance.now();
  const answer = await get(url, '/loki/api/v1/query', { query: 'sum(count_over_time({app="steady"}[3h]))' }).catch(() => undefined);
  if (answer?.status !== 200) return undefined;
  const { warnings = [], data } = JSON.parse(answer.text);
  const { buffer } = data.stats;
  return {
    warnings: warnings.length,
    behindS: buffer.behindSeconds,
    count: Number(data.result[0]?.value[1] ?? 0),
    tookMs: performance.now() - began,
  };
}

async function replay(): Promise<void> {
  const bytes = Number(options['backlog-mib']) * 2 ** 20;
  await using brokers = await KafkaCluster.start({ brokers: Number(options.brokers) });
  // A count of all needs the heads of all ingesters at once.
  const flags = [...FLAGS, ...buffered(brokers), '-querier.max-query-memory=512MB'];
  await using cluster = await RoleCluster.start({ flags });
  const [url] = cluster.urls;
  for (const { pid } of cluster.of('ingester')) process.kill(pid!, 'SIGSTOP');
  const pushedMs = await timed(() => pushAll(url, bodiesOf(bytes, BACKLOG_PUSH_BYTES)));
  console.log(`${mb(bytes)} MB of lines pushed with no ingester there, ${round(bytes / 1e3 / pushedMs)} MB/s`);
  for (const { pid } of cluster.of('ingester')) process.kill(pid!, 'SIGKILL');
  const asked: Told[] = [];
  let refused = 0;
  let peak = 0;
  let firstMs: number | undefined;
  const began = performance.now();
  for (;;) {
    const told = await counted(url);
    peak = Math.max(peak, ...cluster.of('ingester').map(({ pid }) => (pid === undefined ? 0 : peakMemory(pid))));
    if (told === undefined) refused++;
    else {
      asked.push(told);
      if (told.count > 0) firstMs ??= performance.now() - began;
      if (told.warnings === 0) break;
    }
    await sleep(LOOK_MS);
  }
  const ms = performance.now() - began;
  const readMs = ms - (firstMs ?? 0);
  const times = asked.map(({ tookMs }) => tookMs);
  console.log(
    `read by three ingesters after ${round(ms / 1e3)} s, ${round(bytes / 1e3 / readMs)} MB/s from the first that was seen on; peak memory of one ${mb(peak)} MB`,
  );
  console.log(
    `counts meanwhile: ${asked.length} answered, ${asked.filter(({ warnings }) => warnings > 0).length} with a warning, ${refused} refused; p50 ${round(median(times))} ms, p99 ${p99(times)} ms; ${asked.at(-1)?.count} entries at last`,
  );
}

/** In bytes. */
function peakMemory(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;
  } catch {
    return 0; // it is gone
  }
}

async function moves(): Promise<void> {
  await using brokers = await KafkaCluster.start({ brokers: Number(options.brokers) });
  await using cluster = await RoleCluster.start({ flags: [...FLAGS, ...HEARTBEATS, ...buffered(brokers)] });
  const [url] = cluster.urls;
  const stop = new AbortController();
  const pushing = steadyPushes(url, rate, stop.signal);
  const ages = new Ages(cluster);
  await sleep(10_000);
  const during = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    ages.forget();
    await work();
    await sleep(SESSION_MS + 5_000);
    console.log(`${what}: a partition was not read for ${round(ages.longestS)} s at most`);
  };
  await during('nothing happens', async () => {});
  await during('an ingester joins', () => cluster.cluster.add('ingester'));
  await during('an ingester leaves', () => cluster.cluster.drain('ingester'));
  await during('an ingester is killed', () => cluster.kill(cluster.of('ingester')[0]));
  ages.stop();
  stop.abort();
  const times = (await pushing).map(({ tookMs }) => tookMs);
  console.log(`pushes meanwhile: p50 ${round(median(times))} ms, p99 ${p99(times)} ms of ${times.length}`);
}
