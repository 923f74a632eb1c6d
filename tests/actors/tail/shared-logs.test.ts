import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailBegun } from '../../../actors/protocol/ingest.ts';
import { SharedLogs } from '../../../actors/tail/shared-logs.ts';
import type { Feed } from '../../../actors/tail/tailed-logs.ts';
import type { Fault } from '../../../ops/base/fault.ts';
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
  assert.deepEqual(come(0, 2, 'q'), [0, 1]);
  assert.deepEqual(places(), ['p 16', 'q 2']);
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
  assert.match(told.join('\n'), /^not_found: records 10 to 11 of p .*$/);
  assert.deepEqual(logs.resumption(b), [{ log: 'p', position: 10 }]);
});

test('one that is over fails no more', async () => {
  const { come, logs, world, faults } = rig([['p', 10]]);
  come(12, 13);
  logs.close();
  await world.advance(60_000);
  assert.deepEqual(faults, []);
});

const begun = (places: Record<string, number>, ends: Record<string, number> = {}): TailBegun => {
  const [read, elsewhere] = [places, ends].map((all) => Object.entries(all).map(([log, position]) => ({ log, position })));
  return { kind: 'begun', places: read, ends: elsewhere };
};

test('it begins where the owner of each log is, whatever end others see, and of those without at the last end that anybody saw', () => {
  const { logs, come, places } = rig();
  for (const one of [a, b]) assert.equal(logs.resumption(one), undefined);
  logs.begun(a, begun({ p: 7, s: 5 }, { q: 9, r: 4 }));
  logs.begun(b, begun({ q: 11, s: 3 }, { p: 4, r: 6 }));
  assert.deepEqual(places().sort(), ['p 7', 'q 11', 'r 6', 's 3']);
  // One that came later goes on where the tail was when it was asked.
  const asked = logs.resumption(feed('c'))!;
  assert.deepEqual(come(7, 9), [7, 8]);
  logs.begun(feed('c'), { ...begun({}), places: asked });
  assert.deepEqual(come(7, 9), []);
});

test('one that was asked before anything was known, and again when it came back, begins nothing anew', () => {
  const { logs, come } = rig();
  for (const one of [a, b]) assert.equal(logs.resumption(one), undefined);
  logs.begun(a, begun({ p: 7 }));
  const asked = logs.resumption(b)!;
  assert.deepEqual(come(7, 9), [7, 8]);
  logs.begun(b, { ...begun({}), places: asked });
  assert.deepEqual(come(7, 9), []);
});

test('who begins beyond says so, though there is nothing to send: what is between is waited for', async () => {
  const { come, places, world, faults } = rig([['p', 10]]);
  assert.deepEqual(come(15, 15), []);
  assert.deepEqual(places(), ['p 10']);
  await world.advance(20_000);
  assert.match(String(faults), /records 10 to 14 of p/);
});

test('a log that nobody knew of begins with its first record', async () => {
  const { come, places, world, faults } = rig([['p', 10]]);
  assert.deepEqual(come(3, 5, 'new'), [3, 4]);
  assert.deepEqual(come(0, 4, 'new'), [0, 1, 2]);
  await world.advance(60_000);
  assert.deepEqual([places(), faults], [['p 10', 'new 5'], []]);
});

test('each hole has its own time', async () => {
  const { come, world, faults } = rig([['p', 10]]);
  come(12, 13);
  await world.advance(14_000);
  come(15, 16);
  come(10, 12);
  await world.advance(14_000);
  assert.deepEqual(faults, []);
  await world.advance(2_000);
  assert.match(String(faults), /records 13 to 14 of p/);
});

test('it is open once nobody is asked any more and one has answered; short when all are away', () => {
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
});
