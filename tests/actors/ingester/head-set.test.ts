import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadSet } from '../../../actors/ingester/head-set.ts';
import { KiB, MiB } from '../../../ops/base/bytes.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import {
  batchesOf,
  batchOf,
  HOUR_START_NS,
  LABELS,
  type PlainRow,
  random,
  randomRows,
  rowsOf,
  seeds,
  sortedUnique,
} from '../../storage/chunk/rows.ts';
import { numbers } from '../../support/checks.ts';

function filled(streams: number, hours: number, rows: number): HeadSet {
  const set = new HeadSet();
  for (const stream of numbers(streams)) {
    for (const hour of numbers(hours)) {
      const fromNs = HOUR_START_NS + BigInt(hour) * BigInt(HOUR_NS);
      const lines = numbers(rows).map((row) => ({ time: fromNs + BigInt(row), line: 'line', metadata: {} }));
      set.append('a', batchOf(lines, `{app="${stream}"}`, 'a'));
    }
  }
  return set;
}

test('memory counts what short lines cost beside their bytes: in many streams, in many hours, in many rows', () => {
  const one = filled(1, 1, 1);
  assert.equal(one.lineBytes, 4);
  assert.ok(filled(100, 1, 1).memoryBytes > 100 * KiB);
  assert.ok(filled(1, 100, 1).memoryBytes > 100 * 4 * KiB);
  assert.ok(filled(1, 1, 1000).memoryBytes >= 1000 * (4 + 12));
  assert.equal(filled(7, 3, 2).streamCount, 7);
});

/** Heads of one stream and hour, filled with batches of `rows` entries with two metadata keys each. */
function described(batches: number, rows: number, keyOf: (row: number) => string): HeadSet {
  const set = new HeadSet();
  for (const number of numbers(batches)) {
    const entries = numbers(rows).map((index) => {
      const row = number * rows + index;
      return { time: HOUR_START_NS + BigInt(row), line: 'line', metadata: { [keyOf(row)]: 'value', level: 'info' } };
    });
    set.append('a', batchOf(entries, LABELS, 'a'));
  }
  return set;
}

const headsOf = (set: HeadSet) => set.sorted().flatMap((stream) => stream.hours().flatMap(([, heads]) => heads));

test('entries with ever new metadata keys take memory by the entry, and it is counted', () => {
  const set = described(100, 40, (row) => `key-${row}`);
  const bytes = headsOf(set).reduce((sum, head) => sum + head.bytes, 0);
  assert.ok(bytes < 4_000 * 2 * KiB, `${bytes} bytes`);
  assert.ok(set.memoryBytes > bytes / 3, `${set.memoryBytes} of ${bytes} bytes counted`);
  assert.equal(
    headsOf(set).reduce((sum, { rows }) => sum + rows, 0),
    4_000,
  );
});

test('entries with the same few metadata keys, in whatever order, stay in one head', () => {
  assert.equal(headsOf(described(100, 40, (row) => `key-${row % 20}`)).length, 1);
});

for (const seed of seeds(50)) {
  test(`a stream gives out what it took in, be it little or much, seed ${seed}`, () => {
    const next = random(seed);
    const set = new HeadSet();
    const taken = new Map<string, PlainRow[]>();
    for (let push = 0; push < 40; push++) {
      const labels = `{app="${Math.floor(next() * 4)}"}`;
      const rows = randomRows(next, 1 + Math.floor(next() * (next() < 0.1 ? 200 : 4)));
      taken.set(labels, [...(taken.get(labels) ?? []), ...rows]);
      const batches = batchesOf(next, rows, labels, 'a');
      for (const batch of batches) {
        set.append('a', batch);
        batch.bytes.fill(0); // nobody needs it any more
      }
    }
    assert.equal(set.streamCount, taken.size);
    for (const stream of set.select('a', [])) {
      const expected = sortedUnique(taken.get(stream.labels)!);
      const found = stream.hours().flatMap(([, heads]) => heads.flatMap((head) => rowsOf(head.block())));
      assert.deepEqual(sortedUnique(found), expected);
      const times = expected.map(({ time }) => time);
      assert.ok(stream.touches(times[0], times[0] + 1n) && stream.touches(times.at(-1)!, times.at(-1)! + 1n));
      assert.ok(!stream.touches(times.at(-1)! + 1n, times.at(-1)! + 2n) && !stream.touches(times[0] - 1n, times[0]));
    }
    set.free();
  });
}

test('few entries of a stream take little more than their bytes', () => {
  const set = filled(10_000, 1, 5);
  assert.ok(set.memoryBytes < 10_000 * 1.5 * KiB, `${set.memoryBytes}`);
  assert.equal(
    headsOf(set).reduce((sum, { rows }) => sum + rows, 0),
    50_000,
  );
});

test('many streams are flushed later, so that each has some entries, but not without bound', () => {
  const due = (streams: number): number => filled(streams, 1, 1).dueBytes(24 * MiB);
  assert.equal(due(30), 24 * MiB + 30 * 4 * KiB);
  assert.equal(due(10_000), 24 * MiB + 10_000 * 4 * KiB);
  assert.equal(due(50_000), 8 * 24 * MiB);
});
