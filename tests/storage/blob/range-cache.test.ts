import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RangeCache } from '../../../storage/blob/range-cache.ts';

const KiB = 1024;

/** A store whose objects are what their keys say, and what was read of it. */
function rig(maxBytes: number) {
  const reads: string[] = [];
  const get = async (key: string, [from, to]: readonly [number, number] = [0, 0]): Promise<Buffer> => {
    reads.push(`${key} ${from}-${to}`);
    if (key === 'failing' && reads.length === 1) throw new Error('not now');
    return Buffer.alloc(to - from, key);
  };
  const read = () => reads.splice(0);
  return { cache: new RangeCache({ get: get as never }, maxBytes), read };
}

test('a range is read once, and by each of its ends and its object for itself', async () => {
  const { cache, read } = rig(100 * KiB);
  assert.equal((await cache.get('a', [0, 3])).toString(), 'aaa');
  await Promise.all([cache.get('b', [0, 3]), cache.get('b', [0, 3])]);
  for (const [key, from, to] of [
    ['a', 0, 3],
    ['b', 0, 3],
    ['a', 0, 4],
    ['a', 1, 3],
  ] as const)
    assert.equal((await cache.get(key, [from, to])).toString(), key.repeat(to - from));
  assert.deepEqual(read(), ['a 0-3', 'b 0-3', 'a 0-4', 'a 1-3']);
});

test('what is longest unused is dropped, and no more is held than there is room for', async () => {
  const { cache, read } = rig(35 * KiB);
  for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) {
    await cache.get(key, [0, 10 * KiB]);
    assert.ok(cache.sizeBytes <= 35 * KiB, `${cache.sizeBytes} bytes`);
  }
  assert.deepEqual(
    read(),
    ['a', 'b', 'c', 'd', 'b'].map((key) => `${key} 0-${10 * KiB}`),
  );
});

test('long ranges are not kept, nor anything without room', async () => {
  const { cache, read } = rig(KiB * KiB);
  for (let time = 0; time < 2; time++) await cache.get('a', [0, 65 * KiB]);
  assert.equal(read().length, 2);
  assert.equal(cache.sizeBytes, 0);
  const none = rig(0);
  for (let time = 0; time < 2; time++) await none.cache.get('a', [0, 1]);
  assert.equal(none.read().length, 2);
});

test('what failed is read again', async () => {
  const { cache, read } = rig(KiB);
  await assert.rejects(cache.get('failing', [0, 1]), /not now/);
  assert.equal((await cache.get('failing', [0, 1])).length, 1);
  assert.equal(read().length, 2);
});
