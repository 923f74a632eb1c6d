import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SOAK } from '../support/check-sent.ts';
import { LOAD_TIMEOUT_MS, ROUNDS, underLoad } from '../support/cluster-load.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';

const BROKERS = SOAK ? 3 : 1;
const SESSION_MS = 3_000;
const counts = { distributor: 2, querier: 1, ingester: 3 };

function flagsFor(brokers: KafkaCluster): string[] {
  return [
    '-common.ingest-log=kafka',
    `-kafka.brokers=${brokers.addresses()}`,
    '-kafka.auto-create-topic-default-partitions=8',
    `-kafka.session-timeout=${SESSION_MS}ms`,
    '-compactor.compaction-interval=2s',
  ];
}

test('behind Kafka every ingester is killed at once, distributors and brokers are killed, owners and brokers stand still: every acknowledged entry is found once, and no answer lacks what it says it has', {
  skip: withoutNats || withoutKafka,
  timeout: LOAD_TIMEOUT_MS,
}, async (context) => {
  await using brokers = await KafkaCluster.start({ brokers: BROKERS });
  await using cluster = await RoleCluster.start({ counts, flags: flagsFor(brokers) });
  const anyOf = (role: 'ingester' | 'distributor', random: () => number) => {
    const members = cluster.of(role);
    return members[Math.floor(random() * members.length)];
  };
  /** The others, and several of these, are for the soak. */
  const few: ((random: () => number) => Promise<void>)[] = [
    async () => {
      await Promise.all(cluster.of('ingester').map((one) => cluster.kill(one)));
    },
    async (random) => {
      const broker = Math.floor(random() * BROKERS);
      await brokers.kill(broker);
      await sleep(random() * 1_000);
      await brokers.restart(broker);
    },
    async (random) => {
      const { pid } = anyOf('ingester', random);
      process.kill(pid!, 'SIGSTOP');
      await sleep(SESSION_MS + 1_000); // longer than its session
      process.kill(pid!, 'SIGCONT');
    },
  ];
  const more: typeof few = [
    (random) => cluster.kill(anyOf('distributor', random)),
    async (random) => {
      const broker = Math.floor(random() * BROKERS);
      brokers.signal('SIGSTOP', broker);
      await sleep(3_000 + random() * 12_000); // for longer than others take to become leaders, or not
      brokers.signal('SIGCONT', broker);
    },
    (random) => cluster.kill(anyOf('ingester', random)),
  ];
  await underLoad(
    cluster,
    async (random) => {
      for (let round = 0; round < ROUNDS; round++) {
        for (const disturb of SOAK ? [...few, ...more] : few) {
          await disturb(random);
          await sleep(random() * 1_000);
        }
      }
    },
    (message) => context.diagnostic(message),
  );
});
