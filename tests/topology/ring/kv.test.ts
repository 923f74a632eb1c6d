import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { connectNats } from '../../../topology/nats/connect.ts';
import { MemoryKv } from '../../../topology/ring/kv.ts';
import { NatsKv } from '../../../topology/ring/kv-nats.ts';
import { closing, kvSuite, Seen } from '../../support/kv-suite.ts';
import { NatsServer, withoutNats } from '../../support/nats.ts';

const world = realWorld();

kvSuite('in memory', false, async () => {
  const kv = new MemoryKv(world.clock);
  return { clients: [kv, kv], close: async () => {} };
});

const server = withoutNats === false ? await NatsServer.start() : undefined;
after(async () => {
  await server?.[Symbol.asyncDispose]();
});
let buckets = 0;

async function openNats(url: string) {
  const options = { bucket: `suite-${++buckets}`, replicas: 1, world, log: noInstruments.log, proofMs: 20 };
  const brokers = await Promise.all([0, 1].map(() => connectNats({ servers: [url] }, 'test', noInstruments)));
  const clients = brokers.map((broker) => new NatsKv(broker, options));
  return { clients: [clients[0], clients[1]] as const, close: () => Promise.all(brokers.map((broker) => broker.close())) };
}

kvSuite('NATS', withoutNats, async () => {
  const { clients, close } = await openNats(server!.url);
  return { clients: [...clients], close };
});

test('the server of a watch is killed: nothing is proven until it is back, then what changed meanwhile is told', {
  skip: withoutNats,
}, async () => {
  await using own = await NatsServer.start();
  const { clients, close } = await openNats(own.url);
  try {
    const [one, other] = clients;
    const seen = new Seen();
    const a = await one.put('a', '1', 0);
    await one.put('b', '1', 0);
    const watch = await other.watch(seen.take);
    using _watch = closing(watch);
    await own.kill();
    await assert.rejects(one.get('a'), { code: 'unavailable' });
    const deadMs = world.clock.monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.ok(watch.provenMs() <= deadMs);
    await own.restart();
    const retried = async <T>(work: () => Promise<T>): Promise<T> =>
      work().catch(() => new Promise((resolve) => setTimeout(resolve, 20)).then(() => retried(work)));
    assert.equal((await retried(() => one.get('a')))?.value, '1');
    assert.equal(await retried(() => one.delete('a', a!)), true);
    await retried(() => one.put('c', '1', 0));
    await seen.until(({ values }) => values.a === undefined && values.b === '1' && values.c === '1');
    await seen.until(() => watch.provenMs() > deadMs);
  } finally {
    await close();
  }
});
