import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { allEntries, get, nowNs, push } from '../support/client.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';

const TOPIC = 'millrace.ingest';
const SESSION_MS = 2_000;
const LIMIT_MS = 60_000;
const POLL_MS = 100;

/** Resolves once `look` returns something. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const untilMs = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) throw new Error(`${what} did not happen`);
    await sleep(POLL_MS);
  }
}

async function pushed(url: string, line: string): Promise<void> {
  await until(`a push of ${line}`, async () => {
    const { status } = await push(url, [{ stream: { app: 'gaps' }, values: [[String(nowNs()), line]] }]);
    assert.ok(status === 204 || status === 503, `a push is answered with ${status}`);
    return status === 204 || undefined;
  });
}

async function lines(url: string): Promise<string[]> {
  const fromNs = nowNs() - 3_600_000_000_000n;
  return (await allEntries(url, '{app="gaps"}', { fromNs, toNs: nowNs() + 1_000_000_000n })).map(({ line }) => line).sort();
}

test('what Kafka has deleted unread stops a partition, which says so and goes on when it is told to; a topic that was made anew is another log', {
  skip: withoutNats || withoutKafka,
  timeout: 180_000,
}, async () => {
  await using brokers = await KafkaCluster.start();
  const admin = brokers.client().admin();
  await admin.connect();
  const flags = [
    '-common.ingest-log=kafka',
    `-kafka.brokers=${brokers.addresses()}`,
    '-kafka.auto-create-topic-default-partitions=1',
    `-kafka.session-timeout=${SESSION_MS}ms`,
  ];
  await using cluster = await RoleCluster.start({ counts: { ingester: 1, distributor: 1, querier: 1 }, flags });
  const [url] = cluster.urls;
  const [flushUrl] = cluster.flushUrls;
  const flush = async (): Promise<void> => assert.equal((await fetch(`${flushUrl}/flush`, { method: 'POST' })).status, 204);
  const stopped = (): Promise<string> =>
    until('a stop of the partition', async () => {
      const { status, text } = await get(flushUrl, '/ready').catch(() => ({ status: 0, text: '' }));
      return status === 503 && text.includes('POST /ingest-log') ? text : undefined;
    });
  const order = async (params: Record<string, string>): Promise<Response> =>
    fetch(`${flushUrl}/ingest-log`, { method: 'POST', body: new URLSearchParams(params) });
  const seen = (wanted: string[]): Promise<true> =>
    until(`${wanted} in an answer`, async () => {
      const found = await lines(url).catch(() => []);
      return JSON.stringify(found) === JSON.stringify(wanted) || undefined;
    });

  const anew = async (): Promise<void> => {
    await admin.deleteTopics({ topics: [TOPIC] });
    await until('an end of the topic', async () => ((await admin.listTopics()).includes(TOPIC) ? undefined : true));
    const configEntries = [
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'max.message.bytes', value: '16777216' },
    ];
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, configEntries }], waitForLeaders: false });
  };

  await pushed(url, 'a stored');
  await seen(['a stored']);
  await flush();
  const [{ pid }] = cluster.of('ingester');
  process.kill(pid!, 'SIGSTOP');
  await pushed(url, 'b deleted');
  await pushed(url, 'c deleted');
  const [{ high }] = await admin.fetchTopicOffsets(TOPIC);
  await admin.deleteTopicRecords({ topic: TOPIC, partitions: [{ partition: 0, offset: high }] });
  await pushed(url, 'd kept');
  process.kill(pid!, 'SIGKILL');

  const why = await stopped();
  const [, from, to] = /partition=0&from=(\d+)&to=(\d+)/.exec(why) ?? assert.fail(why);
  assert.equal(to, high);
  assert.ok(Number(to) - Number(from) >= 2, why);
  await seen(['a stored']);
  assert.equal((await order({ partition: '0', from })).status, 400);
  assert.equal((await order({ partition: '7', from, to })).status, 400);
  assert.equal((await order({ partition: '0', from, to })).status, 204);
  await seen(['a stored', 'd kept']);
  await cluster.ready();
  assert.equal((await order({ renew: 'true' })).status, 400);

  await pushed(url, 'e read, not stored');
  await seen(['a stored', 'd kept', 'e read, not stored']);
  await anew();
  await pushed(url, 'f in another topic');
  assert.match(await stopped(), /made anew/);
  assert.equal((await order({ renew: 'true' })).status, 204);
  await seen(['a stored', 'd kept', 'e read, not stored', 'f in another topic']);
  await cluster.ready();

  await flush();
  const [again] = cluster.of('ingester');
  process.kill(again.pid!, 'SIGSTOP');
  await anew();
  const more = ['g', 'h', 'i', 'j', 'k'].map((letter) => `${letter} in a third`);
  for (const line of more) await pushed(url, line);
  process.kill(again.pid!, 'SIGKILL');
  assert.match(await stopped(), /was taken in at .*, and is one of .* now/);
  assert.equal((await order({ renew: 'true' })).status, 204);
  await seen(['a stored', 'd kept', 'e read, not stored', 'f in another topic', ...more]);
  await admin.disconnect();
});
