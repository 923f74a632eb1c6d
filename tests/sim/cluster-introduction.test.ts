import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askIngesters } from '../../actors/ingesters.ts';
import { numbers } from '../support/checks.ts';
import type { ProcessParts } from './cluster-process.ts';
import { ClusterRig, RECENT_OBJECTS_MS } from './cluster-rig.ts';
import { START_NS } from './sent-entries.ts';

const LATE_MS = 60_000;
const NEVER_MS = 10 * LATE_MS;
const HEAVENS = { fromNs: 0n, toNs: 2n ** 62n };

/** How many streams a reader finds in heads, by asking ingesters. */
async function streamsFound(rig: ClusterRig, reader: string): Promise<number> {
  const { ingesters, store } = rig.of(reader);
  const question = { kind: 'select' as const, matchers: [], ...HEAVENS, shard: { index: 0, of: 1 } };
  const options = { tenant: 'fake', deadlineMs: rig.world.clock.monotonicMs() + LATE_MS };
  const replies = await rig.soon(askIngesters(ingesters, store.system, question, options));
  return new Set(replies.flatMap(({ streams }) => streams.map(({ labels }) => labels))).size;
}

/** How many of thirty streams a reader finds whose news of the ring is late. A process joins, and takes with one other what a third one missed; then that other one is gone. `broken`: of all processes. */
async function foundByLateReader(broken: Partial<ProcessParts>): Promise<number> {
  const rig = new ClusterRig();
  const { timers } = rig.world;
  // Those who push by `b` hear of everything at once, the ingesters of others a minute later, and those who read at `a` long after that.
  let [latenessMs, readersLatenessMs] = [0, 0];
  const late = { timers, ms: () => latenessMs };
  await rig.start('a', 'a', { late, readersLate: { timers, ms: () => readersLatenessMs }, ...broken });
  await rig.start('b', 'b', { late, readersLate: { timers, ms: () => 0 }, ...broken });
  await rig.start('c', 'c', { late, ...broken });
  await rig.world.advance(2_000);
  [latenessMs, readersLatenessMs] = [LATE_MS, NEVER_MS];
  await rig.start('d', 'd', broken);
  rig.lose('c');
  await rig.push('b');
  rig.regain('c');
  rig.lose('b');
  assert.ok(
    !rig
      .of('a')
      .ingesters.groups()
      .some(({ name }) => name === 'd'),
    'the reader has heard of it',
  );
  return streamsFound(rig, 'a');
}

test('a reader that has not heard of a process that joined finds what it took all the same', async () => {
  assert.equal(await foundByLateReader({}), 30);
});

test('with two of three away a query is refused, or answered with a warning if one that may be short is wanted', async () => {
  const rig = await ClusterRig.start({ a: 'a', b: 'b', c: 'c' });
  await rig.push('a');
  rig.lose('b');
  rig.lose('c');
  await rig.world.advance(20_000);
  const { store } = rig.of('a');
  const range = { kind: 'range' as const, query: '{app=~".+"}', startNs: 0n, endNs: 2n ** 62n, stepNs: 1e9, intervalNs: 0, limit: 0 };
  const logs = { ...range, direction: 'forward' as const, categorize: false };
  const count = { kind: 'instant' as const, query: 'sum(count_over_time({app=~".+"}[90y]))', timeNs: START_NS + 60n };
  const counts = { ...count, limit: 100, direction: 'forward' as const, categorize: false };
  for (const ask of [logs, counts]) await assert.rejects(rig.soon(store.ask(ask)), { code: 'unavailable' });
  for (const ask of [logs, counts]) {
    const { warnings, data } = await rig.soon(store.ask({ ...ask, partial: true }));
    assert.deepEqual(warnings, ['this answer may be short: ingesters that may have more entries did not answer']);
    assert.ok(data.result.length > 0);
  }
  rig.regain('b');
  await rig.world.advance(20_000);
  for (const ask of [logs, counts]) assert.equal((await rig.soon(store.ask({ ...ask, partial: true }))).warnings, undefined);
});

test('the copies of heads count once for a query that may hold so much', async () => {
  const rig = new ClusterRig();
  // Thrice to be merged, once to be held; not thrice for both.
  const lineBytes = 300_000;
  const limits = { maxQueryMemory: 4.8 * lineBytes };
  for (const id of ['a', 'b', 'c']) await rig.start(id, id, { options: { shards: 1, limits, recentObjectsMs: RECENT_OBJECTS_MS } });
  const entries = numbers(3).map((number) => {
    return { labels: { app: 'a' }, timeNs: START_NS + BigInt(number), line: `${number} ${'x'.repeat(lineBytes / 3)}` };
  });
  const { store } = rig.of('a');
  for (const entry of entries) assert.equal((await rig.soon(store.push([entry]))).fault, undefined);
  assert.deepEqual(
    (await rig.soon(store.lines('{app="a"}'))).map((line) => line[0]),
    ['0', '1', '2'],
  );
});

const broken: [what: string, parts: Partial<ProcessParts>][] = [
  ['who is new takes pushes before the others have heard of it', { introduced: async () => {} }],
  ['who is asked does not tell of those that it knows', { neighbouring: (right) => ({ ...right, beyond: () => [] }) }],
];
for (const [what, parts] of broken) {
  test(`the reader does not, if ${what}`, async (context) => {
    const found = await foundByLateReader(parts);
    context.diagnostic(`${found} of 30 streams`);
    assert.ok(found < 30);
  });
}

/** Whether a push is acknowledged, and how many of its thirty streams a reader finds then: it could only have been taken by one process and by the first start of another, which was started elsewhere while
 *  it was cut off. `broken`: of all processes. */
async function takenByZombie(broken: Partial<ProcessParts>): Promise<{ acknowledged: boolean; found: number }> {
  const rig = new ClusterRig();
  for (const id of ['a', 'b']) await rig.start(id, id, broken);
  const zombie = await rig.start('c', 'c', broken);
  rig.lose('c');
  rig.disks.delete('c');
  const second = await rig.start('c', 'c', { ...broken, host: 'elsewhere' });
  rig.lose('c', 'elsewhere', second);
  rig.regain('c', 'c', zombie);
  rig.lose('b');
  const acknowledged = await rig.push('a').then(
    () => true,
    () => false,
  );
  rig.lose('c', 'c', zombie);
  rig.regain('c', 'elsewhere', second);
  rig.regain('b');
  rig.lose('a');
  await rig.world.advance(20_000);
  return { acknowledged, found: await streamsFound(rig, 'b') };
}

test('the first start of a process that was started elsewhere takes nothing', async () => {
  assert.equal((await takenByZombie({})).acknowledged, false);
});

test('if each start takes and answers what is meant for another, what was acknowledged is not found', async (context) => {
  const careless: Partial<ProcessParts> = {
    neighbouring: (right) => ({ ...right, whyNoWrites: () => undefined, whyNoReads: () => undefined }),
  };
  const { acknowledged, found } = await takenByZombie(careless);
  context.diagnostic(`${found} of 30 streams`);
  assert.ok(acknowledged && found < 30);
});
