import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../ops/base/world-fake.ts';
import { Closure } from '../../../storage/segment/closure.ts';
import { floors, type ListedLevelZero, levelZeroGarbage, type Seen, type Survey } from '../../../storage/segment/garbage.ts';
import { type ListedSegment, type LiveSet, liveSet, standIn } from '../../../storage/segment/live-set.ts';
import { explore, type Input, type Rules, type Scope, shipped } from './live-set-model.ts';

const LOG = 'w';
const SOAK = process.env.SOAK === '1';

/** 4 inputs, 2 tenants, 2 days, 2 compactors. */
const FULL: Scope = { inputs: [['a0'], ['a0', 'b1'], ['a0', 'a1'], ['a0', 'b0']], compactions: [2, 2], graces: 2, mostInputs: 2 };
const REDUCED: Scope = { inputs: [['a0'], ['a0', 'b1'], ['a0']], compactions: [2, 1], graces: 2, mostInputs: 2 };

test('in whatever order two compactors and a collector act, every part counts once and nothing is deleted under a reader', (context) => {
  for (const scope of SOAK ? [REDUCED, FULL] : [REDUCED]) {
    const { states, wrong } = explore(scope, shipped);
    assert.deepEqual(wrong, undefined);
    context.diagnostic(`${states} states`);
  }
});

const direct = (inputs: readonly Input[]): Closure =>
  Closure.of(
    inputs.flatMap((input) => (typeof input === 'number' ? [{ log: LOG, from: input }] : [])),
    inputs.flatMap((input) => (typeof input === 'number' ? [] : [input.key])),
  );

function walked(
  segments: readonly ListedSegment[],
  order: (a: ListedSegment, b: ListedSegment) => number,
  standsBack: (segment: ListedSegment, other: ListedSegment) => boolean,
): LiveSet<ListedSegment> {
  const accepted: ListedSegment[] = [];
  const obstacles = new Map<ListedSegment, ListedSegment>();
  for (const segment of [...segments].sort(order)) {
    const obstacle = accepted.find((other) => standsBack(segment, other));
    if (obstacle === undefined) accepted.push(segment);
    else obstacles.set(segment, obstacle);
  }
  return { accepted, obstacles };
}
const byCreation = (a: ListedSegment, b: ListedSegment): number => b.level - a.level || a.createdMs - b.createdMs;
const byKey = (a: ListedSegment, b: ListedSegment): number => b.level - a.level || (a.key < b.key ? -1 : 1);

/** Nothing counts that any listed segment names as one of its inputs, whether that one counts itself or not. */
const named: Partial<Rules> = {
  closure: direct,
  live: (segments) => {
    const namer = ({ key }: ListedSegment) => segments.find(({ closure }) => closure.segments.has(key));
    const stale = segments.flatMap((segment) => {
      const by = namer(segment);
      return by === undefined ? [] : [[segment, by] as const];
    });
    return { accepted: segments.filter((segment) => namer(segment) === undefined), obstacles: new Map(stale) };
  },
  standIn: (_set, listed, log, from) => listed.find(({ closure }) => closure.hasLevelZero(log, from)),
};

const THREE = [['a0'], ['a0'], ['a0']];
const wrongRules: [what: string, rules: Partial<Rules>, scope: Scope][] = [
  [
    'a segment that stands only for what it was made from itself: what was merged before counts again',
    { closure: direct },
    { inputs: THREE, compactions: [3], graces: 0, mostInputs: 2 },
  ],
  [
    'two compactions that share an input both count',
    { live: (segments) => walked(segments, byCreation, ({ key }, { closure }) => closure.segments.has(key)) },
    { inputs: THREE, compactions: [1, 1], graces: 0, mostInputs: 2 },
  ],
  [
    'what was merged is deleted before what it was made from, which counts again',
    { ...named, order: (keys) => keys.toReversed() },
    { inputs: THREE, compactions: [3], graces: 2, mostInputs: 2, latePuts: false },
  ],
  [
    'of two that share an input the one with the smaller id counts, however late it came',
    {
      live: (segments) => walked(segments, byKey, ({ key, closure: own }, { closure }) => closure.segments.has(key) || closure.meets(own)),
    },
    { inputs: THREE, compactions: [1, 1], graces: 2, mostInputs: 2 },
  ],
  ['a compaction of several levels', { oneLevel: false }, { inputs: THREE, compactions: [2, 1], graces: 1, mostInputs: 2 }],
  ['nothing is kept for readers by an older listing', { graceMs: 0 }, { inputs: THREE, compactions: [1], graces: 0, mostInputs: 2 }],
];

for (const [what, rules, scope] of wrongRules) {
  test(`the same check finds fault with: ${what}`, (context) => {
    const { wrong } = explore(scope, { ...shipped, ...rules });
    assert.notEqual(wrong, undefined);
    context.diagnostic(String(wrong?.at(-1)));
  });
}

test('of these, the third is about the order alone: from below upwards nothing is wrong with it', () => {
  const scope = { inputs: THREE, compactions: [3], graces: 2, mostInputs: 2, latePuts: false };
  const { wrong } = explore(scope, { ...shipped, ...named });
  assert.equal(wrong, undefined);
});

// --- level-0 objects ----------------------------------------------------------------------------------------------------------------------------------

const NOW = 10_000;
const GRACE = 1_000;

const segment = (positions: number[], { seenMs = 0, cover = 0 } = {}): ListedSegment & Seen => ({
  key: `t/0/1-${positions}`,
  level: 1,
  createdMs: 0,
  seenMs,
  closure: Closure.of(
    positions.map((from) => ({ log: LOG, from })),
    [],
  ),
  cover: new Map([[LOG, cover]]),
});
const object = (from: number, to: number, parts: string[] = ['t'], seenMs = 0): ListedLevelZero => ({
  key: `${from}`,
  log: LOG,
  from,
  to,
  seenMs,
  parts: parts.map((tenant) => ({ tenant, day: 0 })),
});
const survey = (levelZero: ListedLevelZero[], live: Record<string, (ListedSegment & Seen)[]>): Survey => ({
  levelZero,
  live: (tenant) => (live[tenant] === undefined ? undefined : liveSet(live[tenant])),
  nowMs: NOW,
  graceMs: GRACE,
});

const levelZeroCases: [what: string, Survey, garbage: string[], floor: number | undefined][] = [
  ['all merged: the last stays', survey([object(0, 5), object(5, 9)], { t: [segment([0, 5])] }), ['0'], 9],
  ['one day not merged yet', survey([object(0, 5, ['t', 'u']), object(5, 9)], { t: [segment([0, 5])], u: [] }), [], undefined],
  ['one day that cannot be read', survey([object(0, 5, ['t', 'u']), object(5, 9)], { t: [segment([0, 5])] }), [], undefined],
  ['merged just now', survey([object(0, 5), object(5, 9)], { t: [segment([0, 5], { seenMs: NOW - 999 })] }), [], undefined],
  ['followed just now', survey([object(0, 5), object(5, 9, ['t'], NOW - 999)], { t: [segment([0])] }), [], 5],
  ['without entries', survey([object(0, 5, []), object(5, 9)], { t: [] }), ['0'], 5],
  [
    'a gap that a listing left: what is behind it is not past',
    survey([object(0, 5), object(7, 9), object(9, 11)], { t: [segment([0, 7])] }),
    ['0', '7'],
    5,
  ],
  ['below the cover', survey([object(0, 7), object(5, 9), object(9, 12)], { t: [segment([5], { cover: 5 })] }), ['0', '5'], 7],
];

for (const [what, objects, garbage, floor] of levelZeroCases) {
  test(`level-0 objects that can go: ${what}`, () => {
    assert.deepEqual(levelZeroGarbage(objects), garbage);
    assert.equal(floors(objects).get(LOG), floor);
  });
}

test('a level-0 part counts unless a segment that counts stands for it, or the log is past it', () => {
  const set = liveSet([segment([0, 5], { cover: 3 })]);
  const counting = [0, 1, 3, 4, 5, 6].filter((from) => standIn(set, LOG, from) === undefined);
  assert.deepEqual(counting, [3, 4, 6]);
  assert.equal(standIn(set, 'another', 0), undefined);
});

/** As the rule is written down. */
function byTheBook(segments: readonly ListedSegment[]): LiveSet<ListedSegment> {
  const order = (a: ListedSegment, b: ListedSegment): number => byCreation(a, b) || (a.key < b.key ? -1 : 1);
  return walked(segments, order, ({ key, closure: own }, { closure }) => closure.segments.has(key) || closure.meets(own));
}

test('the set and its stand-ins are those of the rule, whatever overlaps', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const some = <T>(items: readonly T[], share: number): T[] => items.filter(() => random.next() < share);
    const below = (most: number): number => Math.floor(random.next() * most);
    const keys = Array.from({ length: 12 }, (_, number) => `s${number}`);
    const positions = ['v', 'w'].flatMap((log) => Array.from({ length: 10 }, (_, from) => ({ log, from })));
    const segments = some(keys, 0.8).map((key): ListedSegment => {
      const closure = Closure.of(some(positions, 0.1), some(keys, 0.05));
      return { key, level: 1 + below(3), createdMs: below(4), closure, cover: new Map([['w', below(10)]]) };
    });
    const [set, book] = [liveSet(segments), byTheBook(segments)];
    assert.deepEqual(set, book);
    for (const { log, from } of positions) {
      const inBook = book.accepted.find(({ closure, cover }) => closure.hasLevelZero(log, from) || from < (cover.get(log) ?? 0));
      assert.equal(standIn(set, log, from), inBook);
    }
  }
});

test('the set of very many segments takes no time to speak of', () => {
  const segments = Array.from({ length: 10_000 }, (_, number): ListedSegment => {
    const parts = Array.from({ length: 8 }, (_, index) => ({ log: `log-${index % 2}`, from: (number * 8 + index) * 1e9 }));
    return { key: String(number), level: 1, createdMs: number, closure: Closure.of(parts, []), cover: new Map([['log-0', 0]]) };
  });
  const startMs = performance.now();
  const set = liveSet(segments);
  for (let number = 0; number < 10_000; number++) assert.equal(standIn(set, 'log-1', (number * 8 + 1) * 1e9), segments[number]);
  assert.ok(performance.now() - startMs < 1_000);
});
