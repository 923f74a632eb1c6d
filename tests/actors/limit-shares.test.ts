import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedLimits } from '../../actors/limit-shares.ts';
import { limitsOptions } from '../../actors/limits.ts';
import { defaultsOf } from '../../ops/base/options.ts';

test('a process keeps its share of the rate and of the streams, and follows as others come and go', () => {
  const whole = { ...defaultsOf(limitsOptions), ingestionRateMb: 6, maxGlobalStreamsPerUser: 1_000 };
  const unlimited = { ...whole, maxGlobalStreamsPerUser: 0 };
  const shares = { rate: 1 / 3, streams: 3 / 5 };
  const limits = sharedLimits((tenant) => (tenant === 'unlimited' ? unlimited : whole), {
    rate: () => shares.rate,
    streams: () => shares.streams,
  });
  assert.deepEqual(limits('a'), { ...whole, ingestionRateMb: 2, maxGlobalStreamsPerUser: 600 });
  assert.equal(limits('a'), limits('b'), 'made once');
  assert.equal(limits('unlimited').maxGlobalStreamsPerUser, 0);
  shares.rate = 1;
  assert.equal(limits('a').ingestionRateMb, 6);
});
