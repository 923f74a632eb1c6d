import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeldLease, LeaseQueue } from '../../../actors/query-scheduler/lease-queue.ts';
import { isFault } from '../../support/checks.ts';

const FOREVER = new AbortController().signal;

/** A queue, and what its leases come to. */
function setUp(queriers: Readonly<Record<string, number>>) {
  const lengths = new Map<string, number>();
  const queue = new LeaseQueue((tenant, length) => lengths.set(tenant, length));
  const detach = Object.fromEntries(Object.entries(queriers).map(([querier, slots]) => [querier, queue.attach(querier, slots)]));
  const granted: string[] = [];
  const leases: HeldLease[] = [];
  const lease = async (tenant: string, { preferred = '', avoided = [] as string[], signal = FOREVER } = {}): Promise<void> => {
    const held = await queue.lease({ tenant, preferred, avoided }, signal);
    granted.push(`${tenant} at ${held.querier}`);
    leases.push(held);
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { queue, lengths, detach, granted, leases, lease, settle };
}

test('a job goes to the querier that it prefers, to the least busy one if that is full', async () => {
  const { granted, lease } = setUp({ a: 2, b: 2, c: 2 });
  await lease('x', { preferred: 'b' });
  await lease('x', { preferred: 'b' });
  await lease('y', { preferred: 'b' });
  await lease('y', { preferred: 'b' });
  assert.deepEqual(granted, ['x at b', 'x at b', 'y at a', 'y at c']);
});

test('who has failed a job is asked again only if there is nobody else', async () => {
  const { granted, lease, detach } = setUp({ a: 5, b: 5 });
  await lease('x', { preferred: 'a', avoided: ['a'] });
  detach.b();
  await lease('x', { preferred: 'a', avoided: ['a'] });
  assert.deepEqual(granted, ['x at b', 'x at a']);
});

test('tenants take turns, whoever has more waiting', async () => {
  const { lengths, granted, leases, lease, settle } = setUp({ a: 4 });
  for (let job = 0; job < 6; job++) void lease('many');
  await settle();
  assert.deepEqual(granted, ['many at a', 'many at a', 'many at a'], 'a tenant holds at most three of four slots');
  void lease('few');
  void lease('few');
  await settle();
  assert.equal(granted.length, 4);
  assert.deepEqual(
    [...lengths],
    [
      ['many', 3],
      ['few', 1],
    ],
  );
  for (let turn = 0; turn < 3; turn++) {
    leases.shift()?.release();
    await settle();
  }
  assert.deepEqual(granted.slice(3), ['few at a', 'many at a', 'few at a', 'many at a']);
});

test('a job that nobody waits for any more leaves the queue', async () => {
  const { lengths, granted, leases, lease, settle } = setUp({ a: 1 });
  await lease('x');
  const gone = new AbortController();
  const waiting = lease('y', { signal: gone.signal });
  await settle();
  assert.equal(lengths.get('y'), 1);
  gone.abort(new Error('left'));
  await assert.rejects(waiting, /left/);
  assert.equal(lengths.get('y'), 0);
  leases[0].release();
  await lease('z');
  assert.deepEqual(granted, ['x at a', 'z at a']);
});

test('without queriers jobs are refused, those that wait too', async () => {
  const { lease, detach, settle } = setUp({ a: 1 });
  await lease('x');
  const waiting = lease('y');
  await settle();
  detach.a();
  await assert.rejects(waiting, isFault('unavailable'));
  await assert.rejects(lease('z'), isFault('unavailable'));
});

test('a querier that attaches anew has all of its slots, and what it held before does not count against it', async () => {
  const { queue, granted, leases, lease, settle, detach } = setUp({ a: 1 });
  await lease('x');
  void lease('y');
  await settle();
  queue.attach('a', 1);
  await settle();
  assert.deepEqual(granted, ['x at a', 'y at a']);
  detach.a(); // of its former self
  leases[0].release();
  assert.deepEqual(queue.queriers, ['a']);
  void lease('z');
  await settle();
  assert.equal(granted.length, 2, 'the one slot is taken');
  leases[1].release();
  await settle();
  assert.equal(granted.length, 3);
});
