import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noNeighbours, ringNeighbours } from '../../actors/ingester/neighbours.ts';
import { askIngesters, type IngesterGroup, type Ingesters, ringIngesters } from '../../actors/ingesters.ts';
import { introduce } from '../../actors/introduction.ts';
import type { Asker } from '../../actors/kernel/define.ts';
import type { IngesterAsk, IngesterReply } from '../../actors/protocol/ingest.ts';
import { Fault } from '../../ops/base/fault.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { type Instance, type InstanceState, instanceKey } from '../../topology/ring/instance.ts';
import { MemoryKv } from '../../topology/ring/kv.ts';
import { Ring, type SeenProcess } from '../../topology/ring/ring.ts';
import { isFault } from '../support/checks.ts';

const TIMEOUT_MS = 10_000;
const away = new Fault('unavailable', 'away');

type Written = readonly [id: string, state: InstanceState, options?: { introduced?: boolean; incarnation?: string; registration?: string }];

async function ringOf(instances: readonly Written[]) {
  const world = fakeWorld(1);
  const kv = new MemoryKv(world.clock);
  const write = async (
    ...[id, state, { introduced = true, incarnation = `of ${id}`, registration = `of ${id}` } = {}]: Written
  ): Promise<void> => {
    const instance: Instance = {
      id,
      incarnation,
      registration,
      state,
      introduced,
      zone: id,
      shards: 2,
      url: '',
      leastVersion: 1,
      mostVersion: 1,
      registeredMs: 0,
      beat: 1,
    };
    const { revision } = (await kv.get(instanceKey(id))) ?? { revision: 0 };
    assert.ok(await kv.put(instanceKey(id), JSON.stringify(instance), revision));
    await world.settle();
  };
  const remove = async (id: string): Promise<void> => {
    assert.ok(await kv.delete(instanceKey(id), (await kv.get(instanceKey(id)))!.revision));
    await world.settle();
  };
  for (const one of instances) await write(...one);
  const ring = await Ring.open(kv, { name: 'ingester', heartbeatTimeoutMs: TIMEOUT_MS, world, log: noInstruments.log });
  return { world, write, remove, ring };
}

/** Introduces `new` to shards that answer so, or are away. */
function introduction({ world, ring }: Awaited<ReturnType<typeof ringOf>>, heard: ReadonlyMap<string, boolean>) {
  const asked = new Map<string, string | undefined>();
  const asker = {
    ask: async (_: unknown, shard: string, ask: IngesterAsk & { kind: 'introduce' }) => {
      assert.deepEqual([ask.process, ask.registration], ['new', 'first']);
      asked.set(shard, ask.meantFor);
      const hasHeard = heard.get(shard);
      if (hasHeard === undefined) throw away;
      return { hasHeard };
    },
  } as unknown as Asker;
  const seen = { asked, isDone: false };
  const done = introduce({ asker, ring, world, log: noInstruments.log, instance: 'new' }, 'first', new AbortController().signal);
  void done.then(() => {
    seen.isDone = true;
  });
  return seen;
}

test('one that is new waits for all shards of all who were introduced and answer, as soon as its own key is seen', async () => {
  const rig = await ringOf([
    ['there', 'ACTIVE'],
    ['also-new', 'PENDING', { introduced: false }],
  ]);
  const heard = new Map([
    ['there-0', true],
    ['there-1', false],
  ]);
  const seen = introduction(rig, heard);
  await rig.write('new', 'PENDING', { introduced: false, registration: 'former' });
  await rig.world.advance(1_000);
  assert.equal(seen.asked.size, 0, 'its key is seen as it was before it was made anew');
  await rig.write('new', 'PENDING', { introduced: false, registration: 'first' });
  await rig.world.advance(8_000);
  assert.deepEqual([[...seen.asked], seen.isDone], [['there-0', 'there-1'].map((shard) => [shard, 'of there']), false]);
  heard.set('there-1', true);
  await rig.world.advance(2_000);
  assert.equal(seen.isDone, true);
});

test('one that does not answer is waited for for some seconds, and not if it has stopped or is silent', async () => {
  const rig = await ringOf([
    ['silent', 'ACTIVE'],
    ['stopped', 'UNHEALTHY'],
    ['late', 'UNHEALTHY'],
  ]);
  await rig.world.advance(2 * TIMEOUT_MS);
  await rig.write('new', 'PENDING', { introduced: false, registration: 'first' });
  const heard = new Map(['late-0', 'late-1'].map((shard) => [shard, false]));
  const seen = introduction(rig, heard);
  await rig.world.advance(8_000);
  assert.deepEqual([seen.asked.size, seen.isDone], [6, false], 'one that answers has to have heard of it, whatever it is');
  for (const shard of heard.keys()) heard.set(shard, true);
  await rig.world.advance(2_000);
  assert.equal(seen.isDone, true);
  await rig.write('stuck', 'ACTIVE');
  const again = introduction(rig, heard);
  await rig.world.advance(4_000);
  assert.equal(again.isDone, false);
  await rig.world.advance(4_000);
  assert.equal(again.isDone, true);
});

test('an ingester takes nothing before it is introduced, nor once another start is there, nor what is meant for another', async () => {
  const { write, ring, remove } = await ringOf([['a', 'ACTIVE']]);
  const neighbours = ringNeighbours(ring, 'a', 'second');
  const open = (meantFor?: string): [reads: boolean, writes: boolean] => [
    neighbours.whyNoReads(meantFor) === undefined,
    neighbours.whyNoWrites(meantFor) === undefined,
  ];
  assert.deepEqual(open(), [false, false], 'an earlier start has the key');
  await write('a', 'PENDING', { introduced: false, incarnation: 'second', registration: 'one' });
  assert.deepEqual(open(), [true, false]);
  await write('a', 'JOINING', { incarnation: 'second', registration: 'one' });
  assert.deepEqual(
    [open(), open('second'), open('of a')],
    [
      [true, true],
      [true, true],
      [false, false],
    ],
  );
  assert.deepEqual([neighbours.hasHeardOf('a', 'one'), neighbours.hasHeardOf('a', 'another')], [true, false]);
  await remove('a');
  assert.deepEqual(open('second'), [true, false], 'it was forgotten');
  assert.equal(neighbours.hasHeardOf('a', 'one'), false);
  assert.deepEqual([noNeighbours.whyNoReads('any'), noNeighbours.whyNoWrites('any')], [undefined, undefined]);
});

test('those that others name are asked, but for those that have left since', async () => {
  const { write, remove, ring } = await ringOf([
    ['a', 'ACTIVE'],
    ['left', 'ACTIVE'],
  ]);
  const { groups, unknown } = ringIngesters(ring, 3);
  const [, left] = ring.processes();
  await remove('left');
  await write('a', 'LEAVING');
  const later = { process: 'new', incarnation: 'of new', introduced: false, shards: 1 };
  const named = [left, { ...later, revision: ring.revision + 2 }, { ...later, incarnation: 'former', revision: ring.revision + 1 }];
  assert.deepEqual(unknown(named), [{ name: 'new', incarnation: 'of new', introduced: false, instances: ['new-0'] }]);
  assert.deepEqual(
    groups().map(({ name, instances }) => [name, instances]),
    [['a', ['a-0', 'a-1']]],
  );
});

/** Ingesters of one shard each: what they answer, and whom each names. `known`: to who asks; those that were not introduced, as far as that knows, have a `?`. */
async function asked(known: readonly string[], answers: Readonly<Record<string, readonly string[] | Fault>>, tolerated = 1) {
  const questions: [instance: string, meantFor: string | undefined, known: string][] = [];
  const asker = {
    ask: async (_: unknown, instance: string, ask: IngesterAsk & { kind: 'series' }): Promise<IngesterReply['series']> => {
      questions.push([instance, ask.meantFor, ask.known.join(' ')]);
      const answer = answers[instance.slice(0, -2)];
      if (answer instanceof Fault) throw answer;
      const others = answer
        .filter((name) => !ask.known.includes(name))
        .map((process) => ({ process, incarnation: `of ${process}`, revision: 1, introduced: false, shards: 1 }));
      return { cover: [], others, labels: [instance] };
    },
  } as unknown as Asker;
  const groupOf = (name: string, introduced: boolean): IngesterGroup => ({
    name,
    incarnation: `of ${name}`,
    introduced,
    instances: [`${name}-0`],
  });
  const ingesters = {
    groups: () => known.map((text) => groupOf(text.replace('?', ''), !text.endsWith('?'))),
    unknown: (named: readonly SeenProcess[]) => [...new Set(named.map(({ process }) => process))].map((name) => groupOf(name, false)),
    tolerated,
    shareLogs: false,
  } as unknown as Ingesters;
  const question = { kind: 'series' as const, matcherSets: [], fromNs: 0n, toNs: 1n, shard: { index: 0, of: 1 } };
  const replies = await askIngesters(ingesters, asker, question, { tenant: 'a', deadlineMs: 1_000 });
  return { questions, found: replies.flatMap(({ labels }) => labels) };
}

test('those are asked too that who is asked knows, each once, and those that they know', async () => {
  const { questions, found } = await asked(['a', 'b'], { a: ['a', 'b', 'c'], b: ['c', 'b'], c: ['d', 'a'], d: ['a'] });
  assert.deepEqual(found, ['a-0', 'b-0', 'c-0', 'd-0']);
  assert.deepEqual(questions, [
    ['a-0', 'of a', 'a b'],
    ['b-0', 'of b', 'a b'],
    ['c-0', 'of c', 'a b c'],
    ['d-0', 'of d', 'a b c d'],
  ]);
});

test('one may be away, whoever knows of it; not two, and not all that have heard of those that are new', async () => {
  assert.deepEqual((await asked(['a', 'b'], { a: ['c'], b: [], c: away })).found, ['a-0', 'b-0']);
  assert.deepEqual((await asked(['a', 'b'], { a: ['c'], b: away, c: [] })).found, ['a-0', 'c-0']);
  await assert.rejects(asked(['a', 'b'], { a: ['c'], b: away, c: away }), isFault('unavailable'));
  await assert.rejects(asked(['a'], { a: away }), isFault('unavailable'));
  await assert.rejects(asked(['a', 'b?'], { a: away, b: [] }), isFault('unavailable'));
  assert.deepEqual((await asked(['a', 'b?'], { a: [], b: away })).found, ['a-0']);
  await assert.rejects(asked(['a', 'b'], { a: [], b: away }, 0), isFault('unavailable'));
});
