import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Grant } from '../../../actors/ingester/grant.ts';
import { Seal } from '../../../actors/ingester/seal.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault } from '../../support/checks.ts';

const T = { process: 't', incarnation: 'of t', shards: 1 };

test('a seal waits for the pushes that were begun before it; later ones are sent on', async () => {
  const seal = new Seal();
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const sentOn: unknown[] = [];
  const push = (taken: Promise<string>) =>
    seal.pushed(
      () => taken,
      async (to) => {
        sentOn.push(...to);
        return 'sent on';
      },
    );
  const pushes = [push(first.promise), push(second.promise)];
  let isClosed = false;
  const closed = seal.close([T]).then(() => {
    isClosed = true;
  });
  assert.equal(await push(Promise.resolve('taken')), 'sent on');
  assert.deepEqual(sentOn, [T]);
  first.resolve('taken');
  assert.equal(await pushes[0], 'taken');
  assert.equal(isClosed, false);
  second.reject(new Error('not taken'));
  await assert.rejects(pushes[1]);
  await closed;
});

test('where there are no successors, pushes are refused', async () => {
  const seal = new Seal();
  await seal.close([T]);
  await seal.close([]);
  const never = async () => assert.fail('nobody has it');
  await assert.rejects(seal.pushed(never, never), isFault('unavailable'));
});

test('a grant is one giver’s until that has ended it, or was silent for too long', async () => {
  const world = fakeWorld(1);
  const grant = new Grant(world.clock);
  const [a, again, b] = [
    { process: 'a', attempt: '1' },
    { process: 'a', attempt: '2' },
    { process: 'b', attempt: '1' },
  ];
  assert.deepEqual([grant.give(a), grant.give(b), grant.give(again)], [true, false, true]);
  assert.throws(() => grant.renew(b), isFault('unavailable'));
  await world.advance(20_000);
  grant.renew(again);
  await world.advance(20_000);
  assert.equal(grant.give(b), false);
  await world.advance(20_000);
  assert.equal(grant.give(b), true);
  grant.end(a);
  assert.equal(grant.give(a), false);
  grant.end(b);
  assert.equal(grant.give(a), true);
});
