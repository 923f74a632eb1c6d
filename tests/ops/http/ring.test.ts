import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { ringRoutes } from '../../../ops/http/ring.ts';
import type { HttpRequest } from '../../../ops/http/route.ts';
import { instanceKey } from '../../../topology/ring/instance.ts';
import { MemoryKv } from '../../../topology/ring/kv.ts';
import { Ring } from '../../../topology/ring/ring.ts';

/** `/ring` of instance `own`, in a ring with another one. */
async function rig() {
  const world = fakeWorld(1);
  const kv = new MemoryKv(world.clock);
  for (const [id, url] of [
    ['own', ''],
    ['<other>', 'http://other:3100'],
  ]) {
    const fields = {
      id,
      incarnation: '1',
      registration: '1',
      introduced: true,
      state: 'ACTIVE',
      zone: '',
      shards: 1,
      url,
      leastVersion: 1,
      mostVersion: 1,
      registeredMs: 0,
      beat: 1,
    };
    await kv.put(instanceKey(id), JSON.stringify(fields), 0);
  }
  const ring = await Ring.open(kv, { name: 'ingester', heartbeatTimeoutMs: 60_000, world, log: noInstruments.log });
  let drained = 0;
  const drain = () => void drained++;
  const [route] = ringRoutes({ component: 'ingester', ring: async () => ring, kv, own: 'own', drain });
  const ask = (method: string, body = '') =>
    route.handle({ method, params: async () => new URLSearchParams(body), header: () => '' } as unknown as HttpRequest);
  return { ask, drains: () => drained };
}

test('an instance is drained by its own process', async () => {
  const { ask, drains } = await rig();
  const { status } = await ask('POST', 'drain=own');
  assert.deepEqual([status, drains()], [302, 1]);
});

test('the order is sent on to the process that it is about', async () => {
  const { ask, drains } = await rig();
  const sentOn = await ask('POST', `drain=${encodeURIComponent('<other>')}`);
  assert.deepEqual([sentOn.status, sentOn.headers?.location], [307, 'http://other:3100/ring']);
  await assert.rejects(ask('POST', 'drain=nobody'), { code: 'not_found', message: 'there is no instance nobody' });
  await assert.rejects(ask('POST', ''), {
    code: 'bad_request',
    message: 'forget=ID or drain=ID says what is to be done with which instance',
  });
  assert.equal(drains(), 0);
});

test('one that is alive is not forgotten, one that nobody knows cannot be', async () => {
  const { ask } = await rig();
  await assert.rejects(ask('POST', 'forget=own'), { code: 'bad_request', message: 'instance own is alive, and would only come back' });
  await assert.rejects(ask('POST', 'forget=nobody'), { code: 'not_found' });
});

test('the page has buttons to drain and to forget each instance', async () => {
  const { ask } = await rig();
  const page = String((await ask('GET')).body);
  assert.deepEqual(page.match(/<button [^>]*>/g), [
    '<button name="drain" value="&lt;other&gt;">',
    '<button name="forget" value="&lt;other&gt;">',
    '<button name="drain" value="own">',
    '<button name="forget" value="own">',
  ]);
});
