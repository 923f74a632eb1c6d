import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numbers } from '../support/checks.ts';
import { nowNs, type PushStream, push } from '../support/client.ts';
import { KafkaCluster, withoutKafka } from '../support/kafka.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';
import { TailClient } from '../support/tail-client.ts';

const APPS = 12;

test('behind Kafka a tail is sent what was there and all that is acknowledged, each once, while partitions go from one owner to another', {
  skip: withoutNats || withoutKafka,
  timeout: 180_000,
}, async () => {
  await using brokers = await KafkaCluster.start();
  const flags = [
    '-common.ingest-log=kafka',
    `-kafka.brokers=${brokers.addresses()}`,
    '-kafka.auto-create-topic-default-partitions=8',
    '-kafka.session-timeout=2s',
  ];
  await using cluster = await RoleCluster.start({ counts: { ingester: 2, distributor: 1, querier: 2 }, flags });
  const [url] = cluster.urls;
  const sent: string[] = [];
  const pushed = async (line: string): Promise<void> => {
    const streams = numbers(APPS).map(
      (app): PushStream => ({ stream: { app: `tail-${app}` }, values: [[String(nowNs()), `${line} ${app}`]] }),
    );
    // The same entries: they come once, however often they are pushed.
    for (let status = 0; status !== 204; ) {
      ({ status } = await push(url, streams));
      assert.ok(status === 204 || status === 503, `a push is answered with ${status}`);
    }
    sent.push(...numbers(APPS).map((app) => `${line} ${app}`));
  };

  for (const number of numbers(3)) await pushed(`before ${number}`);
  const tail = await TailClient.open(url, '{app=~"tail-.+"}', { limit: '1000' });
  const all = (): Promise<void> => tail.until(() => tail.values.length >= sent.length);
  await all();
  for (const number of numbers(20)) await pushed(`quiet ${number}`);
  await all();
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const [{ pid }] = cluster.of('ingester');
    process.kill(pid!, signal);
    for (const number of numbers(60)) await pushed(`${signal} ${number}`);
    await all();
    await cluster.ready();
  }
  for (const number of numbers(20)) await pushed(`after ${number}`);
  await all();
  assert.deepEqual(tail.lines.toSorted(), sent.toSorted());
  assert.deepEqual(tail.dropped, []);
});
