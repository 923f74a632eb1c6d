import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realWorld } from '../../../ops/base/world.ts';
import { InProcessTransport } from '../../../topology/transport/in-process.ts';
import { message, servePeer } from '../../support/transport-peer.ts';
import { transportSuite } from '../../support/transport-suite.ts';

const world = realWorld();

const open = (strict: boolean) => async () => {
  const transport = new InProcessTransport({ world, strict });
  servePeer(transport, world.clock);
  return { transport, kill: () => transport.close(), close: () => transport.close() };
};

transportSuite('in process', { copies: false, sharesMemory: true }, open(false));
transportSuite('in process, strict', { copies: true, sharesMemory: true }, open(true));

const FOREVER = { deadlineMs: Number.POSITIVE_INFINITY };

test('bodies go by reference', async () => {
  const transport = new InProcessTransport({ world });
  const body = { kind: 'keep', list: [{}] };
  transport.serve('home/0', async (received) => received.body);
  assert.equal(await transport.request('home/0', message(body), FOREVER), body);
});

test('strict: neither side can change what it got', async () => {
  const transport = new InProcessTransport({ world, strict: true });
  const body = { kind: 'keep', list: [{ a: 1 }] };
  transport.serve('home/0', async (received) => {
    assert.throws(() => (received.body as typeof body).list.push({ a: 2 }), TypeError);
    return received.body;
  });
  const answer = (await transport.request('home/0', message(body), FOREVER)) as typeof body;
  assert.deepEqual(answer, body);
  assert.throws(() => {
    answer.list[0].a = 2;
  }, TypeError);
  assert.ok(!Object.isFrozen(body));
});

test('a handler runs after the statements that follow the request', async () => {
  const transport = new InProcessTransport({ world });
  const order: string[] = [];
  transport.serve('home/0', async () => order.push('handler'));
  const answer = transport.request('home/0', message({ kind: 'x' }), FOREVER);
  order.push('caller');
  await answer;
  assert.deepEqual(order, ['caller', 'handler']);
});
