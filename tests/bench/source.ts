// How fast a backlog in a topic of Kafka is taken in: npm run bench -- --source [--mib 256] [--partitions 4]
// Lines of the corpus as JSON records with a label and the line in fields, as text records, and, for comparison, as pushes over HTTP to the same server; the broker is on this machine, its CPU time is not counted.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Kafka } from 'kafkajs';
import { metric } from '../support/client.ts';
import { KafkaCluster } from '../support/kafka.ts';
import { TestServer } from '../support/server.ts';
import { lineMaker } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { NOT_COMPACTING, pushAll } from './load.ts';
import { cpuSeconds, mb, round, timed } from './measure.ts';
import { bodiesOf } from './steady.ts';

const { values } = parseArgs({
  options: { source: { type: 'boolean' }, mib: { type: 'string', default: '256' }, partitions: { type: 'string', default: '4' } },
});
const bytes = Number(values.mib) * 2 ** 20;
const SEND_BYTES = 500_000;
const PUSH_BYTES = 500_000;
const POLL_MS = 20;

const formats = {
  json: {
    value: (line: string) => JSON.stringify({ level: 'info', msg: line }),
    options: { format: 'json', labels_from_fields: { level: 'level' }, line_field: 'msg' },
  },
  text: { value: (line: string) => line, options: {} },
};

await using brokers = await KafkaCluster.start({ properties: ['message.max.bytes=4000000'] });
for (const [format, { value, options }] of Object.entries(formats)) {
  const topic = `bench-${format}`;
  const { records, lineBytes } = await backlog(brokers.client(), topic, value);
  const source = { topics: [topic], group_id: topic, labels: { app: format }, ...options };
  const flags = [...LIFTED, ...NOT_COMPACTING, `-kafka.brokers=${brokers.addresses()}`, `-sources.kafka=${JSON.stringify([source])}`];
  await using server = await TestServer.start({ flags });
  const ms = await timed(async () => {
    while ((await metric(server.url, 'millrace_kafka_source_records_total')) < records) await sleep(POLL_MS);
  });
  tell(`${format}: ${records} records, ${mb(lineBytes)} MB of lines`, ms, lineBytes, server);
}
{
  await using server = await TestServer.start({ flags: [...LIFTED, ...NOT_COMPACTING] });
  const ms = await timed(() => pushAll(server.url, bodiesOf(bytes, PUSH_BYTES)));
  tell(`pushes over HTTP: ${mb(bytes)} MB of lines`, ms, bytes, server);
}

/** The process's start is within its CPU time, not within the time. */
function tell(what: string, ms: number, lineBytes: number, { process }: TestServer): void {
  const cpuS = cpuSeconds([process.pid]);
  console.log(
    `${what}: ${round(lineBytes / 1e3 / ms)} MB/s, ${round(cpuS / (lineBytes / 1e9))} CPU s per GB, peak memory ${mb(process.peakMemory())} MB`,
  );
}

async function backlog(kafka: Kafka, topic: string, value: (line: string) => string): Promise<{ records: number; lineBytes: number }> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: Number(values.partitions) }] });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  const line = lineMaker(1);
  const startMs = Date.now() - 3_600_000;
  let [records, lineBytes] = [0, 0];
  while (lineBytes < bytes) {
    const messages: { value: string; timestamp: string }[] = [];
    for (let size = 0; size < SEND_BYTES; records++) {
      const timeMs = startMs + records;
      const text = line(records % 3, new Date(timeMs).toISOString());
      messages.push({ value: value(text), timestamp: String(timeMs) });
      size += text.length;
      lineBytes += text.length;
    }
    await producer.send({ topic, messages });
  }
  await producer.disconnect();
  return { records, lineBytes };
}
