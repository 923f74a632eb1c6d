import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { currentGeneration, generationPrefix, latestGeneration, nextGeneration, partitionLog } from '../../../storage/log/generation.ts';
import { segmentKey } from '../../../storage/segment/keys.ts';
import { isFault, numbers } from '../../support/checks.ts';

const TOPIC = 'millrace.ingest';
const OTHER_ID = 'f'.repeat(32);

function rig() {
  const world = fakeWorld(1);
  const blobs = new MemoryBlobStore(world.clock);
  const put = (key: string, text: string) => blobs.put(key, Buffer.from(text));
  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of blobs.list('')) found.push(key);
    return found;
  };
  return { world, blobs, put, keys };
}

test('a topic that was never used has no generation, and to look for one makes none', async () => {
  const { blobs, keys } = rig();
  assert.equal(await latestGeneration(blobs, TOPIC), undefined);
  assert.deepEqual(await keys(), []);
});

test('the first generation is made once, and stays', async () => {
  const { blobs, world, keys } = rig();
  const first = await currentGeneration(blobs, TOPIC, world);
  assert.equal(first.number, 0);
  assert.match(first.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(await currentGeneration(blobs, TOPIC, world), first);
  assert.deepEqual(await latestGeneration(blobs, TOPIC), first);
  assert.deepEqual(await keys(), ['_kafka/millrace.ingest/000000']);
});

test('of several who ask for the first one together, all get the same', async () => {
  const { blobs, keys } = rig();
  const all = await Promise.all(numbers(5).map((seed) => currentGeneration(blobs, TOPIC, fakeWorld(seed + 1))));
  assert.deepEqual(
    all,
    numbers(5).map(() => all[0]),
  );
  assert.equal((await keys()).length, 1);
});

test('the next one is another log, made once by all who saw the same one before', async () => {
  const { blobs, world, keys } = rig();
  const first = await currentGeneration(blobs, TOPIC, world);
  const made = await Promise.all(numbers(3).map((seed) => nextGeneration(blobs, TOPIC, first, fakeWorld(seed + 2))));
  assert.deepEqual(
    made,
    numbers(3).map(() => made[0]),
  );
  const [second] = made;
  assert.equal(second.number, 1);
  assert.notEqual(second.id, first.id);
  assert.deepEqual(await currentGeneration(blobs, TOPIC, world), second);
  assert.equal((await nextGeneration(blobs, TOPIC, second, world)).number, 2);
  assert.deepEqual(
    await keys(),
    ['000000', '000001', '000002'].map((number) => `_kafka/millrace.ingest/${number}`),
  );
});

test('who comes too late to make the next one gets the latest', async () => {
  const { blobs, world } = rig();
  const first = await currentGeneration(blobs, TOPIC, world);
  assert.deepEqual(await nextGeneration(blobs, TOPIC, undefined, world), first);
  const second = await nextGeneration(blobs, TOPIC, first, world);
  assert.deepEqual(await nextGeneration(blobs, TOPIC, first, world), second);
  const third = await nextGeneration(blobs, TOPIC, second, world);
  assert.deepEqual(await nextGeneration(blobs, TOPIC, first, world), third);
  assert.deepEqual(await nextGeneration(blobs, TOPIC, undefined, world), third);
});

test('the latest of many is that with the largest number', async () => {
  const { blobs, put } = rig();
  for (const number of [9, 10, 2, 100_000])
    await put(`${generationPrefix(TOPIC)}${String(number).padStart(6, '0')}`, `${String(number).padStart(32, 'a')}\n`);
  assert.deepEqual(await latestGeneration(blobs, TOPIC), { id: '100000'.padStart(32, 'a'), number: 100_000 });
});

const contents: [what: string, text: string][] = [
  ['nothing', ''],
  ['a digit too few', 'a'.repeat(31)],
  ['a digit too many', 'a'.repeat(33)],
  ['no hex digit', `${'a'.repeat(31)}g`],
  ['upper case', 'A'.repeat(32)],
  ['two of them', `${OTHER_ID}\n${OTHER_ID}\n`],
  ['a path', '../'.repeat(10)],
];
for (const [what, text] of contents) {
  test(`an object that names no generation: ${what}`, async () => {
    const { blobs, put, world } = rig();
    await currentGeneration(blobs, TOPIC, world);
    await put(`${generationPrefix(TOPIC)}000001`, text);
    await assert.rejects(latestGeneration(blobs, TOPIC), isFault('corrupt'));
    // Nobody goes back to the one before, or on to the next.
    await assert.rejects(currentGeneration(blobs, TOPIC, world), isFault('corrupt'));
    await assert.rejects(nextGeneration(blobs, TOPIC, undefined, world), isFault('corrupt'));
  });
}

test('an older one that cannot be read does not matter', async () => {
  const { blobs, put } = rig();
  await put(`${generationPrefix(TOPIC)}000000`, 'nothing');
  await put(`${generationPrefix(TOPIC)}000001`, OTHER_ID);
  assert.deepEqual(await latestGeneration(blobs, TOPIC), { id: OTHER_ID, number: 1 });
});

test('other objects beside it do not matter: a tenant’s of the same name, other topics’, what was given up', async () => {
  const { blobs, put, world } = rig();
  const others = [
    segmentKey({ tenant: '_kafka', day: 20_000, level: 1, minOffset: 0, maxOffset: 1, id: OTHER_ID }),
    segmentKey({ tenant: '_kafka', day: 999_999, level: 1, minOffset: 0, maxOffset: 1, id: OTHER_ID }),
    '_kafka/999999/of a topic that is a number',
    '_kafka/millrace.ingest2/000007',
    '_kafka/millrace/000007',
    '_kafka/millrace.ingest/0000007',
    '_kafka/millrace.ingest/00007',
    '_kafka/millrace.ingest/000007.damaged',
    '_kafka/millrace.ingest/000007/000007',
    `_kafka/millrace.ingest/${OTHER_ID}-3-0000000000000010.skip`,
    `${TOPIC}/000007`,
  ];
  for (const key of others) await put(key, `${OTHER_ID}\n`);
  assert.equal(await latestGeneration(blobs, TOPIC), undefined);
  const first = await currentGeneration(blobs, TOPIC, world);
  assert.equal(first.number, 0);
  assert.notEqual(first.id, OTHER_ID);
  assert.equal((await nextGeneration(blobs, TOPIC, first, world)).number, 1);
});

test('a topic that has the name of a day of that tenant is not taken for it', async () => {
  const { blobs, put, world } = rig();
  await put(segmentKey({ tenant: '_kafka', day: 20_000, level: 1, minOffset: 0, maxOffset: 1, id: OTHER_ID }), 'a segment');
  assert.equal((await currentGeneration(blobs, '20000', world)).number, 0);
});

test('topics have generations of their own, also where their names are no parts of keys', async () => {
  const { blobs, world, keys } = rig();
  const [one, other] = [await currentGeneration(blobs, 'a/b', world), await currentGeneration(blobs, '..', world)];
  assert.notEqual(one.id, other.id);
  assert.deepEqual((await keys()).toSorted(), ['_kafka/%2E%2E/000000', '_kafka/a%2Fb/000000']);
});

test('a store that is away makes no generation', async () => {
  const { blobs, world, keys } = rig();
  const first = await currentGeneration(blobs, TOPIC, world);
  const away = new Proxy(blobs, {
    get: (target, name: keyof MemoryBlobStore) =>
      name === 'put' ? () => Promise.reject(Object.assign(new Error('away'), { code: 'exists' })) : target[name].bind(target),
  });
  await assert.rejects(nextGeneration(away, TOPIC, first, world), { message: 'away' });
  assert.equal((await keys()).length, 1);
});

test('each partition of a generation is a log with a name of its own', () => {
  assert.equal(partitionLog({ id: OTHER_ID, number: 0 }, 12), `${OTHER_ID}-12`);
  assert.match(partitionLog({ id: OTHER_ID, number: 0 }, 0), /^[a-z0-9-]+$/);
});
