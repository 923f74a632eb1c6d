import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverySent, SOAK, seed } from './check-sent.ts';
import { firstValue, get, nowNs } from './client.ts';
import { Disturbance, SteadyLoad, seededRandom } from './steady-load.ts';

/** Who is asked may stand still. */
const ANSWER_LIMIT_MS = 1_500;
/** Questions are asked until so many were answered, however slow the machine is. */
const LEAST_ANSWERS = 4;
/** How often a disturbance comes. */
export const ROUNDS = SOAK ? 10 : 1;
export const LOAD_TIMEOUT_MS = SOAK ? 1_800_000 : 240_000;

/** The processes of a cluster, by what they are asked for. */
export interface LoadedCluster {
  /** Take pushes and queries. */
  readonly urls: readonly string[];
  /** Flush what they have. */
  readonly flushUrls: readonly string[];
  /** Resolves once all of them do their work. */
  ready(): Promise<unknown>;
}

/** Asks again and again how many entries of a stream there are: never fewer than were acknowledged before the question, or, where an answer says how far it knows what Kafka has, before that. */
class ShortAnswers {
  answers = 0;
  /** How many of the others were answered with which status, or not in time. */
  readonly refusals = new Map<string, number>();
  readonly #loop: Promise<void>;
  #stopped = false;

  constructor(cluster: LoadedCluster, load: SteadyLoad) {
    this.#loop = this.#run(cluster, load);
    this.#loop.catch(() => {}); // stop() reports it
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run({ urls }: LoadedCluster, load: SteadyLoad): Promise<void> {
    const { fromNs, toNs } = load.range;
    const params = { query: `sum(count_over_time({stream="shared"}[${(toNs - fromNs) / 1_000_000_000n}s]))`, time: String(toNs) };
    for (let turn = 0; !this.#stopped || this.answers < LEAST_ANSWERS; turn++) {
      const acknowledged = load.acknowledged.get('shared')?.length ?? 0;
      const answer = await get(urls[turn % urls.length], '/loki/api/v1/query', params, AbortSignal.timeout(ANSWER_LIMIT_MS)).catch(
        () => undefined,
      );
      if (answer?.status === 200) {
        this.answers++;
        const counted = firstValue(answer.text);
        const least = Math.min(acknowledged, known(answer.text, load));
        assert.ok(counted >= least, `an answer of ${counted} entries, ${least} were acknowledged: ${answer.text}`);
      } else {
        const why = answer === undefined ? `no answer in ${ANSWER_LIMIT_MS} ms` : String(answer.status);
        this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
        assert.ok(answer === undefined || answer.status === 429 || answer.status >= 500, `${answer?.status}: ${answer?.text}`);
      }
      await sleep(20);
    }
  }
}

/** Entries of the shared stream that an answer must have, by what it says of Kafka; any number where there is none. */
function known(text: string, load: SteadyLoad): number {
  const { stats } = (JSON.parse(text) as { data: { stats: { buffer?: { watermark: string; unreadPartitions: number } } } }).data;
  if (stats.buffer === undefined) return Number.POSITIVE_INFINITY;
  const { watermark, unreadPartitions } = stats.buffer;
  if (unreadPartitions > 0) return 0;
  const beforeMs = Date.parse(watermark);
  return (load.acknowledged.get('shared') ?? []).filter(({ acknowledgedMs = 0 }) => acknowledgedMs < beforeMs).length;
}

/** Resolves once all that was acknowledged has been read from Kafka. */
async function caughtUp({ urls }: LoadedCluster, load: SteadyLoad): Promise<void> {
  const untilMs = Date.now();
  const params = { query: `sum(count_over_time({app="load"}[1m]))`, time: String(load.range.toNs) };
  for (;;) {
    const { status, text } = await get(urls[0], '/loki/api/v1/query', params);
    const buffer =
      status === 200
        ? (JSON.parse(text) as { data: { stats: { buffer?: { watermark: string; unreadPartitions: number } } } }).data.stats.buffer
        : undefined;
    if (status === 200 && (buffer === undefined || (buffer.unreadPartitions === 0 && Date.parse(buffer.watermark) > untilMs))) return;
    await sleep(100);
  }
}

/** Runs `disturb` under a steady load of pushes, queries and flushes; then every acknowledged entry has to be there once, whoever is asked. `diagnostic` is told what was done. */
export async function underLoad(
  cluster: LoadedCluster,
  disturb: (random: () => number) => Promise<void>,
  diagnostic: (message: string) => void,
): Promise<void> {
  const { urls, flushUrls } = cluster;
  await using load = new SteadyLoad(urls, { clients: 3, seed, endNs: nowNs() });
  const disturbance = new Disturbance(urls, load.range, { queries: 1, flushed: flushUrls });
  const short = new ShortAnswers(cluster, load);
  await sleep(500);
  await disturb(seededRandom(seed));
  await sleep(500);
  await cluster.ready();
  await load.stop();
  await disturbance.stop();
  await short.stop();
  await caughtUp(cluster, load);
  for (const url of urls) await checkEverySent(url, load, `at the end; seed ${seed}`);
  for (const url of cluster.flushUrls) assert.equal((await fetch(`${url}/flush`, { method: 'POST' })).status, 204);
  for (const url of urls) await checkEverySent(url, load, `after a flush; seed ${seed}`);
  const entries = [...load.acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
  diagnostic(
    `${entries} entries in ${load.pushes} pushes, ${load.repeats} of them repeated; ${disturbance.flushes} flushes; counts: ${short.answers} answered${[...short.refusals].map(([why, count]) => `, ${count} × ${why}`).join('')}`,
  );
}
