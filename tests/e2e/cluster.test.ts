import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SOAK } from '../support/check-sent.ts';
import { get, nowNs, push } from '../support/client.ts';
import { HEARTBEAT_TIMEOUT_MS, TestCluster } from '../support/cluster.ts';
import { LOAD_TIMEOUT_MS, ROUNDS, underLoad } from '../support/cluster-load.ts';
import { withoutNats } from '../support/nats.ts';
import type { TestServer } from '../support/server.ts';

type Disturbance = [what: string, disturb: (cluster: TestCluster, random: () => number) => Promise<void>];

/** `roles.test.ts` does the same to single parts: only the soak does it to whole processes too. */
const inSoak: Disturbance[] = [
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
    'each process is stopped and started again',
    async ({ servers }) => {
      for (const server of rounds(servers)) {
        const { code } = await server.stop();
        assert.equal(code, 0, server.process.output);
        await server.restart();
      }
    },
  ],
];

const disturbances: Disturbance[] = [
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

for (const [what, disturb] of SOAK ? [...inSoak, ...disturbances] : disturbances) {
  test(`cluster: ${what}: no answer is short, every acknowledged entry is found exactly once`, {
    skip: withoutNats,
    timeout: LOAD_TIMEOUT_MS,
  }, async (context) => {
    await using cluster = await TestCluster.start();
    await underLoad(
      cluster,
      (random) => disturb(cluster, random),
      (message) => context.diagnostic(message),
    );
  });
}

test('cluster: with two of three processes gone pushes and queries are refused, with a time to come again', {
  skip: withoutNats,
  timeout: LOAD_TIMEOUT_MS,
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
