import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../actors/turns.ts';
import { type FakeWorld, fakeWorld } from '../../ops/base/world-fake.ts';

const forever = new AbortController().signal;

/** A world whose time goes on by as much as work says it took. */
function rig(places?: number): { world: FakeWorld; turns: Turns; work(ms: number): void } {
  const world = fakeWorld(1);
  let workedMs = 0;
  const clock = { nowMs: world.clock.nowMs, monotonicMs: () => workedMs };
  return { world, turns: new Turns({ ...world, clock }, places), work: (ms) => (workedMs += ms) };
}

test('what has worked least goes on first', async () => {
  const { world, turns, work } = rig();
  const order: string[] = [];
  const run = async (name: string, steps: number): Promise<void> => {
    const slices = turns.begin(forever);
    for (let step = 0; step < steps; step++) {
      order.push(name);
      work(10);
      await slices.giveWay();
    }
    order.push(`${name} ends`);
  };
  const long = run('long', 5);
  await world.settle();
  order.length = 0;
  await Promise.all([long, run('other', 6), run('short', 1)].map((one) => Promise.race([one, world.settle()])));
  await world.settle();
  assert.deepEqual(order.indexOf('short ends') < order.indexOf('other ends'), true, order.join());
});

test('light work waits for no place; what goes on waits for one, in order, and gives it on', async () => {
  const { world, turns, work } = rig(1);
  const first = turns.begin(forever);
  work(1_000);
  await Promise.all([first.giveWay(), world.settle()]);
  const done: string[] = [];
  const second = turns.begin(forever);
  work(1_000);
  void second.giveWay().then(() => done.push('second'));
  const light = turns.begin(forever);
  work(10);
  void light.giveWay().then(() => done.push('light'));
  await world.settle();
  assert.deepEqual(done, ['light']);
  first.end();
  await world.settle();
  assert.deepEqual(done, ['light', 'second']);
  second.end();
});

test('work that nobody waits for leaves its queues', async () => {
  const { world, turns, work } = rig(1);
  const first = turns.begin(forever);
  work(1_000);
  await Promise.all([first.giveWay(), world.settle()]);
  const gone = new AbortController();
  const second = turns.begin(gone.signal);
  work(1_000);
  const left = assert.rejects(second.giveWay(), /nobody/);
  gone.abort(new Error('nobody waits'));
  await left;
  second.end();
  first.end();
  const third = turns.begin(forever);
  work(1_000);
  await Promise.all([third.giveWay(), world.settle()]);
  third.end();
});

test('waiting is no work: it needs no place and has its turn first', async () => {
  const { world, turns, work } = rig(1);
  const first = turns.begin(forever);
  work(1_000);
  await Promise.all([first.giveWay(), world.settle()]);
  const order: string[] = [];
  const waits = turns.begin(forever);
  const others = Promise.withResolvers<void>();
  const waited = waits.waiting(others.promise);
  work(5_000);
  others.resolve();
  await waited;
  work(2);
  const works = turns.begin(forever);
  work(30);
  void works.giveWay().then(() => order.push('worked for 30 ms'));
  void waits.giveWay().then(() => order.push('waited'));
  await world.settle();
  assert.deepEqual(order.toSorted(), ['waited', 'worked for 30 ms']);
});

test('who waits for others that need a place gives its own on, and needs one again', async () => {
  const { world, turns, work } = rig(1);
  const first = turns.begin(forever);
  work(1_000);
  await Promise.all([first.giveWay(), world.settle()]);
  const others = Promise.withResolvers<void>();
  const left = first.leaving(others.promise);
  const second = turns.begin(forever);
  work(1_000);
  await Promise.all([second.giveWay(), world.settle()]);
  others.resolve();
  await left;
  work(1_000);
  let goesOn = false;
  void first.giveWay().then(() => (goesOn = true));
  await world.settle();
  assert.equal(goesOn, false);
  second.end();
  await world.settle();
  assert.equal(goesOn, true);
});
