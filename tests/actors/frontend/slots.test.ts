import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../../actors/frontend/slots.ts';

test('so many at a time work, the rest in the order in which they came', async () => {
  const slots = new Slots(2);
  const begun: number[] = [];
  const works = [0, 1, 2, 3].map((number) => {
    const held = Promise.withResolvers<number>();
    const done = slots.run(() => {
      begun.push(number);
      return held.promise;
    });
    return { ...held, done };
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  assert.deepEqual(begun, [0, 1]);
  works[1].reject(new Error('failed'));
  await assert.rejects(works[1].done, /failed/);
  await turn();
  assert.deepEqual(begun, [0, 1, 2]);
  for (const { resolve } of works) resolve(7);
  assert.deepEqual(await Promise.all([works[0].done, works[2].done, works[3].done]), [7, 7, 7]);
  assert.deepEqual(begun, [0, 1, 2, 3]);
  assert.equal(await slots.run(async () => 8), 8);
});
