import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realWorld } from '../../../ops/base/world.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import type { Footer } from '../../../storage/segment/footer.ts';
import { FooterCache } from '../../../storage/segment/footer-cache.ts';
import { readFooter } from '../../../storage/segment/reader.ts';
import { random } from '../chunk/rows.ts';
import { randomStreams, segmentOf } from './segments.ts';

const ALWAYS = [-(2n ** 62n), 2n ** 62n] as const;
const EVERY = [{ name: 'absent', test: () => true }];

async function footerOf(seed: number): Promise<Footer> {
  const blobs = new MemoryBlobStore(realWorld().clock);
  const object = Buffer.concat(await segmentOf(randomStreams(random(seed), 30)));
  await blobs.put('o', object);
  return readFooter(blobs, 'o', object.length);
}

test('streams that were selected are kept and counted, and give the same answers', async () => {
  const footer = await footerOf(1);
  const fresh = await footerOf(1);
  const [tenant] = footer.tenants();
  assert.equal(footer.heldBytes, 0);
  const first = footer.select(tenant, EVERY, ...ALWAYS);
  const held = footer.heldBytes;
  assert.ok(held > 512 * first.length, `${held} bytes`);
  assert.deepEqual(footer.select(tenant, EVERY, ...ALWAYS), first);
  assert.equal(footer.select(tenant, EVERY, ...ALWAYS)[0].chunks[0], first[0].chunks[0]); // the same object
  assert.equal(footer.heldBytes, held);
  const { baseNs, minOffset } = first[0].chunks[0];
  const part = [baseNs + BigInt(minOffset), baseNs + BigInt(minOffset) + 1n] as const;
  assert.deepEqual(footer.select(tenant, EVERY, ...part), fresh.select(tenant, EVERY, ...part));
  for (const [number, series] of first.entries()) assert.deepEqual(footer.seriesAt(tenant, number, ...ALWAYS), series);
  footer.forget();
  assert.equal(footer.heldBytes, 0);
  assert.deepEqual(footer.select(tenant, EVERY, ...ALWAYS), first);
  footer.forget();
  footer.seriesAt(tenant, 0, ...ALWAYS);
  assert.equal(footer.heldBytes, 0); // who goes through all of them keeps nothing
});

test('a cache without room drops what footers keep decoded before it drops footers, the longest unused first', async () => {
  const loads: string[] = [];
  const footers = new Map(await Promise.all(['a', 'b', 'c'].map(async (key) => [key, await footerOf(2)] as const)));
  const { sizeBytes, heldBytes } = footers.get('a')!;
  assert.equal(heldBytes, 0);
  const use = (key: string) => footers.get(key)!.select('fake', EVERY, ...ALWAYS);
  use('a');
  const decoded = footers.get('a')!.heldBytes;
  footers.get('a')!.forget();
  assert.ok(decoded > 0);
  const cache = new FooterCache(3 * sizeBytes + decoded + 1, async (key) => {
    loads.push(key);
    return footers.get(key)!;
  });
  for (const key of ['a', 'b', 'c']) await cache.get(key, 1);
  use('a');
  use('b');
  for (const key of ['a', 'b']) await cache.get(key, 1); // now they count with what they keep
  assert.deepEqual(
    [...footers.values()].map((footer) => footer.heldBytes),
    [0, decoded, 0],
  );
  await cache.get('c', 1);
  assert.deepEqual(loads, ['a', 'b', 'c']);
  const small = new FooterCache(2 * sizeBytes, async (key) => {
    loads.push(`small ${key}`);
    return footers.get(key)!;
  });
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await small.get(key, 1);
  assert.deepEqual(loads.slice(3), ['small a', 'small b', 'small c', 'small b']);
});
