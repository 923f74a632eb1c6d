import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLogs } from '../../../actors/tail/shared-logs.ts';
import type { Feed } from '../../../actors/tail/tailed-logs.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';

const feed = (ingester: string): Feed => ({ group: ingester, ingester, state: 'open', hasBegun: true, isWanted: true });
const [a, b] = [feed('a'), feed('b')];

function rig(resume: [log: string, position: number][] = []) {
  const world = fakeWorld(1);
  const faults: Fault[] = [];
  const places = resume.map(([log, position]) => ({ ingester: '', log, position }));
  const logs = new SharedLogs(places, world.timers, (fault) => faults.push(fault));
  return {
    world,
    logs,
    faults,
    /** Positions of records [from, to), each with one batch, that are new. */
    come(from: number, to: number, log = 'p') {
      const positions = Array.from({ length: to - from }, (_, at) => from + at);
      const batches = positions.map((position) => Buffer.from(`${position}`));
      const arrived = logs.arrived(a, { kind: 'batches', from, next: { log, position: to }, batches, positions, missed: [] });
      logs.passed(arrived);
      return arrived.batches.map((batch) => Number(Buffer.from(batch).toString()));
    },
    places: () => logs.places().map(({ log, position }) => `${log} ${position}`),
  };
}

test('what a new owner reads again is not new, and what it reads beyond is', () => {
  const { come, places } = rig([['p', 10]]);
  assert.deepEqual(come(10, 14), [10, 11, 12, 13]);
  assert.deepEqual(come(11, 16), [14, 15]);
  assert.deepEqual(come(12, 15), []);
  assert.deepEqual(come(3, 5, 'q'), [3, 4]);
  assert.deepEqual(places(), ['p 16', 'q 5']);
});

test('an owner that is faster than the one before it is taken at its word, and the place waits for what is between', async () => {
  const { come, places, world, faults } = rig([['p', 10]]);
  assert.deepEqual(come(14, 16), [14, 15]);
  assert.deepEqual(come(20, 21), [20]);
  assert.deepEqual(places(), ['p 10']);
  assert.deepEqual(come(10, 15), [10, 11, 12, 13]);
  assert.deepEqual(places(), ['p 16']);
  assert.deepEqual(come(15, 22), [16, 17, 18, 19, 21]);
  assert.deepEqual(places(), ['p 22']);
  await world.advance(60_000);
  assert.deepEqual(faults, []);
});

test('records that nobody sends are the end, and a tail that goes on asks for them again', async () => {
  const { come, logs, world, faults } = rig([['p', 10]]);
  come(12, 13);
  await world.advance(10_000);
  assert.deepEqual(faults, []);
  await world.advance(10_000);
  const told = faults.map(({ code, message }) => `${code}: ${message}`);
  assert.match(told.join('\n'), /^unavailable: records 10 to 11 of p .*$/);
  assert.deepEqual(logs.resumption(b), [{ log: 'p', position: 10 }]);
});

test('one that is over fails no more', async () => {
  const { come, logs, world, faults } = rig([['p', 10]]);
  come(12, 13);
  logs.close();
  await world.advance(60_000);
  assert.deepEqual(faults, []);
});

test('it begins where the owner of each log is, of those without where they end', () => {
  const { logs, come, places } = rig();
  for (const one of [a, b]) assert.equal(logs.resumption(one), undefined);
  logs.begun(a, [
    { log: 'p', position: 7 },
    { log: 'q', position: 9 },
    { log: 'r', position: 4 },
  ]);
  logs.begun(b, [
    { log: 'p', position: 8 },
    { log: 'q', position: 5 },
    { log: 'r', position: 4 },
  ]);
  assert.deepEqual(places(), ['p 7', 'q 5', 'r 4']);
  // One that came later goes on where the tail was when it was asked.
  const asked = logs.resumption(feed('c'))!;
  assert.deepEqual(come(7, 9), [7, 8]);
  logs.begun(feed('c'), asked);
  assert.deepEqual(come(7, 9), []);
});

test('it is open once nobody is asked any more and one has answered; short when all are away, or one has lost what comes next', () => {
  const { logs } = rig();
  const state = (one: Feed, now: Feed['state']): Feed => ({ ...one, state: now });
  const cases: [Feed[], boolean, boolean][] = [
    [[a, state(b, 'opening')], false, false],
    [[a, state(b, 'away')], true, false],
    [[state(a, 'away'), state(b, 'away')], false, true],
    [[state(a, 'away'), state(b, 'opening')], false, false],
    [[{ ...a, isWanted: false }, state(b, 'away')], false, true],
  ];
  for (const [feeds, isOpen, isShort] of cases) assert.deepEqual([logs.isOpen(feeds), logs.isShort(feeds)], [isOpen, isShort]);
  logs.lost(a, new Fault('unavailable', 'it is gone'));
  assert.equal(logs.isShort([a, b]), false);
  logs.lost(a, new Fault('not_found', 'it is not in memory any more'));
  assert.equal(logs.isShort([a, b]), true);
});
