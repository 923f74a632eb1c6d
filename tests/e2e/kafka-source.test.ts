import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Kafka, type Message } from 'kafkajs';
import { type ConsumerListener, consumeGroup, type GroupOptions } from '../../actors/source/consumer.ts';
import type { SourceRecord } from '../../actors/source/record.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { defaultsOf } from '../../ops/base/options.ts';
import { realWorld } from '../../ops/base/world.ts';
import { kafkaServer } from '../../ops/cluster/kafka-server.ts';
import { kafkaClient } from '../../storage/kafka/client.ts';
import { type KafkaOptions, kafkaOptions } from '../../storage/kafka/options.ts';
import { allEntries, get } from '../support/client.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { readTopic } from '../support/kafka-load.ts';
import { kafkaFlags } from '../support/kafka-secured.ts';
import { TestServer } from '../support/server.ts';

const POLL_MS = 50;
const LIMIT_MS = 60_000;
const SOURCES = `
sources:
  kafka:
    - topics: [app-json]
      group_id: json
      format: json
      labels: {app: json}
      labels_from_fields: {level: level}
      label_from_key: shop
      line_field: msg
      timestamp_field: at
      timestamp_format: unix_ms
      metadata_from_headers: {trace_id: trace-id}
    - topics: [app-text]
      group_id: text
      labels: {app: text}
    - topics: [app-told-apart]
      group_id: told-apart
      labels: {app: told-apart}
      distinct: true
    - topics: [app-otlp]
      group_id: otlp
      format: otlp
    - topics: [app-loki]
      group_id: loki
      format: loki-push
    - topics: [app-poison]
      group_id: poison
      format: json
      labels: {app: poison}
`;

let cluster: KafkaCluster;
let kafka: Kafka;
let server: TestServer;
let folder: string;
const startMs = Date.now();
const range = { fromNs: BigInt(startMs - 3_600_000) * 1_000_000n, toNs: BigInt(startMs + 3_600_000) * 1_000_000n };

if (!withoutKafka) {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-source-'));
    const file = join(folder, 'millrace.yaml');
    writeFileSync(file, SOURCES);
    cluster = await KafkaCluster.start({ secured: true, properties: ['auto.create.topics.enable=false'] });
    kafka = cluster.client();
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({
      topics: ['app-json', 'app-text', 'app-told-apart', 'app-otlp', 'app-loki', 'app-poison'].map((topic) => ({
        topic,
        numPartitions: 2,
      })),
    });
    await admin.disconnect();
    const [listener] = cluster.secured;
    const flags = [`-config.file=${file}`, `-kafka.brokers=${cluster.addresses(listener)}`, ...kafkaFlags(listener.right)];
    server = await TestServer.start({ flags });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
}

async function produce(topic: string, messages: Message[], compression = kafkajs.CompressionTypes.None): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages, compression });
  await producer.disconnect();
}

async function found(query: string, count: number): Promise<Awaited<ReturnType<typeof allEntries>>> {
  const untilMs = Date.now() + LIMIT_MS;
  for (;;) {
    const entries = await allEntries(server.url, query, range);
    if (entries.length >= count || Date.now() > untilMs) return entries;
    await sleep(POLL_MS);
  }
}

test('records of JSON become entries, with what is mapped; those that never can are dead letters', { skip: withoutKafka }, async () => {
  const value = (parts: object): string => JSON.stringify({ at: startMs, level: 'info', msg: 'hello', ...parts });
  await produce('app-json', [
    { key: 'shop-1', value: value({ msg: 'first' }), headers: { 'trace-id': 't-1' } },
    { key: 'shop-1', value: value({ msg: 'second', level: 'error' }) },
    { key: 'shop-1', value: 'no JSON', headers: { own: 'mine' } },
    { key: 'shop-1', value: value({ msg: 'too old', at: startMs - 30 * 86_400_000 }) },
    { key: 'shop-1', value: value({ msg: 'first' }), headers: { 'trace-id': 't-1' } }, // once more
    { key: 'shop-1', value: value({ msg: 'last' }) },
  ]);
  const entries = await found('{app="json", shop="shop-1"}', 3);
  assert.deepEqual(entries.map(({ line, labels }) => [line, labels.level, labels.trace_id ?? '']).sort(), [
    ['first', 'info', 't-1'],
    ['last', 'info', ''],
    ['second', 'error', ''],
  ]);
  assert.ok(entries.every(({ timeNs }) => timeNs === BigInt(startMs) * 1_000_000n));

  const dead = await readTopic(kafka, 'json.dead-letters', 2);
  assert.deepEqual(
    dead.map(({ value }) => value?.toString()).sort(),
    [value({ msg: 'too old', at: startMs - 30 * 86_400_000 }), 'no JSON'].sort(),
  );
  const [one] = dead.filter((letter) => letter.value?.toString() === 'no JSON');
  const headers = Object.fromEntries(Object.entries(one.headers ?? {}).map(([name, text]) => [name, String(text)]));
  assert.equal(one.key?.toString(), 'shop-1');
  assert.match(headers['millrace-reason'], /^not json: /);
  assert.deepEqual([headers.own, headers['millrace-topic'], headers['millrace-offset']], ['mine', 'app-json', '2']);
});

test('dead letters that are more at once than the broker takes, or larger, hold up nothing', { skip: withoutKafka }, async () => {
  const many = Array.from({ length: 6_000 }, (_, number) => `no JSON ${number} ${'x'.repeat(200)}`);
  const large = `no JSON ${'x'.repeat(2_000_000)}`;
  const messages = [...many, large].map((value) => ({ value, partition: 0 }));
  await produce('app-poison', messages, kafkajs.CompressionTypes.GZIP);
  await produce('app-poison', [{ value: '{"msg":"after"}', partition: 0 }]);
  assert.equal((await found('{app="poison"} |= "after"', 1)).length, 1);
  const dead = await readTopic(kafka, 'poison.dead-letters', many.length + 1);
  const [cut, ...whole] = dead.sort((one, other) => Number(other.value?.length) - Number(one.value?.length));
  assert.deepEqual(whole.map(({ value }) => String(value)).sort(), many.sort());
  assert.equal(String(cut.headers?.['millrace-truncated']), String(large.length));
  assert.ok(large.startsWith(String(cut.value)) && Number(cut.value?.length) > 500_000);
});

for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
  test(`records of a producer in Java, compressed with ${codec}, are found`, { skip: withoutKafka }, async () => {
    const lines = Array.from({ length: 200 }, (_, number) => `${codec} ${number} ${'x'.repeat(number)}`);
    const args = ['--bootstrap-server', cluster.addresses().join(','), '--topic', 'app-text', '--compression-codec', codec];
    const child = spawn('java', (await kafkaServer()).tool('org.apache.kafka.tools.ConsoleProducer', args), {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stdin.end(`${lines.join('\n')}\n`);
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, output);
    const entries = await found(`{app="text"} |= "${codec} "`, lines.length);
    assert.deepEqual(entries.map(({ line }) => line).sort(), lines.sort());
  });
}

test('equal records count once, unless they are to be told apart', { skip: withoutKafka }, async () => {
  const same = { value: 'same', timestamp: String(startMs), partition: 1 };
  const messages: Message[] = [same, same, { ...same, partition: 0 }];
  await produce('app-text', messages);
  await produce('app-told-apart', messages);
  const entries = await found('{app="told-apart"}', 3);
  assert.deepEqual(entries.map(({ labels }) => `${labels.kafka_partition}/${labels.kafka_offset}`).sort(), ['0/0', '1/0', '1/1']);
  await produce('app-text', [
    { value: 'same, later', timestamp: String(startMs), partition: 1 },
    { value: 'same, later', partition: 0, timestamp: String(startMs + 1) },
  ]);
  assert.equal((await found('{app="text"} |= "later"', 2)).length, 2);
  assert.equal((await found('{app="text"} |= "same" != "later"', 1)).length, 1);
});

test('requests of OTLP and pushes of Loki are taken as they are', { skip: withoutKafka }, async () => {
  const attribute = (key: string, text: string) => ({ key, value: { stringValue: text } });
  const resourceLogs = [
    {
      resource: { attributes: [attribute('service.name', 'otlp-app')] },
      scopeLogs: [
        {
          logRecords: [
            { body: { stringValue: 'no time of its own' } },
            { timeUnixNano: String(startMs * 1e6), body: { stringValue: 'timed' } },
          ],
        },
      ],
    },
  ];
  const sentMs = startMs - 1_000_000;
  await produce('app-otlp', [{ value: JSON.stringify({ resourceLogs }), timestamp: String(sentMs) }]);
  const entries = await found('{service_name="otlp-app"}', 2);
  assert.deepEqual(
    entries.map(({ line, timeNs }) => [line, timeNs]),
    [
      ['no time of its own', BigInt(sentMs) * 1_000_000n],
      ['timed', BigInt(startMs) * 1_000_000n],
    ],
  );
  const streams = [{ stream: { app: 'pushed' }, values: [[String(startMs * 1e6), 'pushed']] }];
  await produce('app-loki', [{ value: JSON.stringify({ streams }) }, { value: 'nothing' }]);
  assert.equal((await found('{app="pushed"}', 1)).length, 1);
  const [dead] = await readTopic(kafka, 'loki.dead-letters', 1);
  assert.equal(dead.value?.toString(), 'nothing');
});

/** What a consumer of its own reads, until `isDone`; and what it tells. */
async function consumed(
  options: Partial<GroupOptions> & Pick<GroupOptions, 'topics'>,
  isDone: (seen: { values: string[]; told: string[] }) => boolean,
  onWait: () => Promise<void> = async () => {},
): Promise<{ values: string[]; told: string[] }> {
  const seen = { values: [] as string[], told: [] as string[] };
  const ended = new AbortController();
  const listener: ConsumerListener = {
    waits: (why) => why !== undefined && seen.told.push(`waits: ${why}`),
    assigned: () => {},
    lag: () => {},
    delivered: () => {},
    paused: () => {},
    lost: (_topic, partition, count) => seen.told.push(`lost ${count} of ${partition}`),
  };
  const deliver = async (records: readonly SourceRecord[]) => {
    seen.values.push(...records.map(({ value }) => String(value)));
    return { taken: records.length, dead: [] };
  };
  const group = {
    groupId: options.topics[0],
    startAt: 'earliest',
    deadLetterTopic: 'unused.dead-letters',
    sessionTimeoutMs: 6_000,
    ...options,
  } as const;
  const client = kafkaClient({ ...defaultsOf(kafkaOptions), brokers: cluster.addresses() }, noInstruments.log);
  const consuming = consumeGroup(group, { client, world: realWorld(), log: noInstruments.log, deliver, listener }, ended.signal);
  const untilMs = Date.now() + LIMIT_MS;
  while (!isDone(seen) && Date.now() < untilMs) {
    await onWait();
    await sleep(POLL_MS);
  }
  ended.abort();
  await consuming;
  return seen;
}

async function makeTopic(topic: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  await admin.disconnect();
}

test('records that Kafka deleted before they were read are told of, the others are read', { skip: withoutKafka }, async () => {
  const topic = 'deleted';
  await makeTopic(topic);
  await produce(topic, [{ value: '0' }, { value: '1' }]);
  assert.deepEqual((await consumed({ topics: [topic] }, ({ values }) => values.length === 2)).values, ['0', '1']);
  await produce(
    topic,
    [2, 3, 4, 5].map((number) => ({ value: String(number) })),
  );
  const admin = kafka.admin();
  await admin.connect();
  await admin.fetchTopicOffsets(topic); // or the client does not know of the topic
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] });
  await admin.disconnect();
  const { values, told } = await consumed({ topics: [topic] }, (seen) => seen.values.length > 0 && seen.told.length > 0);
  assert.deepEqual([values, told], [['5'], ['lost 3 of 0']]);
});

test('a group that begins at the latest records reads what comes from then on, and goes on where it was', {
  skip: withoutKafka,
}, async () => {
  const topic = 'latest';
  await makeTopic(topic);
  await produce(topic, [{ value: 'before' }]);
  let sent = 0;
  const { values } = await consumed(
    { topics: [topic], startAt: 'latest' },
    (seen) => seen.values.length > 0,
    () => produce(topic, [{ value: `after ${sent++}` }]),
  );
  assert.ok(!values.includes('before'));
  await produce(topic, [{ value: 'between' }]);
  const next = await consumed({ topics: [topic], startAt: 'latest' }, (seen) => seen.values.includes('between'));
  assert.ok(!next.values.includes('before') && next.values.includes('between'));
});

test('a topic that is not there yet is waited for', { skip: withoutKafka }, async () => {
  const topic = 'not-yet';
  let made = false;
  const { values, told } = await consumed(
    { topics: [topic] },
    (seen) => seen.values.length > 0,
    async () => {
      if (made) return;
      made = true;
      await sleep(500);
      await makeTopic(topic);
      await produce(topic, [{ value: 'there' }]);
    },
  );
  assert.deepEqual(values, ['there']);
  assert.equal(told[0], 'waits: there is no topic not-yet');
});

test('what a source does is told in metrics and in the list of services', { skip: withoutKafka }, async () => {
  const metrics = (await get(server.url, '/metrics')).text;
  assert.match(metrics, /millrace_kafka_source_records_total\{[^}]*topic="app-json"[^}]*\} \d+/);
  assert.match((await get(server.url, '/kafka-source/ring')).text, /ACTIVE/);
});

test('brokers are reached by TLS and by each way to prove who one is, and by nobody who cannot', { skip: withoutKafka }, async () => {
  for (const listener of cluster.secured) {
    const { what, right, wrong } = listener;
    const options = (own: Partial<KafkaOptions>): KafkaOptions => ({
      ...defaultsOf(kafkaOptions),
      brokers: cluster.addresses(listener),
      ...own,
    });
    const admin = kafkaClient(options(right), noInstruments.log).admin();
    await admin.connect();
    assert.ok((await admin.listTopics()).includes('app-json'), what);
    await admin.disconnect();
    const refused = kafkaClient(options(wrong), noInstruments.log).admin({ retry: { retries: 0 } });
    await assert.rejects(refused.connect(), what);
  }
});
