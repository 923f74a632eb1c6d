import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finish, finishInTurns, STEP_ITEMS, sorted } from '../../../logql/engine/steps.ts';
import { seededRandom } from '../../../ops/base/world-fake.ts';

for (const count of [0, 1, 2, STEP_ITEMS, STEP_ITEMS + 1, 5 * STEP_ITEMS + 7, 20_000]) {
  test(`${count} items are sorted as a stable sort has them, with stops`, async () => {
    const random = seededRandom(count);
    const items = Array.from({ length: count }, (_, index) => ({ key: Math.floor(random.next() * 500), index }));
    const compare = (a: { key: number }, b: { key: number }) => a.key - b.key;
    const expected = [...items].sort(compare);
    assert.deepEqual(finish(sorted(items, compare)), expected);
    let stops = 0;
    const inTurns = await finishInTurns(sorted(items, compare), async () => {
      stops++;
    });
    assert.deepEqual(inTurns, expected);
    assert.ok(stops >= Math.floor(count / STEP_ITEMS));
  });
}

test('work ends where giving way throws', async () => {
  const work = sorted(
    Array.from({ length: 10_000 }, (_, index) => -index),
    (a, b) => a - b,
  );
  await assert.rejects(
    finishInTurns(work, () => Promise.reject(new Error('gone'))),
    /gone/,
  );
});
