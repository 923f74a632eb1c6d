import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { NatsTransport } from '../../../topology/transport/nats.ts';
import { Router } from '../../../topology/transport/thread.ts';
import { FakeBus } from '../../support/fake-broker.ts';
import { message } from '../../support/transport-peer.ts';

test('a thread reaches what other processes serve under names of all, and nothing else of theirs; what is near is asked here', async () => {
  const world = fakeWorld(1);
  const bus = new FakeBus(world);
  const router = (): Router => {
    const [control, bulk] = [bus.connect(), bus.connect()];
    return new Router({ world, beyond: new NatsTransport({ world, cluster: 'test', control, bulk, components: new Set(['ingester']) }) });
  };
  const [here, there] = [router(), router()];
  const own = there.serve('ingester/there-0', async () => 'there');
  there.serve('thread/query-0', async () => 'a thread of the other process');
  here.serve('ingester/here-0', async () => 'here');
  const ask = async (to: string): Promise<unknown> => {
    const asked = here
      .request(to, message({ kind: 'who' }), { deadlineMs: world.clock.monotonicMs() + 10_000 })
      .catch((error) => error.message);
    await world.advance(100);
    return asked;
  };
  assert.equal(await ask('ingester/there-0'), 'there');
  assert.equal(await ask('ingester/here-0'), 'here');
  assert.equal(await ask('ingester/any'), 'here');
  assert.equal(await ask('thread/query-0'), 'nothing serves thread/query-0');
  const heard: unknown[] = [];
  there.subscribe('news', ({ body }) => heard.push(body));
  here.publish('news', message({ kind: 'said' }));
  await world.advance(100);
  assert.equal(heard.length, 1);
  own.setAvailable(false);
  own.close();
  assert.equal(await ask('ingester/there-0'), 'nothing serves ingester/there-0');
  await Promise.all([here.close(), there.close()]);
});
