import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { NatsTransport } from '../../../topology/transport/nats.ts';
import { FakeBus } from '../../support/fake-broker.ts';
import { message } from '../../support/transport-peer.ts';

const VIGILANCE = { pingMs: 1_000, missed: 3 };
const FAR_MS = 10 * 60_000;

function cluster(seed: number) {
  const world = fakeWorld(seed);
  const isolated = new Set<string>();
  const bus = new FakeBus(world, { lossRatio: 0, delayMs: [0, 1], isolated });
  const peer = (process = '') => {
    const [control, bulk] = [bus.connect(process), bus.connect(process)];
    const transport = new NatsTransport({ world, cluster: 'test', control, bulk, vigilance: VIGILANCE });
    const die = () => Promise.all([control.close(), bulk.close()]);
    return { transport, control, bulk, die };
  };
  const later = () => ({ deadlineMs: world.clock.monotonicMs() + FAR_MS });
  return { world, bus, isolated, peer, later };
}

/** What became of a promise. */
function watched<T>(promise: Promise<T>): { done: boolean; value?: T; fault?: Fault } {
  const seen: { done: boolean; value?: T; fault?: Fault } = { done: false };
  promise.then(
    (value) => Object.assign(seen, { done: true, value }),
    (error) => {
      assert.ok(error instanceof Fault, String(error));
      Object.assign(seen, { done: true, fault: error });
    },
  );
  return seen;
}

for (let seed = 1; seed <= 20; seed++) {
  test(`messages are lost: every question ends, and no answer is short, seed ${seed}`, async () => {
    const { world, bus, peer, later } = cluster(seed);
    const [near, far] = [peer(), peer()];
    let open = 0;
    far.transport.serve('far/0', async ({ body }, { signal }) => {
      open++;
      const { delayMs, size } = body as { delayMs: number; size: number };
      await world.timers.sleep(delayMs, signal).finally(() => open--);
      return { frame: Buffer.alloc(size, 7) };
    });
    far.transport.serve('stream/0', async function* ({ body }) {
      const { items, size } = body as { items: number; size: number };
      open++;
      try {
        for (let number = 0; number < items; number++) {
          await world.timers.sleep(50);
          yield { number, frame: Buffer.alloc(size, number) };
        }
      } finally {
        open--;
      }
    });
    bus.network.lossRatio = 0.02;
    bus.network.delayMs = [1, 80];
    const one = (delayMs: number, size: number) =>
      near.transport.request('far/0', message({ kind: 'one', delayMs, size, sent: Buffer.alloc(size, 3) }), later());
    const all = async (items: number, size: number): Promise<number> => {
      const got = [];
      for await (const item of near.transport.requestMany('stream/0', message({ kind: 'many', items, size }), later())) {
        const { number, frame } = item as { number: number; frame: Buffer };
        assert.equal(number, got.length);
        assert.deepEqual(frame, Buffer.alloc(size, number));
        got.push(number);
      }
      return got.length;
    };
    const sizes = [10, 10 * KiB, 100 * KiB, MiB];
    const singles = Array.from({ length: 40 }, (_, index) => ({
      size: sizes[index % 4],
      seen: watched(one((index * 531) % 9_000, sizes[index % 4])),
    }));
    const streams = Array.from({ length: 12 }, (_, index) => ({
      items: 5 + index * 7,
      seen: watched(all(5 + index * 7, sizes[index % 3])),
    }));
    await world.runUntil(() => [...singles, ...streams].every(({ seen }) => seen.done), { withinMs: 120_000 });
    let answered = 0;
    for (const { size, seen } of singles) {
      if (seen.fault === undefined) {
        answered++;
        assert.deepEqual((seen.value as { frame: Buffer }).frame, Buffer.alloc(size, 7));
      } else assert.equal(seen.fault.code, 'unavailable');
    }
    for (const { items, seen } of streams) {
      if (seen.fault === undefined) assert.equal(seen.value, items);
      else assert.equal(seen.fault.code, 'unavailable');
    }
    assert.ok(answered > 5, `${answered} answered`);
    // What nobody waits for any more is given up.
    await world.runUntil(() => open === 0, { withinMs: 60_000 });
    bus.network.lossRatio = 0;
    const after = watched(one(10, MiB));
    await world.runUntil(() => after.done, { withinMs: 30_000 });
    assert.equal(after.fault, undefined);
  });
}

test('a process that dies is missed at the first ping, one that is cut off within some, whatever it was asked', async () => {
  const { world, peer, later, isolated } = cluster(1);
  const [near, far, other, mute] = [peer(), peer(), peer(), peer('mute')];
  for (const [number, { transport }] of [far, other, mute].entries()) {
    transport.serve(`far/${number}`, ({ body }, { signal }) =>
      (body as { wait: boolean }).wait ? world.timers.sleep(FAR_MS, signal) : Promise.resolve(number),
    );
  }
  const waiting = [0, 1, 2].map((number) =>
    watched(near.transport.request(`far/${number}`, message({ kind: 'ask', wait: true }), later())),
  );
  await world.advance(10_000);
  assert.ok(waiting.every(({ done }) => !done));
  await far.die();
  isolated.add('mute');
  await world.advance(VIGILANCE.pingMs + 100);
  assert.deepEqual([waiting[0].fault?.code, waiting[1].done, waiting[2].done], ['unavailable', false, false]);
  assert.match(waiting[0].fault?.message ?? '', /is gone/);
  await world.advance(4_000);
  assert.deepEqual([waiting[1].done, waiting[2].fault?.code], [false, 'unavailable']);
  await mute.die();
  const next = watched(near.transport.request('far/0', message({ kind: 'ask', wait: false }), later()));
  await world.advance(100);
  assert.match(next.fault?.message ?? '', /nothing serves far\/0/);
  const any = watched(near.transport.request('far/any', message({ kind: 'ask', wait: false }), later()));
  await world.advance(100);
  assert.equal(any.value, 1);
});

test('a caller that dies is missed too, and what it asked for is given up', async () => {
  const { world, peer, later } = cluster(2);
  const [near, far] = [peer(), peer()];
  const left: string[] = [];
  far.transport.serve('far/0', (_, { signal }) => {
    signal.addEventListener('abort', () => left.push(signal.reason.code));
    return new Promise(() => {});
  });
  watched(near.transport.request('far/0', message({ kind: 'ask' }), later()));
  await world.advance(60_000);
  assert.deepEqual(left, []);
  await near.die();
  await world.advance(10_000);
  assert.deepEqual(left, ['cancelled']);
});

test('when the connection is lost, what is under way fails at once, and so does what is asked until it is back', async () => {
  const { world, peer, later } = cluster(3);
  const [near, far] = [peer(), peer()];
  far.transport.serve('far/0', () => new Promise(() => {}));
  const asked = watched(near.transport.request('far/0', message({ kind: 'ask' }), later()));
  await world.advance(10);
  near.bulk.lose();
  await world.settle();
  assert.match(asked.fault?.message ?? '', /connection to NATS was lost/);
  const next = watched(near.transport.request('far/0', message({ kind: 'ask' }), later()));
  await world.settle();
  assert.equal(next.fault?.code, 'unavailable');
});

test('nothing under way: nothing is sent, and no timer runs', async () => {
  const { world, bus, peer, later } = cluster(4);
  const [near, far] = [peer(), peer()];
  far.transport.serve('far/0', async () => 1);
  const asked = watched(near.transport.request('far/0', message({ kind: 'ask' }), later()));
  await world.advance(5_000);
  assert.equal(asked.value, 1);
  let published = 0;
  const publish = bus.publish.bind(bus);
  bus.publish = (...args) => {
    published++;
    publish(...args);
  };
  await world.advance(600_000);
  assert.equal(published, 0);
});

test('a broker that knows nothing of its server for a moment holds nobody up', async () => {
  const { world, peer, later } = cluster(5);
  const [near, far] = [peer(), peer()];
  far.transport.serve('far/0', async ({ body }) => (body as { frame: Buffer }).frame.length);
  Object.defineProperty(near.bulk, 'maxPayload', { get: () => 0 });
  const asked = watched(near.transport.request('far/0', message({ kind: 'ask', frame: Buffer.alloc(100_000) }), later()));
  await world.runUntil(() => asked.done, { withinMs: 30_000 });
  assert.equal(asked.value, 100_000);
});

test('an item that is lost before a long silence is missed', async () => {
  const { world, bus, peer, later } = cluster(1);
  const [near, far] = [peer(), peer()];
  let isOver = false;
  far.transport.serve('stream/0', async function* (_, { signal }) {
    try {
      await world.timers.sleep(500);
      bus.network.lossRatio = 1;
      yield { number: 1 };
      await world.timers.sleep(1);
      bus.network.lossRatio = 0;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    } finally {
      isOver = true;
    }
  });
  const stream = near.transport.requestMany('stream/0', message({ kind: 'many' }), later())[Symbol.asyncIterator]();
  const first = watched(stream.next());
  await world.runUntil(() => first.done, { withinMs: 10_000 });
  assert.equal(first.fault?.code, 'unavailable');
  await world.runUntil(() => isOver, { withinMs: 10_000 });
});

test('a stream goes on after what its reader said it had read was lost', async () => {
  const { world, peer, later } = cluster(1);
  const [near, far] = [peer(), peer()];
  far.transport.serve('stream/0', async function* () {
    for (let number = 0; number < 300; number++) yield { number };
  });
  const said = near.control.publish.bind(near.control);
  near.control.publish = () => {};
  const all = async (): Promise<number> => {
    let items = 0;
    for await (const _ of near.transport.requestMany('stream/0', message({ kind: 'many' }), later())) items++;
    return items;
  };
  const read = watched(all());
  await world.advance(1_500);
  assert.equal(read.done, false);
  near.control.publish = said;
  await world.runUntil(() => read.done, { withinMs: 10_000 });
  assert.equal(read.value, 300);
});
