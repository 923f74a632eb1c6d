import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { noInstruments } from '../../ops/base/instruments.ts';
import { defaultsOf } from '../../ops/base/options.ts';
import { realWorld } from '../../ops/base/world.ts';
import { kafkaClient } from '../../storage/kafka/client.ts';
import { kafkaOptions } from '../../storage/kafka/options.ts';
import { IngestTopic } from '../../storage/kafka/topic.ts';
import { KafkaLog } from '../../storage/log/kafka.ts';
import { SOAK } from '../support/check-sent.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';

const world = realWorld();
const { log } = noInstruments;

test('a broker stands still: once Kafka has other leaders every partition is written to, and it is known where it ends', {
  skip: withoutKafka || (SOAK ? false : 'three brokers are for the soak'),
  timeout: 240_000,
}, async () => {
  await using brokers = await KafkaCluster.start({ brokers: 3 });
  const options = { ...defaultsOf(kafkaOptions), brokers: brokers.addresses(), topic: 'leaders', autoCreateTopicDefaultPartitions: 6 };
  const topic = new IngestTopic({ client: kafkaClient(options, log), options, world, log, mayCreate: true });
  await topic.ready(AbortSignal.timeout(60_000));
  const over = new AbortController();
  const kafka = new KafkaLog({ options, world, instruments: noInstruments });
  const running = kafka.run(over.signal).catch(() => {});
  while (kafka.writers.length < 6) await sleep(20);
  for (const [broker, round] of [0, 1, 2].entries()) {
    await Promise.all(kafka.writers.map((writer) => writer.append([Buffer.from(`before ${round}`)])));
    brokers.signal('SIGSTOP', broker);
    // At first those are refused whose copies are awaited in vain.
    const written = kafka.writers.map(async (writer) => {
      for (;;) {
        const position = await writer.append([Buffer.from(`while ${round}`)]).catch(() => undefined);
        if (position !== undefined) return position;
        await sleep(50);
      }
    });
    const positions = await Promise.all(written);
    for (;;) {
      const ends = await topic.ends().catch(() => undefined);
      if (ends === undefined) continue;
      assert.ok(positions.every((position, partition) => (ends.get(partition)?.high ?? 0) > position));
      break;
    }
    brokers.signal('SIGCONT', broker);
  }
  over.abort();
  await running;
  await topic.close();
});
