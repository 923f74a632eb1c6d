import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { Router } from '../../../topology/transport/thread.ts';
import { message, type PeerAsk } from '../../support/transport-peer.ts';

const FOREVER = { deadlineMs: Number.POSITIVE_INFINITY };
const fails = (code: FaultCode, text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Fault);
  assert.equal(error.code, code);
  if (text !== undefined) assert.match(error.message, text);
  return true;
};

/** Routers of one thread, linked by real ports. The first admits the others. */
async function mesh(t: { after(end: () => Promise<void>): void }, ...names: string[]): Promise<Router[]> {
  const world = realWorld();
  const first = new Router({ world });
  const routers = [first];
  for (const name of names) {
    const router = new Router({ world });
    router.connect('main', first.admit(name));
    routers.push(router);
  }
  t.after(async () => {
    await Promise.all(routers.map((router) => router.close()));
  });
  return routers;
}

test('every thread reaches every other, whoever came first', async (t) => {
  const routers = await mesh(t, 'one', 'two', 'three');
  for (const [index, router] of routers.entries()) router.serve(`home/${index}`, async () => index);
  for (const router of routers) {
    for (let index = 0; index < routers.length; index++) {
      await router.whenServed(`home/${index}`);
      assert.equal(await router.request(`home/${index}`, message({ kind: 'who' }), FOREVER), index);
    }
  }
});

test('a request within a thread goes by reference', async (t) => {
  const [router] = await mesh(t, 'one');
  const value = { kind: 'keep', of: new Map() };
  router.serve('home/0', async ({ body }) => body);
  assert.equal(await router.request('home/0', message(value), FOREVER), value);
});

test('subscribers hear of every thread', async (t) => {
  const [main, one, two] = await mesh(t, 'one', 'two');
  const heard: unknown[] = [];
  const both = Promise.withResolvers<void>();
  const receive = ({ kind }: { kind: string }) => {
    if (heard.push(kind) === 2) both.resolve();
  };
  main.subscribe('news', receive);
  two.subscribe('news', receive);
  for (const [router, address] of [
    [main, 'main/0'],
    [two, 'two/0'],
  ] as const) {
    router.serve(address, async () => 'subscribed before');
    await one.whenServed(address);
    await one.request(address, message({ kind: 'sync' }), FOREVER);
  }
  one.publish('news', message({ kind: 'said' }));
  await both.promise;
  assert.deepEqual(heard, ['said', 'said']);
});

test('any takes the least loaded instance, wherever it is', async (t) => {
  const [main, one] = await mesh(t, 'one');
  const asked: string[] = [];
  const slow = (name: string) => () => {
    asked.push(name);
    return new Promise(() => {});
  };
  main.serve('pool/near', slow('near'));
  one.serve('pool/far', slow('far'));
  await main.whenServed('pool/far');
  const leaver = new AbortController();
  const options = { ...FOREVER, signal: leaver.signal };
  const asks = [1, 2].map(() => main.request('pool/near', message({ kind: 'x' }), options).catch(() => {}));
  for (let count = 0; count < 2; count++) asks.push(main.request('pool/any', message({ kind: 'x' }), options).catch(() => {}));
  main.serve('sync/0', async () => 'all requests before have arrived');
  await one.whenServed('sync/0');
  await one.request('sync/0', message({ kind: 'x' }), FOREVER);
  assert.deepEqual(asked.toSorted(), ['far', 'far', 'near', 'near']);
  leaver.abort();
  await Promise.all(asks);
});

test('whenServed gives up with its signal', async (t) => {
  const [main] = await mesh(t);
  const signal = AbortSignal.abort(new Fault('cancelled', 'enough'));
  await assert.rejects(main.whenServed('home/0', signal), fails('cancelled', /enough/));
  const later = new AbortController();
  const waiting = main.whenServed('home/0', later.signal);
  later.abort(new Fault('cancelled', 'later'));
  await assert.rejects(waiting, fails('cancelled', /later/));
});

test('a thread that leaves ends the calls that it made, and the ones made to it', async (t) => {
  const [main, one] = await mesh(t, 'one');
  const left = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  main.serve('home/0', (_, { signal }) => {
    signal.addEventListener('abort', () => left.resolve(signal.reason.message));
    asked.resolve();
    return new Promise(() => {});
  });
  one.serve('home/1', () => new Promise(() => {}));
  await Promise.all([main.whenServed('home/1'), one.whenServed('home/0')]);
  const fromOne = assert.rejects(one.request('home/0', message({ kind: 'x' }), FOREVER), fails('unavailable'));
  const toOne = assert.rejects(main.request('home/1', message({ kind: 'x' }), FOREVER), fails('unavailable', /one has ended/));
  await asked.promise;
  await one.close();
  assert.match(await left.promise, /ended|closed/);
  await Promise.all([fromOne, toOne]);
  await assert.rejects(main.request('home/1', message({ kind: 'x' }), FOREVER), fails('unavailable', /nothing serves/));
});

test('a thread started again under its name takes the place of the one before, for every thread', async (t) => {
  const [main, one] = await mesh(t, 'one');
  const peer = () => {
    const port = main.admit('peer');
    return new Worker(new URL('./peer-thread.ts', import.meta.url), { workerData: { port }, transferList: [port] });
  };
  const ask = (from: Router, body: PeerAsk) => from.request('peer/0', message(body), FOREVER);
  const first = peer();
  t.after(async () => void (await first.terminate()));
  await Promise.all([main.whenServed('peer/0'), one.whenServed('peer/0')]);
  await ask(one, { kind: 'note', value: 1 });
  const hanging = assert.rejects(ask(one, { kind: 'hang' }), fails('unavailable', /thread peer has ended/));
  await ask(one, { kind: 'echo', value: 'hanging by now' });
  await first.terminate();
  await hanging;
  const second = peer();
  t.after(async () => void (await second.terminate()));
  await Promise.all([main.whenServed('peer/0'), one.whenServed('peer/0')]);
  assert.deepEqual(await ask(one, { kind: 'noted' }), []);
  assert.deepEqual(await ask(main, { kind: 'echo', value: 1 }), 1);
});

test('what a thread asked is cancelled when it is ended', async (t) => {
  const [main] = await mesh(t);
  const port = main.admit('peer');
  const worker = new Worker(new URL('./peer-thread.ts', import.meta.url), { workerData: { port }, transferList: [port] });
  const asked = Promise.withResolvers<AbortSignal>();
  main.serve('home/0', (_, { signal }) => {
    asked.resolve(signal);
    return new Promise(() => {});
  });
  await main.whenServed('peer/0');
  main.request('peer/0', message({ kind: 'ask', to: 'home/0' }), FOREVER).catch(() => {});
  const signal = await asked.promise;
  const left = once(signal, 'abort');
  await worker.terminate();
  await left;
  assert.deepEqual([signal.reason.code, signal.reason.message], ['cancelled', 'thread peer has ended']);
});

test('a thread that dies of an error fails what is under way', async (t) => {
  const [main] = await mesh(t);
  const port = main.admit('peer');
  const source = `
    import { workerData } from 'node:worker_threads';
    import { Router } from '${new URL('../../../topology/transport/thread.ts', import.meta.url)}';
    import { realWorld } from '${new URL('../../../ops/base/world.ts', import.meta.url)}';
    const router = new Router({ world: realWorld() });
    router.connect('main', workerData.port);
    router.serve('peer/0', () => { setImmediate(() => { throw new Error('out of memory, say'); }); return new Promise(() => {}); });`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: { port }, transferList: [port] });
  const died = once(worker, 'error');
  await main.whenServed('peer/0');
  await assert.rejects(main.request('peer/0', message({ kind: 'x' }), FOREVER), fails('unavailable', /thread peer has ended/));
  assert.match(String((await died)[0]), /out of memory, say/);
});

test('each thread has its own clock: deadlines travel as the time that is left', async () => {
  const near = fakeWorld(1);
  const far = fakeWorld(2);
  await far.advance(1_000_000);
  await near.advance(3_000);
  const main = new Router({ world: near });
  const one = new Router({ world: far });
  one.connect('main', main.admit('one'));
  one.serve('home/0', async (_, { deadlineMs }) => deadlineMs);
  await main.whenServed('home/0');
  assert.equal(await main.request('home/0', message({ kind: 'x' }), { deadlineMs: 8_000 }), 1_005_000);
  await Promise.all([main.close(), one.close()]);
});
