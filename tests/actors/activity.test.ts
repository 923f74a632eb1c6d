import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Activity } from '../../actors/activity.ts';
import { IdlePace, shareWhenLate } from '../../actors/compactor/idle-pace.ts';
import { realWorld } from '../../ops/base/world.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';

test('what one thread does another sees, also when it is over already', () => {
  const memory = Activity.memoryFor(2);
  const [one, other] = [new Activity(memory, 0), new Activity(memory, 1)];
  assert.equal(one.busy(), false);
  const end = other.begin();
  assert.deepEqual([one.busy(), one.busy()], [true, true]);
  end();
  assert.equal(one.busy(), false);
  other.begin()();
  assert.deepEqual([one.busy(), one.busy()], [true, false]);
});

test('what a thread had begun when it died does not count any more', () => {
  const memory = Activity.memoryFor(2);
  const one = new Activity(memory, 0);
  new Activity(memory, 1).begin();
  assert.equal(one.busy(), true);
  new Activity(memory, 1);
  assert.equal(one.busy(), false);
});

const paces: [what: string, busy: boolean, lateHours: number, workMs: number, restMs: number][] = [
  ['a short step', true, 0, 4, 0],
  ['a slice while nobody waits', false, 0, 8, 0],
  ['a slice while somebody waits', true, 0, 8, 112],
  ['a slice while somebody waits, of work that is three hours late', true, 3, 8, 32],
  ['a slice while somebody waits, of work that is most of a day late', true, 20, 8, 0],
  ['a long step while somebody waits', true, 0, 200, 1_000],
];
for (const [what, busy, lateHours, workMs, restMs] of paces) {
  test(`the pace after ${what}`, async () => {
    const world = fakeWorld(1);
    const pace = new IdlePace(world, new AbortController().signal, () => busy);
    pace.share = shareWhenLate(lateHours * 3_600_000);
    await world.advance(workMs);
    let done = false;
    const way = pace.giveWay().then(() => {
      done = true;
    });
    if (restMs > 0) {
      await world.advance(restMs - 1);
      assert.equal(done, false);
      await world.advance(1);
    }
    await way;
  });
}

test('the pace ends with the signal', async () => {
  const ending = new AbortController();
  const pace = new IdlePace(fakeWorld(1), ending.signal, () => false);
  await pace.giveWay();
  ending.abort(new Error('over'));
  await assert.rejects(pace.giveWay(), /over/);
});

const crowded: [what: string, lateHours: number, cores: number, ofTime: number][] = [
  ['a core of its own', 0, 1, 1 / 15],
  ['a tenth of a core', 0, 0.1, 1 / 15],
  ['a twentieth of a core: there is nothing to rest from', 0, 0.05, 0.05],
  ['a tenth of a core, and work that is three hours late', 3, 0.1, 0.1],
];
for (const [what, lateHours, cores, ofTime] of crowded) {
  test(`the share of the time that work gets on ${what}`, async () => {
    let [nowMs, cpuMs] = [0, 0];
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, threadCpuMs: () => cpuMs };
    const after = () => () => {};
    const sleep = async (ms: number): Promise<void> => {
      nowMs += ms;
    };
    const timers = { after, sleep, yield: async () => {} };
    const pace = new IdlePace({ ...fakeWorld(1), clock, timers }, new AbortController().signal, () => true);
    pace.share = shareWhenLate(lateHours * 3_600_000);
    while (cpuMs < 1_000) {
      cpuMs += 1;
      nowMs += 1 / cores;
      await pace.giveWay();
    }
    assert.ok(Math.abs(cpuMs / nowMs - ofTime) < ofTime / 100, `${cpuMs / nowMs}`);
  });
}

test('this system tells what CPU time a thread has had', () => {
  const { clock } = realWorld();
  const before = clock.threadCpuMs!();
  const startMs = performance.now();
  while (performance.now() - startMs < 50);
  const had = clock.threadCpuMs!() - before;
  assert.ok(had > 1 && had < 60, `${had} ms`);
});
