import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadSet } from '../../../actors/ingester/head-set.ts';
import { KiB } from '../../../ops/base/bytes.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { batchOf, HOUR_START_NS, LABELS } from '../../storage/chunk/rows.ts';
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
  assert.ok(filled(100, 1, 1).memoryBytes > 100 * 4 * KiB);
  assert.ok(filled(1, 100, 1).memoryBytes > 100 * 4 * KiB);
  assert.ok(filled(1, 1, 1000).memoryBytes - one.memoryBytes >= 1000 * (4 + 12));
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

const headsOf = (set: HeadSet) => set.sorted().flatMap(({ hours }) => [...hours.values()].flat());

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
