import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS, fakeWorld, seededRandom } from '../../../ops/base/world-fake.ts';

test('timers fire in the order of their deadlines, at their deadlines, also those armed by another timer', async () => {
  const { timers, clock, advance } = fakeWorld(1);
  const fired: string[] = [];
  const mark = (what: string) => fired.push(`${what} at ${clock.monotonicMs()}`);
  timers.after(50, () => mark('late'));
  timers.after(10, () => {
    mark('early');
    timers.after(5, () => mark('armed by early'));
  });
  timers.after(10, () => mark('second'));
  const cancel = timers.after(20, () => mark('cancelled'));
  cancel();
  await advance(49);
  assert.deepEqual(fired, ['early at 10', 'second at 10', 'armed by early at 15']);
  assert.equal(clock.nowMs(), FAKE_START_MS + 49);
  await advance(1);
  assert.equal(fired.at(-1), 'late at 50');
});

test('what a timer wakes runs before time goes on, however often it yields', async () => {
  const { timers, clock, advance } = fakeWorld(1);
  const seen: number[] = [];
  const loop = async () => {
    for (let round = 0; round < 3; round++) {
      await timers.sleep(100);
      for (let turn = 0; turn < 10; turn++) await timers.yield();
      seen.push(clock.monotonicMs());
    }
  };
  const done = loop();
  await advance(1_000);
  await done;
  assert.deepEqual(seen, [100, 200, 300]);
});

test('a sleep ends early, with the reason, when its signal is aborted', async () => {
  const { timers, advance } = fakeWorld(1);
  const aborted = new AbortController();
  const reason = new Error('enough');
  const sleeping = assert.rejects(timers.sleep(100, aborted.signal), reason);
  aborted.abort(reason);
  await sleeping;
  await assert.rejects(timers.sleep(100, aborted.signal), reason);
  await advance(200);
});

test('runUntil stops at the deadline that made it true, and says why it never came true', async () => {
  const world = fakeWorld(1);
  let count = 0;
  const tick = () => {
    count++;
    world.timers.after(10, tick);
  };
  tick();
  await world.runUntil(() => count === 4, { withinMs: 100 });
  assert.equal(world.clock.monotonicMs(), 30);
  await assert.rejects(
    world.runUntil(() => false, { withinMs: 100 }),
    /within 100 ms/,
  );
  await assert.rejects(
    fakeWorld(1).runUntil(() => false, { withinMs: 100 }),
    /nothing left/,
  );
});

test('random numbers follow from the seed', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.next(), random.next(), random.id()];
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.match(seededRandom(1).id(), /^[0-9a-f]{32}$/);
  const random = seededRandom(3);
  const mean = Array.from({ length: 10_000 }, () => random.next()).reduce((sum, value) => sum + value) / 10_000;
  assert.ok(Math.abs(mean - 0.5) < 0.02);
});
