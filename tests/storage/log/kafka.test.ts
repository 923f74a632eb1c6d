import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type ISocketFactory } from 'kafkajs';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { type ConnectKafka, kafkaClient } from '../../../storage/kafka/client.ts';
import { registerCodecs } from '../../../storage/kafka/codecs.ts';
import { type KafkaOptions, kafkaOptions } from '../../../storage/kafka/options.ts';
import { IngestTopic } from '../../../storage/kafka/topic.ts';
import { KafkaLog } from '../../../storage/log/kafka.ts';
import { isFault } from '../../support/checks.ts';
import { KafkaCluster, withoutKafka } from '../../support/kafka.ts';
import { readTopic } from '../../support/kafka-load.ts';
import { logWriterSuite } from '../../support/log-suite.ts';

const world = realWorld();
const { log } = noInstruments;
const AWAY_MS = 300;
let brokers: KafkaCluster;
let topics = 0;
const opening = new Set<AbortController>();

before(async () => {
  if (!withoutKafka) brokers = await KafkaCluster.start({ secured: true });
});
after(async () => {
  for (const over of opening) over.abort(); // of a test that failed
  if (!withoutKafka) await brokers[Symbol.asyncDispose]();
});

function optionsFor(topic: string): KafkaOptions {
  return {
    ...defaultsOf(kafkaOptions),
    brokers: brokers.addresses(),
    topic,
    autoCreateTopicDefaultPartitions: 1,
    producerMaxRecordSizeBytes: 4_096,
    writeTimeout: 20_000,
  };
}

/** A client whose connections the test breaks: of what comes next nothing arrives, and nobody is reached for a while. */
class BreakableLine {
  #isBreaking = false;
  #isAway = false;

  /** The next answer is lost. */
  break(): void {
    this.#isBreaking = true;
  }

  readonly connect: ConnectKafka = ({ brokers: addresses }) => {
    const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
      const socket = connect({ host, port: this.#isAway ? 1 : port }, onConnect); // nobody listens there
      const emit = socket.emit.bind(socket);
      socket.emit = (event: string, ...values: unknown[]) => {
        if (event !== 'data' || !this.#isBreaking) return emit(event, ...values);
        this.#isBreaking = false;
        this.#isAway = true;
        setTimeout(() => {
          this.#isAway = false;
        }, AWAY_MS);
        socket.destroy();
        return emit('end');
      };
      return socket;
    };
    registerCodecs();
    return new kafkajs.Kafka({ brokers: [...addresses], logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 0 }, socketFactory });
  };
}

/** Resolves once it has writers. */
async function opened(options: KafkaOptions, connect?: ConnectKafka): Promise<{ log: KafkaLog; close: () => Promise<void> }> {
  const topic = new IngestTopic({ client: kafkaClient(options, log), options, world, log, mayCreate: true });
  await topic.ready(AbortSignal.timeout(60_000));
  await topic.close();
  const over = new AbortController();
  opening.add(over);
  const kafka = new KafkaLog({ options, world, instruments: noInstruments, connect });
  const running = kafka.run(over.signal).catch(() => {});
  while (kafka.writers.length === 0) await sleep(20);
  return {
    log: kafka,
    close: async () => {
      over.abort();
      await running;
    },
  };
}

logWriterSuite(
  'a partition of Kafka',
  async () => {
    const options = optionsFor(`suite-${++topics}`);
    let count = 0;
    return {
      async open() {
        const { log: kafka, close } = await opened(options);
        const [writer] = kafka.writers;
        return {
          async append(parts) {
            const position = await writer.append(parts);
            count = Math.max(count, position + 1);
            return position;
          },
          async close() {
            await writer.close();
            await close();
          },
        };
      },
      async records(from = 0) {
        const messages = await readTopic(brokers.client(), options.topic, count);
        return messages
          .map(({ offset, value }) => ({ kind: 'record' as const, position: Number(offset), bytes: Buffer.from(value ?? '') }))
          .filter(({ position }) => position >= from);
      },
    };
  },
  { skip: withoutKafka },
);

test('the topic is made with what an ingest log needs, and one that is not so is not used, with the reasons', {
  skip: withoutKafka,
}, async () => {
  const admin = brokers.client().admin();
  await admin.connect();
  const options = { ...optionsFor('made'), autoCreateTopicDefaultPartitions: 3 };
  const { log: kafka, close } = await opened(options);
  assert.equal(kafka.writers.length, 3);
  await close();

  const compacted = { ...options, topic: 'compacted' };
  await admin.createTopics({ topics: [{ topic: 'compacted', configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }] });
  const missing = { ...options, topic: 'missing', autoCreateTopicEnabled: false };
  for (const [wrong, why] of [
    [compacted, /cannot be an ingest log: cleanup.policy is compact.*message.timestamp.type is CreateTime/],
    [missing, /there is no topic missing, and -kafka.auto-create-topic-enabled=false/],
  ] as const) {
    const over = new AbortController();
    const topic = new IngestTopic({ client: kafkaClient(wrong, log), options: wrong, world, log, mayCreate: true });
    const ready = topic.ready(over.signal).catch(() => {});
    while (topic.waitsFor === 'connects to Kafka') await sleep(20);
    assert.match(topic.waitsFor, why);
    over.abort();
    await ready;
    await topic.close();
  }
  await admin.disconnect();
});

test('records are written by TLS and SASL', { skip: withoutKafka }, async () => {
  for (const listener of brokers.secured) {
    const options = { ...optionsFor('secured'), brokers: brokers.addresses(listener), ...listener.right };
    const { log: kafka, close } = await opened(options);
    assert.ok((await kafka.writers[0].append([Buffer.from(listener.name)])) >= 0);
    await close();
  }
});

test('a write whose answer is lost is in doubt, and is in the log once', { skip: withoutKafka }, async () => {
  const line = new BreakableLine();
  const options = optionsFor('broken-line');
  const { log: kafka, close } = await opened(options, line.connect);
  const [writer] = kafka.writers;
  assert.equal(await writer.append([Buffer.from('first')]), 0);
  line.break();
  await assert.rejects(writer.append([Buffer.from('second')]), isFault('in_doubt'));
  while (writer.broken !== undefined) await sleep(20);
  const position = await writer.append([Buffer.from('third')]);
  const texts = (await readTopic(brokers.client(), options.topic, position + 1)).map(({ value }) => String(value));
  assert.deepEqual(
    texts.filter((text) => !text.startsWith('MRP1')), // probes are there too
    ['first', 'second', 'third'],
  );
  await close();
});

test('partitions that a topic gets later are written to, and it is known where they end', { skip: withoutKafka }, async () => {
  const options = optionsFor('grows');
  const { log: kafka, close } = await opened(options);
  await kafka.writers[0].append([Buffer.from('before')]);
  const topic = new IngestTopic({ client: kafkaClient(options, log), options, world, log, mayCreate: false });
  assert.equal((await topic.ends()).size, 1);
  const admin = brokers.client().admin();
  await admin.connect();
  await admin.createPartitions({ topicPartitions: [{ topic: options.topic, count: 3 }] });
  await admin.disconnect();
  // A partition has no leader for a moment.
  while ((await topic.ends().catch(() => new Map())).size < 3) await sleep(20);
  while (kafka.writers.length < 3) await sleep(20);
  assert.deepEqual(await Promise.all(kafka.writers.map((writer) => writer.append([Buffer.from('after')]))), [1, 0, 0]);
  assert.deepEqual(
    new Map([...(await topic.ends())].map(([partition, { high }]) => [partition, high])),
    new Map([
      [0, 2],
      [1, 1],
      [2, 1],
    ]),
  );
  await topic.close();
  await close();
});
