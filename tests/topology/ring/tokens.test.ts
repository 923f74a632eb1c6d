import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { instanceKey, tokensKey } from '../../../topology/ring/instance.ts';
import { type Kv, MemoryKv } from '../../../topology/ring/kv.ts';
import { removeInstance } from '../../../topology/ring/member.ts';
import { claimTokens, moveTokens, tokensOf } from '../../../topology/ring/tokens.ts';
import { isFault } from '../../support/checks.ts';
import { FlakyKv } from '../../support/flaky-kv.ts';

const world = fakeWorld(1);

/** A store in which these have claimed tokens, in this order: one token each, its place in the order. */
async function claimed(...owners: string[]): Promise<FlakyKv> {
  const kv = new FlakyKv(new MemoryKv(world.clock), world.clock);
  for (const [index, owner] of owners.entries()) await claimTokens(kv, owner, () => [index]);
  return kv;
}

async function owned(kv: Kv, owner: string): Promise<string[]> {
  return (await tokensOf(kv, owner)).map(({ set: { id, epoch, tokens } }) => `${id} ${epoch} ${tokens}`);
}

async function instance(kv: Kv, id: string): Promise<void> {
  const fields = {
    id,
    incarnation: 'first',
    registration: 'first',
    introduced: true,
    state: 'ACTIVE',
    zone: '',
    shards: 1,
    url: '',
    leastVersion: 1,
    mostVersion: 1,
    registeredMs: 0,
    beat: 1,
  };
  await kv.put(instanceKey(id), JSON.stringify(fields), 0);
}

test('an instance keeps the set that it has', async () => {
  const kv = await claimed('a', 'b', 'a');
  assert.deepEqual([await owned(kv, 'a'), await owned(kv, 'b')], [['a 1 0'], ['b 1 1']]);
});

test('all that one owns is moved, also what it was left by others; epochs count the owners', async () => {
  const kv = await claimed('a', 'b', 'c');
  await moveTokens(kv, 'a', 'b');
  assert.deepEqual([await owned(kv, 'a'), await owned(kv, 'b')], [[], ['a 2 0', 'b 1 1']]);
  await moveTokens(kv, 'b', 'c');
  assert.deepEqual([await owned(kv, 'b'), await owned(kv, 'c')], [[], ['a 3 0', 'b 2 1', 'c 1 2']]);
});

test('one whose set is another’s by now gets a new one, under the next name', async () => {
  const kv = await claimed('a', 'b');
  await moveTokens(kv, 'a', 'b');
  await claimTokens(kv, 'a', () => [7]);
  assert.deepEqual(await owned(kv, 'a'), ['a/2 1 7']);
  await claimTokens(kv, 'a', () => [8]);
  assert.deepEqual(await owned(kv, 'a'), ['a/2 1 7']);
  await moveTokens(kv, 'a', 'b');
  await claimTokens(kv, 'a', () => [9]);
  assert.deepEqual([await owned(kv, 'a'), await owned(kv, 'b')], [['a/3 1 9'], ['a 2 0', 'b 1 1', 'a/2 2 7']]);
});

test('a move that was in doubt is done by the next call', async () => {
  const kv = await claimed('a', 'b');
  kv.doubtful = 1;
  await assert.rejects(moveTokens(kv, 'a', 'b'), isFault('in_doubt'));
  await moveTokens(kv, 'a', 'b');
  assert.deepEqual(await owned(kv, 'b'), ['a 2 0', 'b 1 1']);
});

test('a set that changes while it is moved stays whose it is', async () => {
  const kv = await claimed('a', 'b', 'c');
  const meanwhile: Kv = {
    get: (key) => kv.get(key),
    async put(key, value, expected) {
      await moveTokens(kv, 'a', 'c');
      return kv.put(key, value, expected);
    },
    delete: (key, expected) => kv.delete(key, expected),
    watch: (changed) => kv.watch(changed),
  };
  await assert.rejects(moveTokens(meanwhile, 'a', 'b'), isFault('unavailable'));
  assert.deepEqual([await owned(kv, 'b'), await owned(kv, 'c')], [['b 1 1'], ['a 2 0', 'c 1 2']]);
});

test('with an instance all that it owns is forgotten, and nothing that it gave away', async () => {
  const kv = await claimed('a', 'b', 'c');
  await instance(kv, 'a');
  await instance(kv, 'b');
  await moveTokens(kv, 'a', 'b');
  await removeInstance(kv, 'a');
  assert.deepEqual(await owned(kv, 'b'), ['a 2 0', 'b 1 1']);
  await removeInstance(kv, 'b');
  assert.deepEqual([await owned(kv, 'b'), await owned(kv, 'c')], [[], ['c 1 2']]);
});

test('an instance that shows itself while it is being forgotten keeps all its sets', async () => {
  const kv = await claimed('a', 'b');
  await instance(kv, 'b');
  await moveTokens(kv, 'a', 'b');
  const alive: Kv = {
    get: (key) => kv.get(key),
    put: (key, value, expected) => kv.put(key, value, expected),
    async delete(key, expected) {
      if (key !== tokensKey('b')) return kv.delete(key, expected);
      const { value, revision } = (await kv.get(instanceKey('b')))!;
      await kv.put(instanceKey('b'), value!, revision);
      return kv.delete(key, expected);
    },
    watch: (changed) => kv.watch(changed),
  };
  await assert.rejects(removeInstance(alive, 'b'), isFault('unavailable'));
  assert.deepEqual(await owned(kv, 'b'), ['a 2 0', 'b 1 1']);
});
