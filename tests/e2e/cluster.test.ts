import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverySent, SOAK, seed } from '../support/check-sent.ts';
import { get, nowNs, push } from '../support/client.ts';
import { HEARTBEAT_TIMEOUT_MS, TestCluster } from '../support/cluster.ts';
import { withoutNats } from '../support/nats.ts';
import type { TestServer } from '../support/server.ts';
import { Disturbance, SteadyLoad, seededRandom } from '../support/steady-load.ts';

const ROUNDS = SOAK ? 10 : 1;
/** Who is asked may stand still. */
const ANSWER_LIMIT_MS = 1_500;
const TIMEOUT_MS = SOAK ? 1_800_000 : 240_000;

/** Asks again and again how many entries of a stream there are: never fewer than were acknowledged before the question, or it is an error. */
class ShortAnswers {
  answers = 0;
  errors = 0;
  readonly #loop: Promise<void>;
  #stopped = false;

  constructor(cluster: TestCluster, load: SteadyLoad) {
    this.#loop = this.#run(cluster, load);
    this.#loop.catch(() => {}); // stop() reports it
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run({ urls }: TestCluster, load: SteadyLoad): Promise<void> {
    const { fromNs, toNs } = load.range;
    const params = { query: `sum(count_over_time({stream="shared"}[${(toNs - fromNs) / 1_000_000_000n}s]))`, time: String(toNs) };
    for (let turn = 0; !this.#stopped; turn++) {
      const acknowledged = load.acknowledged.get('shared')?.length ?? 0;
      const answer = await get(urls[turn % urls.length], '/loki/api/v1/query', params, AbortSignal.timeout(ANSWER_LIMIT_MS)).catch(
        () => undefined,
      );
      if (answer?.status === 200) {
        this.answers++;
        const { result } = (JSON.parse(answer.text) as { data: { result: { value: [number, string] }[] } }).data;
        const counted = Number(result[0]?.value[1] ?? 0);
        assert.ok(counted >= acknowledged, `an answer of ${counted} entries, ${acknowledged} were acknowledged`);
      } else {
        this.errors++;
        assert.ok(answer === undefined || answer.status === 429 || answer.status >= 500, `${answer?.status}: ${answer?.text}`);
      }
      await sleep(20);
    }
  }
}

/** Runs `disturb` under a steady load of pushes, queries and flushes; then every acknowledged entry has to be there once, whoever is asked. */
async function underLoad(
  disturb: (cluster: TestCluster, random: () => number) => Promise<void>,
  diagnostic: (message: string) => void,
): Promise<void> {
  await using cluster = await TestCluster.start();
  const random = seededRandom(seed);
  const load = new SteadyLoad(cluster.urls, { clients: 3, seed, endNs: nowNs() });
  const disturbance = new Disturbance(cluster.urls, load.range, { queries: 1 });
  const short = new ShortAnswers(cluster, load);
  await sleep(500);
  await disturb(cluster, random);
  await sleep(500);
  await Promise.all(cluster.servers.map((server) => server.ready()));
  await load.stop();
  await disturbance.stop();
  await short.stop();
  for (const url of cluster.urls) await checkEverySent(url, load, `at the end; seed ${seed}`);
  for (const url of cluster.urls) assert.equal((await fetch(`${url}/flush`, { method: 'POST' })).status, 204);
  for (const url of cluster.urls) await checkEverySent(url, load, `after a flush; seed ${seed}`);
  const entries = [...load.acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
  diagnostic(
    `${entries} entries in ${load.pushes} pushes, ${load.repeats} of them repeated; ${disturbance.flushes} flushes; counts: ${short.answers} answered, ${short.errors} refused`,
  );
  assert.ok(short.answers > 3, `${short.answers} counts were answered`);
}

const disturbances: [what: string, disturb: (cluster: TestCluster, random: () => number) => Promise<void>][] = [
  [
    'each process is killed and started again',
    async ({ servers }, random) => {
      for (const server of rounds(servers)) {
        await sleep(random() * 1_000);
        await server.process.kill();
        await sleep(random() * 1_500);
        await server.restart();
      }
    },
  ],
  [
    'each process stands still for longer than its heartbeats may be away',
    async ({ servers }) => {
      for (const server of rounds(servers)) {
        server.process.signal('SIGSTOP');
        await sleep(HEARTBEAT_TIMEOUT_MS + 1_000);
        server.process.signal('SIGCONT');
        await sleep(500);
      }
    },
  ],
  [
    'each process is stopped and started again',
    async ({ servers }) => {
      for (const server of rounds(servers)) {
        const { code } = await server.stop();
        assert.equal(code, 0, server.process.output);
        await server.restart();
      }
    },
  ],
  [
    'the NATS server is killed and started again',
    async ({ nats }, random) => {
      for (let round = 0; round < 2 * ROUNDS; round++) {
        await nats.kill();
        await sleep(random() * 2_000);
        await nats.restart();
        await sleep(2_000);
      }
    },
  ],
];

function rounds(servers: readonly TestServer[]): TestServer[] {
  return Array.from({ length: ROUNDS }, () => servers).flat();
}

for (const [what, disturb] of disturbances) {
  test(
    `cluster: ${what}: no answer is short, every acknowledged entry is found exactly once`,
    { skip: withoutNats, timeout: TIMEOUT_MS },
    (context) => underLoad(disturb, (message) => context.diagnostic(message)),
  );
}

test('cluster: with two of three processes gone pushes and queries are refused, with a time to come again', {
  skip: withoutNats,
  timeout: TIMEOUT_MS,
}, async () => {
  await using cluster = await TestCluster.start();
  const [first, second, third] = cluster.servers;
  const stream = (line: string) => [{ stream: { app: 'a' }, values: [[String(nowNs()), line]] as [string, string][] }];
  assert.equal((await push(first.url, stream('before'))).status, 204);
  await second.process.kill();
  assert.equal((await push(first.url, stream('one is gone'))).status, 204);
  await third.process.kill();
  const refused = await push(first.url, stream('two are gone'));
  assert.equal(refused.status, 503, refused.text);
  const unanswered = await fetch(`${first.url}/loki/api/v1/query?query=${encodeURIComponent('count_over_time({app="a"}[1h])')}`);
  assert.equal(unanswered.status, 503);
  assert.ok(Number(unanswered.headers.get('retry-after')) > 0);
  await second.restart();
  const { text } = await get(first.url, '/loki/api/v1/query', { query: 'sum(count_over_time({app="a"} != "two"[1h]))' });
  assert.equal(JSON.parse(text).data.result[0].value[1], '2');
});
