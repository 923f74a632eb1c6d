import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveStreams } from '../../../actors/active-streams.ts';
import { limitsOptions, SharedLimits } from '../../../actors/limits.ts';
import { Refusals } from '../../../actors/refusals.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';

const IDLE_MS = 60_000;

function rig(maxStreams = 3) {
  const world = fakeWorld(1);
  const shared = new SharedLimits();
  const counted = new Int32Array(shared.places);
  const cell = shared.tenantCell('a');
  const limits = { ...defaultsOf(limitsOptions), maxGlobalStreamsPerUser: maxStreams, perStreamRateLimit: 10, perStreamRateLimitBurst: 10 };
  const start = () => new ActiveStreams({ shared, counted, limits: () => limits, world, idleMs: IDLE_MS });
  const batch = (app: string, line = 'x') => batchOf([{ time: HOUR_START_NS, line, metadata: {} }], `{app="${app}"}`);
  /** Why it was refused, if it was. */
  const admit = (streams: ActiveStreams, app: string, line?: string) => {
    const refusals = new Refusals();
    assert.equal(streams.admit('a', batch(app, line), refusals), refusals.none);
    return refusals.list()[0]?.reason;
  };
  return { world, shared, start, admit, cell };
}

test('streams beyond the tenant’s limit are refused, known ones are not', () => {
  const { shared, start, admit, cell } = rig();
  const streams = start();
  const answers = ['a', 'b', 'c', 'd', 'a'].map((app) => admit(streams, app));
  assert.deepEqual(answers, [undefined, undefined, undefined, 'stream_limit', undefined]);
  assert.equal(shared.activeStreams(cell), 3);
});

test('an idle stream makes room', async () => {
  const { world, shared, start, admit, cell } = rig(1);
  const streams = start();
  admit(streams, 'a');
  await world.advance(IDLE_MS);
  streams.sweep();
  assert.equal(shared.activeStreams(cell), 1);
  await world.advance(1);
  streams.sweep();
  assert.equal(shared.activeStreams(cell), 0);
  assert.equal(admit(streams, 'b'), undefined);
});

test('a shard that stopped gives its streams back, once', () => {
  const { shared, start, admit, cell } = rig();
  const streams = start();
  admit(streams, 'a');
  streams.clear();
  assert.equal(shared.activeStreams(cell), 0);
  admit(start(), 'a');
  assert.equal(shared.activeStreams(cell), 1);
});

test('what a thread that died had counted is given back when its place is taken, and what others count stays', () => {
  const { shared, start, admit, cell } = rig();
  const died = start();
  admit(died, 'a');
  admit(died, 'b');
  shared.addStream(cell, 0); // another shard's
  const next = start();
  assert.equal(shared.activeStreams(cell), 1);
  assert.equal(admit(next, 'c'), undefined);
  assert.equal(shared.activeStreams(cell), 2);
});

test('a stream’s rate is its own', async () => {
  const { world, start, admit } = rig();
  const streams = start();
  assert.equal(admit(streams, 'a', '0123456789'), undefined);
  assert.equal(admit(streams, 'a', 'x'), 'per_stream_rate_limit');
  assert.equal(admit(streams, 'b', 'x'), undefined);
  await world.advance(100);
  assert.equal(admit(streams, 'a', 'x'), undefined);
});
