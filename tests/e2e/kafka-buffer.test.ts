import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOAD_TIMEOUT_MS, ROUNDS, underLoad } from '../support/cluster-load.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';

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

test('behind Kafka every ingester is killed at once, one after the other, and stands still: every acknowledged entry is found once, and no answer lacks what it says it has', {
  skip: withoutNats || withoutKafka,
  timeout: LOAD_TIMEOUT_MS,
}, async (context) => {
  await using brokers = await KafkaCluster.start();
  await using cluster = await RoleCluster.start({ counts, flags: flagsFor(brokers) });
  await underLoad(
    cluster,
    async (random) => {
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all(cluster.of('ingester').map((one) => cluster.kill(one)));
        await sleep(random() * 1_000);
        for (const one of cluster.of('ingester')) await cluster.kill(one);
        const [{ pid }] = cluster.of('ingester');
        process.kill(pid!, 'SIGSTOP');
        await sleep(SESSION_MS + 1_000); // longer than its session
        process.kill(pid!, 'SIGCONT');
        await sleep(random() * 1_000);
      }
    },
    (message) => context.diagnostic(message),
  );
});
