import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchArena, NO_BATCH } from '../../../actors/ingester/batch-arena.ts';
import { Head } from '../../../storage/chunk/head.ts';
import { batchOf, HOUR_START_NS, type PlainRow, rowsOf } from '../../storage/chunk/rows.ts';

const rowsFrom = (first: number, count: number): PlainRow[] =>
  Array.from({ length: count }, (_, index) => ({
    time: HOUR_START_NS + BigInt(first + index),
    line: `line ${first + index}`,
    metadata: (first + index) % 3 === 0 ? { level: 'info' } : {},
  }));

test('lists of batches come back in order, over many pages, without labels', () => {
  const arena = new BatchArena();
  const last = [NO_BATCH, NO_BATCH, NO_BATCH];
  for (let number = 0; number < 6_000; number++)
    last[number % 3] = arena.add(batchOf(rowsFrom(number * 10, 1 + (number % 9))), last[number % 3]);
  assert.ok(arena.bytes > 1.5e6);
  for (const [list, place] of last.entries()) {
    const batches = arena.list(place);
    assert.equal(batches.length, 2_000);
    for (const [at, batch] of batches.entries()) {
      const number = at * 3 + list;
      assert.equal(batch.labels(), '');
      const head = new Head(batch.hour);
      head.append(batch);
      assert.deepEqual(rowsOf(head.block()), rowsFrom(number * 10, 1 + (number % 9)));
    }
  }
  assert.deepEqual(arena.list(NO_BATCH), []);
});
