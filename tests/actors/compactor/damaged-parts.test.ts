import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DamagedParts } from '../../../actors/compactor/damaged-parts.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';

const PART = { tenant: 't', day: 1, key: 'k' };
const HOUR_MS = 3_600_000;

test('what is damaged is left out for an hour, what may pass when it has failed three times', async () => {
  const world = fakeWorld(1);
  const damaged = new DamagedParts(world.clock);
  assert.deepEqual([damaged.failed(PART), damaged.failed(PART), damaged.has(PART)], [false, false, false]);
  assert.equal(damaged.failed(PART), true);
  assert.equal(damaged.add(PART), true);
  assert.equal(damaged.has(PART), true);
  await world.advance(HOUR_MS);
  assert.equal(damaged.has(PART), false);
  assert.equal(damaged.failed(PART), false);
  assert.equal(damaged.add(PART), false);
  damaged.keepOnly([]);
  assert.deepEqual([damaged.objects, damaged.has(PART)], [0, false]);
});
