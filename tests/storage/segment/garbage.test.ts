import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Closure } from '../../../storage/segment/closure.ts';
import { floors, type ListedLevelZero, levelZeroGarbage, type Seen, type Survey } from '../../../storage/segment/garbage.ts';
import { type ListedSegment, liveSet } from '../../../storage/segment/live-set.ts';

const GRACE_MS = 10;
const LONG_AFTER_MS = 1_000;

const object = (from: number, parts: ListedLevelZero['parts']): ListedLevelZero => ({
  key: `object at ${from}`,
  log: 'log',
  from,
  to: from + 10,
  seenMs: 0,
  parts,
});

const one = { tenant: 'one', day: 1 };
const other = { tenant: 'other', day: 1 };
const ofOne: ListedSegment & Seen = {
  key: 'segment',
  level: 1,
  createdMs: 0,
  seenMs: 0,
  closure: Closure.of(
    [0, 10].map((from) => ({ log: 'log', from })),
    [],
  ),
  cover: new Map(),
};

function survey(levelZero: readonly ListedLevelZero[]): Survey {
  const live = (tenant: string) => liveSet(tenant === 'one' ? [ofOne] : []);
  return { levelZero, live, nowMs: LONG_AFTER_MS, graceMs: GRACE_MS };
}

test('what was merged for all its tenants can be deleted, and the log is done with as far as that goes', () => {
  const objects = survey([object(0, [one]), object(10, [one]), object(20, [other]), object(30, [other])]);
  assert.deepEqual(levelZeroGarbage(objects), ['object at 0', 'object at 10']);
  assert.deepEqual([...floors(objects)], [['log', 20]]);
});

test('an object that cannot be read is kept, and no log is done with beyond it: what it holds for others counts again once it can be read', () => {
  const objects = survey([object(0, undefined), object(10, [one]), object(20, [other])]);
  assert.deepEqual(levelZeroGarbage(objects), ['object at 10']);
  assert.deepEqual([...floors(objects)], []);
});
