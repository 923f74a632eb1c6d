import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leased } from '../../../actors/frontend/leased.ts';
import { defineActor, type StartContext } from '../../../actors/kernel/define.ts';
import { ActorSystem } from '../../../actors/kernel/system.ts';
import { schedulerProtocol } from '../../../actors/protocol/schedule.ts';
import { attachToSchedulers } from '../../../actors/querier/attach.ts';
import { queryScheduler } from '../../../actors/query-scheduler/query-scheduler.ts';
import { localSchedulers } from '../../../actors/schedulers.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { InProcessTransport } from '../../../topology/transport/in-process.ts';
import { isFault } from '../../support/checks.ts';

const FOREVER = { tenant: 'a', deadlineMs: Number.POSITIVE_INFINITY };

/** A scheduler with actors that take jobs as queriers do. */
async function setUp(queriers: readonly string[]) {
  const world = fakeWorld(1);
  const transport = new InProcessTransport({ world, strict: true });
  const system = new ActorSystem({ world, transport, instruments: noInstruments, onFailed: () => {} });
  const scheduler = await system.spawn(queryScheduler, null, { instance: '0' });
  const starts: StartContext[] = [];
  const taker = defineActor<{ kind: 'none' }, { none: null }, null>({
    name: 'taker',
    mailbox: { messages: 1, bytes: 1, concurrency: 1, whenFull: 'refuse' },
    restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
    async start(_, context) {
      starts.push(context);
      attachToSchedulers(localSchedulers(['0']), system, context);
      return { handlers: { none: async () => null }, observe: () => ({}), stop: async () => {} };
    },
  });
  const takers = await Promise.all(queriers.map((instance) => system.spawn(taker, null, { instance })));
  await world.settle();
  const there = async () => (await system.ask(schedulerProtocol, 'any', { kind: 'queriers' }, FOREVER)).queriers;
  const run = <T>(job: (querier: string) => Promise<T>, preferred = '', tries = 3): Promise<T> =>
    leased(system, { preferred, tries, waited: () => {}, world }, FOREVER, job);
  return { world, system, scheduler, takers, starts, there, run };
}

test('queriers are there from when they attach until they stop', async () => {
  const { world, takers, there } = await setUp(['q1', 'q2']);
  assert.deepEqual(await there(), ['q1', 'q2']);
  await takers[0].stop('shutdown');
  await world.settle();
  assert.deepEqual(await there(), ['q2']);
});

test('one scheduler without queriers leaves leases to others that have some, and there is none where nobody has', async () => {
  const { world, system, takers, there } = await setUp(['q1']);
  await system.spawn(queryScheduler, null, { instance: 'lonely' });
  for (let turn = 0; turn < 4; turn++) assert.deepEqual(await there(), ['q1']);
  await takers[0].stop('shutdown');
  await world.settle();
  await assert.rejects(there(), isFault('unavailable'));
});

test('a querier attaches again after the scheduler was started anew', async () => {
  const { world, system, scheduler, there } = await setUp(['q1']);
  await scheduler.stop('shutdown');
  await system.spawn(queryScheduler, null, { instance: '0' });
  await assert.rejects(there(), isFault('unavailable'));
  await world.advance(10_000);
  assert.deepEqual(await there(), ['q1']);
});

test('a scheduler stops at once, though queriers are attached to it', async () => {
  const { world, scheduler } = await setUp(['q1']);
  const beganMs = world.clock.monotonicMs();
  await scheduler.stop('shutdown');
  assert.equal(world.clock.monotonicMs(), beganMs);
});

test('a job whose querier is gone is done by another', async () => {
  const { run } = await setUp(['q1', 'q2', 'q3']);
  const asked: string[] = [];
  const result = await run(async (querier) => {
    asked.push(querier);
    if (asked.length < 3) throw new Fault('unavailable', `${querier} is gone`);
    return querier;
  }, 'q2');
  assert.equal(asked[0], 'q2');
  assert.deepEqual([...asked].sort(), ['q1', 'q2', 'q3']);
  assert.equal(result, asked[2]);
});

test('a job that fails for another reason, or everywhere, fails', async () => {
  const { run } = await setUp(['q1', 'q2']);
  let tries = 0;
  const failing = (code: 'overloaded' | 'unavailable') => async (): Promise<never> => {
    tries++;
    throw new Fault(code, 'no');
  };
  await assert.rejects(run(failing('overloaded')), isFault('overloaded'));
  assert.equal(tries, 1);
  await assert.rejects(run(failing('unavailable')), isFault('unavailable'));
  assert.equal(tries, 4);
});

test('a job whose querier is gone, and the scheduler with it, fails', async () => {
  const { world, scheduler, run } = await setUp(['q1', 'q2']);
  let tries = 0;
  const failing = run(async () => {
    tries++;
    const stopped = scheduler.stop('shutdown');
    await world.advance(10_000);
    await stopped;
    throw new Fault('unavailable', 'the querier is gone');
  });
  await assert.rejects(failing, isFault('unavailable'));
  assert.equal(tries, 1);
});

test('a lease ends with its job', async () => {
  const { world, system, run } = await setUp(['q1']);
  const ended = Promise.withResolvers<void>();
  const running = run(() => ended.promise);
  await world.settle();
  const running0 = () => system.observe()[0].detail.running;
  assert.equal(running0(), 1);
  ended.resolve();
  await running;
  await world.settle();
  assert.equal(running0(), 0);
});
