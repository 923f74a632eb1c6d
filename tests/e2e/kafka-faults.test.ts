import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seed } from '../support/check-sent.ts';
import { allEntries, firstValue, get } from '../support/client.ts';
import { LOAD_TIMEOUT_MS, ROUNDS } from '../support/cluster-load.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { KafkaLoad, valuesIn } from '../support/kafka-load.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';
import { seededRandom } from '../support/steady-load.ts';

const TOPIC = 'records';
const PARTITIONS = 4;
const SESSION_MS = 3_000;
const POLL_MS = 200;
const LIMIT_MS = 120_000;
const counts = { distributor: 2, querier: 1, 'kafka-source': 2 };

test('sources, distributors, ingesters and the broker are killed, sources and the broker stand still: every record is found once, or is a dead letter', {
  skip: withoutNats || withoutKafka,
  timeout: LOAD_TIMEOUT_MS,
}, async (context) => {
  await using brokers = await KafkaCluster.start();
  const kafka = brokers.client();
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }] });
  await admin.disconnect();
  const source = { topics: [TOPIC], group_id: 'faults', format: 'json', labels: { app: TOPIC }, session_timeout: `${SESSION_MS}ms` };
  const flags = [
    `-kafka.brokers=${brokers.addresses()}`,
    `-sources.kafka=${JSON.stringify([source])}`,
    '-compactor.compaction-interval=2s',
  ];
  await using cluster = await RoleCluster.start({ counts, flags });
  const fromNs = BigInt(Date.now() - 1_000) * 1_000_000n;
  const load = new KafkaLoad(kafka, TOPIC, seed);
  const random = seededRandom(seed);
  const anyOf = (role: 'kafka-source' | 'distributor') => {
    const members = cluster.of(role);
    return members[Math.floor(random() * members.length)];
  };
  const disturbances: (() => Promise<void>)[] = [
    () => cluster.kill(anyOf('kafka-source')),
    () => cluster.kill(anyOf('distributor')),
    async () => {
      const [one, other] = cluster.of('ingester'); // of three: nothing is taken meanwhile
      await Promise.all([cluster.kill(one), cluster.kill(other)]);
    },
    async () => {
      const { pid } = anyOf('kafka-source');
      process.kill(pid!, 'SIGSTOP');
      await sleep(SESSION_MS + 1_000); // longer than its session
      process.kill(pid!, 'SIGCONT');
    },
    async () => {
      await brokers.kill();
      await sleep(random() * 1_000);
      await brokers.restart();
    },
    async () => {
      brokers.signal('SIGSTOP');
      await sleep(2_000 + random() * 3_000);
      brokers.signal('SIGCONT');
    },
  ];
  await sleep(1_000);
  for (let round = 0; round < ROUNDS; round++) {
    for (const disturb of disturbances) {
      await disturb();
      await sleep(random() * 1_000);
    }
  }
  await load.stop();
  await cluster.ready();
  const toNs = BigInt(Date.now() + 1_000) * 1_000_000n;
  const [gateway] = cluster.urls;
  const untilMs = Date.now() + LIMIT_MS;
  const count = async (): Promise<number> => {
    const params = { query: `sum(count_over_time({app="${TOPIC}"}[1d]))`, time: String(toNs) };
    const { status, text } = await get(gateway, '/loki/api/v1/query', params);
    return status === 200 ? firstValue(text) : 0;
  };
  let counted = await count();
  while (counted < load.lines.length && Date.now() < untilMs) {
    await sleep(POLL_MS);
    counted = await count();
  }
  const entries = await allEntries(gateway, `{app="${TOPIC}"}`, { fromNs, toNs });
  assert.deepEqual(entries.map(({ line }) => line).sort(), [...load.lines].sort(), cluster.output.slice(-5_000));
  assert.equal(counted, load.lines.length);
  const dead = new Set(await valuesIn(kafka, 'faults.dead-letters'));
  assert.deepEqual(
    load.poison.filter((value) => !dead.has(value)),
    [],
  );
  context.diagnostic(`${load.lines.length} records, ${load.repeats} writes repeated; ${load.poison.length} dead letters; seed ${seed}`);
});
