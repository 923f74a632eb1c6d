import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTime, unlessAborted, within } from '../../../ops/base/within.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';

const MS = 1_000;
const never = new Promise<never>(() => {});

/** What becomes of it, with the time at which it does. */
async function outcomeOf(run: (world: ReturnType<typeof fakeWorld>) => Promise<unknown>): Promise<string> {
  const world = fakeWorld(1);
  let outcome = 'nothing';
  const at = (): string => `at ${Math.round(world.clock.monotonicMs())}`;
  const done = run(world).then(
    (value) => (outcome = `${value} ${at()}`),
    (error) => (outcome = `${error.message} ${at()}`),
  );
  await world.advance(2 * MS);
  await done;
  return outcome;
}

test('work that is in time, that fails, and that is late', async () => {
  assert.equal(await outcomeOf(() => inTime(fakeWorld(1).timers, MS, Promise.resolve('done'))), 'done at 0');
  assert.equal(
    await outcomeOf(({ timers }) =>
      inTime(
        timers,
        MS,
        timers.sleep(10).then(() => 'done'),
      ),
    ),
    'done at 10',
  );
  assert.equal(await outcomeOf(({ timers }) => inTime(timers, MS, Promise.reject(new Error('no')))), 'no at 0');
  assert.equal(await outcomeOf(({ timers }) => inTime(timers, MS, never)), `no answer for ${MS} ms at ${MS}`);
  assert.equal(await outcomeOf(({ timers }) => within(timers, MS, never)), `undefined at ${MS}`);
  assert.equal(await outcomeOf(({ timers }) => within(timers, MS, Promise.reject(new Error('no')))), 'no at 0');
});

test('work that is waited for until a signal, before and after it was given', async () => {
  const caller = new AbortController();
  const waiting = outcomeOf(async ({ timers }) => {
    timers.after(10, () => caller.abort(new Error('enough')));
    await unlessAborted(never, caller.signal);
  });
  assert.equal(await waiting, 'enough at 10');
  assert.equal(await outcomeOf(() => unlessAborted(never, caller.signal)), 'enough at 0');
  assert.equal(await outcomeOf(() => unlessAborted(Promise.resolve('done'), new AbortController().signal)), 'done at 0');
});
