import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dropped } from '../../../actors/tail/dropped.ts';
import { Seen } from '../../../actors/tail/seen.ts';
import { TailBuffer } from '../../../actors/tail/tail-buffer.ts';
import type { TailEntry } from '../../../logql/engine/render-tail.ts';
import { seededRandom } from '../../../ops/base/world-fake.ts';
import { numbers } from '../../support/checks.ts';

const entry = (timeNs: number, name = String(timeNs), size = 0): TailEntry => ({
  timeNs: BigInt(timeNs),
  labels: [['app', name]],
  text: name,
  value: new Uint8Array(size),
});
const names = (entries: readonly TailEntry[]): string[] => entries.map(({ text }) => text);
const ALL = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

test('entries come out in the order of time, those of one time as they came in', () => {
  const random = seededRandom(7);
  const buffer = new TailBuffer(1e9);
  const entries = numbers(500).map((number) => entry(Math.floor(random.next() * 50), `${number}`));
  for (const one of entries) assert.ok(buffer.add(one));
  const expected = entries.toSorted((a, b) => Number(a.timeNs - b.timeNs));
  assert.deepEqual(names(buffer.take(100n, ...ALL)), names(expected));
});

test('what is not old enough stays', () => {
  const buffer = new TailBuffer(1e9);
  for (const time of [5, 1, 9, 3]) buffer.add(entry(time));
  assert.equal(buffer.nextNs(), 1n);
  assert.deepEqual(names(buffer.take(4n, ...ALL)), ['1', '3']);
  assert.deepEqual(names(buffer.take(4n, ...ALL)), []);
  assert.equal(buffer.nextNs(), 5n);
  assert.deepEqual(names(buffer.take(9n, ...ALL)), ['5', '9']);
  assert.equal(buffer.nextNs(), undefined);
});

test('no more is taken than was asked for, by number and by bytes', () => {
  const buffer = new TailBuffer(1e9);
  for (const time of numbers(6)) buffer.add(entry(time, `${time}`, 10));
  assert.deepEqual(names(buffer.take(9n, 2, 1e9)), ['0', '1']);
  assert.deepEqual(names(buffer.take(9n, 9, 11)), ['2', '3']);
  assert.deepEqual(names(buffer.take(9n, 9, 1)), ['4']);
});

test('a full buffer refuses, whatever the entries weigh, until something is taken', () => {
  for (const size of [0, 1_000]) {
    const buffer = new TailBuffer(10_000);
    let held = 0;
    while (buffer.add(entry(held, 'same', size))) held++;
    assert.ok(held < 100, `${held} entries of ${size} bytes`);
    assert.equal(buffer.full, true);
    assert.equal(buffer.take(1_000n, 1, 1e9).length, 1);
    assert.equal(buffer.add(entry(0, 'same', size)), true);
    assert.equal(buffer.take(1_000n, ...ALL).length, held);
  }
});

test('history goes among the live entries by its time, in front at equal times, and does not fill the buffer', () => {
  const buffer = new TailBuffer(1);
  buffer.begin([entry(1, 'old 1', 1_000), entry(5, 'old 5', 1_000), entry(7, 'old 7')]);
  assert.equal(buffer.full, false);
  buffer.add(entry(5, 'new 5'));
  assert.equal(buffer.nextNs(), 1n);
  assert.deepEqual(names(buffer.take(6n, ...ALL)), ['old 1', 'old 5', 'new 5']);
  assert.deepEqual(names(buffer.take(9n, ...ALL)), ['old 7']);
});

const known = (mark: number, timeNs = 0, origin = '{app="a"}') => ({ mark: BigInt(mark), timeNs: BigInt(timeNs), origin });

test('an entry is new once, over many others since, and one of history never', () => {
  const seen = new Seen();
  seen.keep([known(1), known(2)]);
  assert.deepEqual([seen.isNew(known(1)), seen.isNew(known(3)), seen.isNew(known(3))], [false, true, false]);
  for (const number of numbers(60_000)) seen.isNew(known(100 + number));
  assert.deepEqual([seen.isNew(known(2)), seen.isNew(known(3))], [false, false]);
  for (const number of numbers(140_000)) seen.isNew(known(100_000 + number));
  assert.deepEqual([seen.isNew(known(2)), seen.isNew(known(3))], [false, true]);
});

test('equal lines are told apart by their times and streams', () => {
  const seen = new Seen();
  for (const time of numbers(1_000)) for (const stream of ['{app="a"}', '{app="b"}']) assert.ok(seen.isNew(known(7, time, stream)));
  for (const time of numbers(1_000)) for (const stream of ['{app="a"}', '{app="b"}']) assert.ok(!seen.isNew(known(7, time, stream)));
});

test('dropped entries are told in their order, with their labels, and then forgotten', () => {
  const dropped = new Dropped();
  for (const time of numbers(100)) dropped.add(entry(time, `${time % 3}`));
  const first = dropped.take(70);
  assert.deepEqual(first.slice(68), [
    { timeNs: 68n, text: '2', labels: [['app', '2']] },
    { timeNs: 69n, text: '0', labels: [['app', '0']] },
  ]);
  dropped.add(entry(1_000, 'last'));
  assert.deepEqual(
    dropped.take(100).map(({ timeNs }) => Number(timeNs)),
    [...numbers(100).slice(70), 1_000],
  );
  assert.deepEqual(dropped.take(1), []);
});

test('of too many dropped entries, or labels, the first are told', () => {
  const dropped = new Dropped();
  for (const time of numbers(300_000)) dropped.add(entry(time, 'same'));
  assert.equal(dropped.take(1e6).length, 200_000);
  for (const time of numbers(3_000)) dropped.add(entry(time, `${time}`.padStart(1_000)));
  assert.ok(dropped.take(1e6).length < 1_100);
  dropped.add(entry(1));
  assert.equal(dropped.take(1).length, 1);
});
