import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Watermark } from '../../../actors/ingester/watermark.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { seeds } from '../../storage/chunk/rows.ts';
import { numbers } from '../../support/checks.ts';
import { Dice } from '../../support/dice.ts';

type Step = readonly ['end', atMs: number, end: number, appliedTo: number] | readonly ['applied', appliedTo: number, lastMs: number];

const cases: [what: string, fromMs: number, steps: Step[], ms: number][] = [
  ['at first, what was known before', 500, [], 500],
  ['nothing is behind the end', 500, [['end', 1_000, 7, 7]], 1_000],
  ['more was read than there was when it was looked', 500, [['end', 1_000, 7, 9]], 1_000],
  ['an empty log', 0, [['end', 1_000, 0, 0]], 1_000],
  ['something is behind the end', 500, [['end', 1_000, 7, 6]], 500],
  ['what was read last', 500, [['applied', 6, 800]], 800],
  [
    'an end that is not reached',
    500,
    [
      ['end', 1_000, 7, 5],
      ['applied', 6, 800],
    ],
    800,
  ],
  [
    'an end that is reached',
    500,
    [
      ['end', 1_000, 7, 5],
      ['applied', 7, 800],
    ],
    1_000,
  ],
  [
    'an end that is reached by one that came later',
    500,
    [
      ['end', 1_000, 7, 5],
      ['applied', 9, 1_200],
    ],
    1_200,
  ],
  [
    'the first of two ends',
    500,
    [
      ['end', 1_000, 7, 5],
      ['end', 2_000, 9, 5],
      ['applied', 8, 900],
    ],
    1_000,
  ],
  [
    'two ends at once',
    500,
    [
      ['end', 1_000, 7, 5],
      ['end', 2_000, 9, 5],
      ['applied', 9, 900],
    ],
    2_000,
  ],
  [
    'two ends one after the other',
    500,
    [
      ['end', 1_000, 7, 5],
      ['end', 2_000, 9, 5],
      ['applied', 7, 900],
      ['applied', 9, 901],
    ],
    2_000,
  ],
  [
    'the same end at a later time',
    500,
    [
      ['end', 1_000, 7, 5],
      ['end', 2_000, 7, 5],
      ['applied', 7, 900],
    ],
    2_000,
  ],
  ['it does not go back by what is read', 500, [['applied', 6, 300]], 500],
  [
    'it does not go back by an end',
    500,
    [
      ['end', 1_000, 7, 7],
      ['end', 800, 7, 7],
    ],
    1_000,
  ],
  [
    'an end from before what was read last',
    500,
    [
      ['end', 1_000, 7, 5],
      ['applied', 6, 1_500],
      ['applied', 7, 1_400],
    ],
    1_500,
  ],
];
for (const [what, fromMs, steps, ms] of cases) {
  test(`watermark: ${what}`, () => {
    const watermark = new Watermark(fromMs);
    for (const step of steps) {
      if (step[0] === 'end') watermark.sawEnd(step[1], step[2], step[3]);
      else watermark.applied(step[1], step[2]);
    }
    assert.equal(watermark.ms, ms);
  });
}

test('of many ends that are not reached some are remembered; later ones count again once those are', () => {
  const watermark = new Watermark(0);
  for (const number of numbers(10_000)) watermark.sawEnd(1_000 + number, 10 + number, 0);
  watermark.applied(10, 1);
  assert.equal(watermark.ms, 1_000);
  watermark.applied(10 + 10_000, 2);
  const reached = watermark.ms;
  assert.ok(reached >= 1_100 && reached < 2_000, `${reached} ms`);
  watermark.sawEnd(20_000, 20_000, 10_010);
  assert.equal(watermark.ms, reached);
  watermark.applied(20_000, 3);
  assert.equal(watermark.ms, 20_000);
});

for (const seed of seeds(50)) {
  test(`everything from before the watermark is here, and all of it once there is nothing more, seed ${seed}`, () => {
    const dice = new Dice(fakeWorld(seed).random);
    const watermark = new Watermark(0);
    /** When the log took in each record; several may have one time. */
    const log: number[] = [];
    let [nowMs, appliedTo] = [1_000, 0];
    /** Takes a moment to be told of, in which the log may grow. */
    let looked: { readonly atMs: number; readonly end: number } | undefined;
    const apply = (upTo: number): void => {
      appliedTo = upTo;
      watermark.applied(appliedTo, log[appliedTo - 1]);
    };
    for (const _ of numbers(2_000)) {
      nowMs += dice.below(3);
      if (dice.chance(0.5)) log.push(nowMs);
      if (dice.chance(0.1)) {
        if (looked !== undefined) watermark.sawEnd(looked.atMs, looked.end, appliedTo);
        const atMs = nowMs;
        if (dice.chance(0.5)) log.push(nowMs);
        looked = { atMs, end: log.length };
      }
      if (dice.chance(0.2) && appliedTo < log.length) apply(appliedTo + 1 + dice.below(log.length - appliedTo));
      const missing = log[appliedTo] ?? nowMs;
      assert.ok(watermark.ms <= missing, `says ${watermark.ms}, lacks what came in at ${missing}`);
    }
    if (appliedTo < log.length) apply(log.length);
    watermark.sawEnd(nowMs, log.length, appliedTo);
    assert.equal(watermark.ms, nowMs);
  });
}
