import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadSet } from '../../../actors/ingester/head-set.ts';
import { KiB } from '../../../ops/base/bytes.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
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
