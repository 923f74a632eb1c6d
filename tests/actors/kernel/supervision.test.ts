import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Incarnation } from '../../../actors/kernel/define.ts';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import { actorSystem, echo, echoProtocol } from '../../support/actors.ts';

const fails = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code;

/** Notes what happens to actors, in order, and lets a test reach their incarnations. */
function journal() {
  const events: string[] = [];
  const incarnations = new Map<string, Incarnation>();
  const deps = (name: string) => ({
    started: ({ incarnation }: { incarnation: Incarnation }) => {
      incarnations.set(name, incarnation);
      events.push(`${name} starts`);
    },
    stopped: (reason: string) => {
      events.push(`${name} stops (${reason})`);
    },
  });
  const crash = (name: string, error: unknown = new Error(`${name} broke`)) => incarnations.get(name)!.fail(error);
  return { events, incarnations, deps, crash };
}

test('a failed actor stops, waits, and starts anew; meanwhile its asks fail at once', async () => {
  const { world, system, echoed, state } = actorSystem();
  const { events, deps, crash } = journal();
  await system.spawn(echo(), deps('a'), { instance: '0' });
  assert.deepEqual(await echoed('0', 'x'), { epoch: 1, value: 'x' });
  const hanging = system.ask(echoProtocol, '0', { kind: 'hang' }, { tenant: 'a', deadlineMs: Number.POSITIVE_INFINITY });
  const failedHanging = assert.rejects(hanging, fails('unavailable'));
  await world.settle();
  crash('a');
  await failedHanging;
  await world.settle();
  assert.equal(state('echo/0'), 'backing-off');
  await assert.rejects(echoed('0'), (error) => error instanceof Fault && error.code === 'unavailable' && error.retryAfterS === 1);
  await assert.rejects(echoed('any'), fails('unavailable'));
  await world.advance(49); // half the back-off at least
  assert.equal(state('echo/0'), 'backing-off');
  await world.advance(51); // all of it at most
  assert.equal(state('echo/0'), 'running');
  assert.deepEqual(events, ['a starts', 'a stops (restart)', 'a starts']);
  assert.deepEqual(await echoed('any', 'y'), { epoch: 2, value: 'y' });
});

test('back-off doubles up to its maximum, and begins anew after a quiet window', async () => {
  const { world, system, state } = actorSystem();
  const { deps, crash } = journal();
  await system.spawn(echo('echo', { max: 10, backoffMs: { min: 100, max: 300 } }), deps('a'), { instance: '0' });
  const backoff = async () => {
    crash('a');
    await world.settle();
    const from = world.clock.monotonicMs();
    await world.runUntil(() => state('echo/0') === 'running', { withinMs: 1_000 });
    return world.clock.monotonicMs() - from;
  };
  const full = [100, 200, 300, 300];
  for (const ms of full) {
    const waited = await backoff();
    assert.ok(waited >= ms / 2 && waited <= ms, `${waited} of ${ms}`);
  }
  await world.advance(60_000);
  assert.ok((await backoff()) <= 100);
});

test('too many failures within the window: given up, and the owner of the thread is told', async () => {
  const { world, system, failed, state, echoed } = actorSystem();
  const { deps, crash } = journal();
  await system.spawn(echo('echo', { max: 2 }), deps('a'), { instance: '0' });
  for (let count = 0; count < 2; count++) {
    crash('a');
    await world.advance(1_000);
    assert.equal(state('echo/0'), 'running');
  }
  assert.deepEqual(failed, []);
  const last = new Error('the third');
  crash('a', last);
  await world.advance(1_000);
  assert.equal(state('echo/0'), 'failed');
  assert.deepEqual(failed, [['echo/0', last]]);
  await assert.rejects(echoed('0'), fails('unavailable'));
  await system.stop();
});

test('failures outside the window do not add up', async () => {
  const { world, system, failed } = actorSystem();
  const { deps, crash } = journal();
  await system.spawn(echo('echo', { max: 1, withinMs: 10_000 }), deps('a'), { instance: '0' });
  for (let count = 0; count < 5; count++) {
    crash('a');
    await world.advance(10_000);
  }
  assert.deepEqual(failed, []);
  assert.equal(system.observe()[0].restarts, 5);
});

test('a start that fails is tried again; spawn waits for the first that runs', async () => {
  const { world, system } = actorSystem();
  let starts = 0;
  const started = () => {
    if (++starts < 3) throw new Error(`start ${starts}`);
  };
  const spawned = system.spawn(echo(), { started }, { instance: '0' });
  await world.advance(1_000);
  assert.equal((await spawned).state, 'running');
  assert.equal(starts, 3);
});

test('a start that always fails rejects spawn with the last failure', async () => {
  const { world, system, failed } = actorSystem();
  let starts = 0;
  const started = () => {
    throw new Fault('disk_full', `start ${++starts}`);
  };
  const spawned = assert.rejects(system.spawn(echo('echo', { max: 1 }), { started }, { instance: '0' }), /start 2/);
  await world.advance(10_000);
  await spawned;
  assert.equal(failed.length, 1);
});

test('rest_for_one: those spawned after stop last first, and start in order after it', async () => {
  const { world, system } = actorSystem();
  const { events, deps, crash } = journal();
  for (const name of ['a', 'b', 'c', 'd']) {
    await system.spawn(echo(name, { strategy: name === 'b' ? 'rest_for_one' : 'one_for_one' }), deps(name), { instance: '0' });
  }
  events.length = 0;
  crash('b');
  await world.advance(1_000);
  assert.deepEqual(events, ['b stops (restart)', 'd stops (restart)', 'c stops (restart)', 'b starts', 'c starts', 'd starts']);
  assert.ok(system.observe().every(({ state }) => state === 'running'));
  events.length = 0;
  crash('c');
  await world.advance(1_000);
  assert.deepEqual(events, ['c stops (restart)', 'c starts']);
});

test('rest_for_one: a follower that is backing off itself starts only after what it builds on', async () => {
  const { world, system } = actorSystem();
  const { events, deps, crash } = journal();
  await system.spawn(echo('a', { strategy: 'rest_for_one', backoffMs: { min: 1_000, max: 1_000 } }), deps('a'), { instance: '0' });
  await system.spawn(echo('b', { backoffMs: { min: 10, max: 10 } }), deps('b'), { instance: '0' });
  events.length = 0;
  crash('b');
  await world.settle();
  crash('a');
  await world.advance(400);
  assert.deepEqual(events, ['b stops (restart)', 'a stops (restart)']);
  await world.advance(600);
  assert.deepEqual(events.slice(2), ['a starts', 'b starts']);
});

test('rest_for_one: nothing starts before the last follower has stopped', async () => {
  const { world, system } = actorSystem();
  const { events, deps, crash } = journal();
  const flushed = Promise.withResolvers<void>();
  await system.spawn(echo('a', { strategy: 'rest_for_one' }), deps('a'), { instance: '0' });
  await system.spawn(echo('b'), { ...deps('b'), stopped: () => flushed.promise }, { instance: '0' });
  events.length = 0;
  crash('a');
  await world.advance(2_000);
  assert.deepEqual(events, ['a stops (restart)']);
  flushed.resolve();
  await world.advance(1_000);
  assert.deepEqual(events, ['a stops (restart)', 'a starts', 'b starts']);
});

test('the next incarnation starts only when the effects of the last have settled', async () => {
  const { world, system, state } = actorSystem();
  const { incarnations, deps, crash } = journal();
  await system.spawn(echo(), deps('a'), { instance: '0' });
  const put = Promise.withResolvers<string>();
  const trimmed: string[] = [];
  const first = incarnations.get('a')!;
  const store = first.fence({ put: () => put.promise, trim: (to: string) => trimmed.push(to) });
  const slowFlush = store.put().then((position) => store.trim(position));
  crash('a');
  await world.advance(4_000);
  assert.equal(state('echo/0'), 'stopping');
  assert.equal(system.observe()[0].epoch, 1);
  put.resolve('position 9');
  await assert.rejects(slowFlush, fails('stale_incarnation'));
  assert.deepEqual(trimmed, [], 'the old incarnation trimmed the log of the new one');
  await world.advance(100);
  assert.equal(state('echo/0'), 'running');
  assert.equal(system.observe()[0].epoch, 2);
});

test('an incarnation that does not end in time is fenced off and given up, not replaced', async () => {
  for (const hang of ['stop', 'effect'] as const) {
    const { world, system, failed, state } = actorSystem();
    const { incarnations, events, deps, crash } = journal();
    const never = new Promise<void>(() => {});
    await system.spawn(echo(), { ...deps('a'), ...(hang === 'stop' ? { stopped: () => never } : {}) }, { instance: '0' });
    const effects = incarnations.get('a')!.fence({ put: () => never, trim: () => {} });
    if (hang === 'effect') void effects.put();
    crash('a');
    await world.advance(4_999);
    assert.equal(state('echo/0'), 'stopping');
    if (hang === 'stop') effects.trim();
    await world.advance(1);
    assert.equal(state('echo/0'), 'failed');
    assert.throws(() => effects.trim(), fails('stale_incarnation'));
    assert.equal(failed[0][0], 'echo/0');
    assert.match(String(failed[0][1]), /did not stop within 5000 ms/);
    assert.equal(events.filter((event) => event === 'a starts').length, 1);
  }
});

test('stop ends actors in reverse order, after the asks they handle', async () => {
  const { world, system } = actorSystem();
  const { events, deps } = journal();
  for (const name of ['a', 'b']) await system.spawn(echo(name), deps(name), { instance: '0' });
  events.length = 0;
  const stream = system.stream(
    { ...echoProtocol, component: 'b' },
    '0',
    { kind: 'count', to: 3 },
    { tenant: 'a', deadlineMs: Number.POSITIVE_INFINITY },
  );
  const reading = stream[Symbol.asyncIterator]();
  assert.equal((await reading.next()).value, 1);
  const stopped = system.stop();
  await world.advance(500);
  assert.deepEqual(events, [], 'stopped while a stream was read');
  assert.deepEqual([(await reading.next()).value, (await reading.next()).value, (await reading.next()).done], [2, 3, true]);
  await world.settle();
  await stopped;
  assert.deepEqual(events, ['b stops (shutdown)', 'a stops (shutdown)']);
  assert.deepEqual(system.observe(), []);
});

test('asks that do not end in time are cut off at shutdown', async () => {
  const { world, system } = actorSystem();
  const { events, deps } = journal();
  await system.spawn(echo(), deps('a'), { instance: '0' });
  const hanging = system.ask(echoProtocol, '0', { kind: 'hang' }, { tenant: 'a', deadlineMs: Number.POSITIVE_INFINITY });
  const cutOff = assert.rejects(hanging, fails('unavailable'));
  await world.settle();
  const stopped = system.stop();
  await world.advance(1_000);
  await Promise.all([cutOff, stopped]);
  assert.equal(events.at(-1), 'a stops (shutdown)');
});

test('a handle stops its actor alone, and frees the address', async () => {
  const { system, echoed } = actorSystem();
  const { events, deps } = journal();
  const handle = await system.spawn(echo(), deps('a'), { instance: '0' });
  await assert.rejects(system.spawn(echo(), deps('again'), { instance: '0' }), fails('exists'));
  await handle.stop('drained');
  assert.equal(handle.state, 'stopped');
  await assert.rejects(echoed('0'), fails('unavailable'));
  await system.spawn(echo(), deps('b'), { instance: '0' });
  assert.deepEqual(events, ['a starts', 'a stops (drained)', 'b starts']);
});

test('told to stop while starting, it stops what was started, and serves nobody', async () => {
  const { world, system, echoed } = actorSystem();
  const replay = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const events: string[] = [];
  const started = async ({ incarnation }: { incarnation: Incarnation }) => {
    await replay.promise;
    events.push(`started, ${incarnation.signal.aborted ? 'though told to end' : 'and wanted'}`);
  };
  const stopped = (reason: string) => {
    events.push(`stops (${reason})`);
    return closed.promise;
  };
  const spawned = assert.rejects(system.spawn(echo(), { started, stopped }, { instance: '0' }), fails('unavailable'));
  await world.settle();
  const ended = system.stop();
  await world.settle();
  replay.resolve();
  await world.settle();
  assert.deepEqual(events, ['started, though told to end', 'stops (shutdown)']);
  await assert.rejects(echoed('any'), /nothing serves/);
  closed.resolve();
  await Promise.all([spawned, ended]);
});

test('told to stop while backing off, it does not start again', async () => {
  const { world, system } = actorSystem();
  const { events, deps, crash } = journal();
  await system.spawn(echo(), deps('a'), { instance: '0' });
  crash('a');
  await world.settle();
  await system.stop();
  await world.advance(10_000);
  assert.deepEqual(events, ['a starts', 'a stops (restart)']);
});

test('a stop that takes too long is an error of stop', async () => {
  const { world, system, failed } = actorSystem();
  await system.spawn(echo(), { stopped: () => new Promise<void>(() => {}) }, { instance: '0' });
  const stopped = assert.rejects(system.stop(), /echo\/0 did not stop/);
  await world.advance(10_000);
  await stopped;
  assert.deepEqual(failed, []);
});
