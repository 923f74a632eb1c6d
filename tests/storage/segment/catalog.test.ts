import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { byArrival } from '../../../storage/segment/arrival.ts';
import { Catalog } from '../../../storage/segment/catalog.ts';
import { readChain } from '../../../storage/segment/chain.ts';
import { segmentFor } from '../../../storage/segment/compaction.ts';
import { levelZeroKey, parseLevelZeroKey } from '../../../storage/segment/keys.ts';
import { mergeDay } from '../../../storage/segment/merge-day.ts';
import { readFooter } from '../../../storage/segment/reader.ts';
import { HOUR, HOUR_START_NS, random, randomRows } from '../chunk/rows.ts';
import { segmentOf } from './segments.ts';

const MAX_AGE_MS = 60_000;

/** A store that counts its calls, under a clock that stands still unless told otherwise. */
class Rig {
  nowMs = 1000;
  readonly clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs };
  readonly #store = new MemoryBlobStore(this.clock);
  gets = 0;
  lists = 0;
  readonly blobs: BlobStore = {
    put: (key, body, options) => this.#store.put(key, body, options),
    get: (key, range) => {
      this.gets++;
      return this.#store.get(key, range);
    },
    list: (prefix) => {
      this.lists++;
      return this.#store.list(prefix);
    },
    delete: (key) => this.#store.delete(key),
  };

  catalog(footerBytes = 1e6): Catalog {
    return new Catalog(this.blobs, this.clock, { footerBytes, maxListingAgeMs: MAX_AGE_MS });
  }

  async put(log: string, from: number, to: number, tenant = 'a', hour = HOUR): Promise<string> {
    const key = levelZeroKey(log, from);
    const streams = [{ tenant, labels: { app: log }, rows: randomRows(random(from + 1), 10, hour) }];
    await this.blobs.put(key, await segmentOf(streams, { log, from, to }));
    return key;
  }
}

const everything = { tenant: 'a', fromNs: 0n, toNs: 2n ** 62n };
const keysOf = async (catalog: Catalog, wanted = everything, include: string[] = []): Promise<string[]> =>
  (await catalog.objects(wanted, include)).map(({ key }) => key);

test('keys of level-0 objects', () => {
  assert.equal(levelZeroKey('wal-1', 42), '_l0/wal-1/0000000000000042');
  assert.deepEqual(parseLevelZeroKey('_l0/wal-1/0000000000000042'), { log: 'wal-1', from: 42 });
  for (const key of [
    '_l0/wal-1/42',
    '_l0/wal-1/0000000000000042.tmp',
    '_l0/a/b/0000000000000042',
    'l0/a/0000000000000042',
    '_l0//0000000000000042',
  ])
    assert.equal(parseLevelZeroKey(key), undefined);
});

test('only objects that may hold the tenant’s entries of the range are given', async () => {
  const rig = new Rig();
  const first = await rig.put('w', 0, 5);
  const later = await rig.put('w', 5, 9, 'a', HOUR + 5);
  await rig.put('x', 0, 3, 'b');
  const catalog = rig.catalog();
  assert.deepEqual(await keysOf(catalog), [first, later]);
  const hour = (number: number): bigint => HOUR_START_NS + BigInt(number) * BigInt(HOUR_NS);
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: hour(0), toNs: hour(1) }), [first]);
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: hour(5), toNs: hour(6) }), [later]);
  const { footer: stored } = (await catalog.objects(everything, []))[0];
  const [{ day, minOffset, maxOffset }] = stored.parts('a');
  const dayNs = BigInt(day) * 24n * BigInt(HOUR_NS);
  const [minNs, maxNs] = [dayNs + BigInt(minOffset), dayNs + BigInt(maxOffset)];
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: 0n, toNs: minNs }), []);
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: 0n, toNs: minNs + 1n }), [first]);
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: maxNs, toNs: maxNs + 1n }), [first]);
  assert.deepEqual(await keysOf(catalog, { tenant: 'a', fromNs: hour(2), toNs: hour(3) }), []);
  const [{ footer }] = await catalog.objects({ ...everything, tenant: 'b' }, []);
  assert.deepEqual([footer.log, footer.from, footer.to], ['x', 0, 3]);
});

test('footers are read once, also when asked for at the same time', async () => {
  const rig = new Rig();
  for (let from = 0; from < 40; from++) await rig.put('w', from, from + 1);
  const catalog = rig.catalog();
  await Promise.all([keysOf(catalog), keysOf(catalog), keysOf(catalog)]);
  assert.deepEqual([rig.gets, rig.lists], [40, 2]); // level 0, and the tenant’s segments
  await keysOf(catalog);
  assert.deepEqual([rig.gets, rig.lists], [40, 2]); // level 0, and the tenant’s segments
});

test('with little memory footers are read again, but not for what is known not to be in them', async () => {
  const rig = new Rig();
  await rig.put('w', 0, 1);
  await rig.put('w', 1, 2, 'b');
  await rig.put('w', 2, 3);
  const catalog = rig.catalog(1);
  await keysOf(catalog);
  assert.equal(rig.gets, 3);
  assert.equal((await keysOf(catalog)).length, 2);
  assert.equal(rig.gets, 4, 'the footer used last is kept');
});

test('a listing is used until it is too old', async () => {
  const rig = new Rig();
  const first = await rig.put('w', 0, 1);
  const catalog = rig.catalog();
  assert.deepEqual(await keysOf(catalog), [first]);
  const second = await rig.put('w', 1, 2);
  rig.nowMs += MAX_AGE_MS;
  assert.deepEqual(await keysOf(catalog), [first]);
  rig.nowMs += 1;
  assert.deepEqual(await keysOf(catalog), [first, second]);
});

test('an object that its writer tells of is found at once', async () => {
  const rig = new Rig();
  const first = await rig.put('w', 0, 1);
  const catalog = rig.catalog();
  await keysOf(catalog);
  const second = await rig.put('w', 1, 2);
  assert.deepEqual(await keysOf(catalog, everything, [second]), [first, second]);
  const lists = rig.lists;
  assert.deepEqual(await keysOf(catalog, everything, [first, second]), [first, second]);
  assert.equal(rig.lists, lists);
  await assert.rejects(keysOf(catalog, everything, [levelZeroKey('w', 9)]), { code: 'not_found' });
});

test('a listing under way before the object was there is not trusted for it', async () => {
  const rig = new Rig();
  await rig.put('w', 0, 1);
  const catalog = rig.catalog();
  const list = rig.blobs.list;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  rig.blobs.list = async function* (prefix) {
    const found = [];
    for await (const object of list(prefix)) found.push(object);
    await released;
    yield* found;
  };
  const listing = catalog.refresh();
  await new Promise((resolve) => setImmediate(resolve));
  const second = await rig.put('w', 1, 2);
  const answer = keysOf(catalog, everything, [second]);
  release();
  await listing;
  assert.equal((await answer).length, 2);
});

test('an object that is gone is an error once, and then no longer listed', async () => {
  const rig = new Rig();
  const first = await rig.put('w', 0, 1);
  const second = await rig.put('w', 1, 2);
  const catalog = rig.catalog();
  await catalog.refresh();
  await rig.blobs.delete(first);
  await assert.rejects(keysOf(catalog), { code: 'not_found' });
  assert.deepEqual(await keysOf(catalog), [second]);
});

test('nothing is remembered of an object that is no longer listed', async () => {
  const rig = new Rig();
  const key = await rig.put('w', 0, 1);
  const catalog = rig.catalog();
  await keysOf(catalog);
  await rig.blobs.delete(key);
  await catalog.refresh();
  await rig.put('w', 0, 9);
  await catalog.refresh();
  assert.deepEqual(
    (await catalog.objects(everything, [])).map(({ footer }) => footer.to),
    [9],
  );
});

test('other files under the prefix are ignored; a damaged object is an error', async () => {
  const rig = new Rig();
  const key = await rig.put('w', 0, 1);
  await rig.blobs.put('_l0/w/README', Buffer.from('hello'));
  const catalog = rig.catalog();
  assert.deepEqual(await keysOf(catalog), [key]);
  await rig.blobs.put(levelZeroKey('w', 1), Buffer.from('no segment'));
  await catalog.refresh();
  await assert.rejects(keysOf(catalog), (error) => error instanceof Fault && error.code === 'corrupt');
});

test('where a log’s chain ends', async () => {
  const rig = new Rig();
  await rig.put('w', 0, 5);
  await rig.put('w', 5, 1234);
  await rig.put('w-2', 7, 8);
  assert.equal((await readChain(rig.blobs, 'w')).end, 1234);
  assert.equal((await readChain(rig.blobs, 'w-2')).end, 8);
  assert.equal((await readChain(rig.blobs, 'new')).end, 0);
});

const DAY = Math.floor(HOUR / 24);

/** Merges the day's parts of the objects, and puts what comes of it. */
async function merge(rig: Rig, keys: string[], floors: ReadonlyMap<string, number> = new Map()): Promise<string> {
  const inputs = [];
  for (const key of keys) {
    const footer = await readFooter(rig.blobs, key, (await rig.blobs.get(key)).length);
    inputs.push({ key, footer, oldestMs: footer.level === 0 ? rig.nowMs : footer.oldestMs });
  }
  const compaction = { tenant: 'a', day: DAY, inputs };
  const { key, info } = segmentFor(compaction, floors);
  const { body } = await mergeDay({ ...compaction, info }, { blobs: rig.blobs, giveWay: async () => {}, filters: { leastLineBytes: 0 } });
  await rig.blobs.put(key, body);
  return key;
}

test('a segment is as old as the oldest object that it was made from, whatever the names of their logs', async () => {
  const rig = new Rig();
  const early = await rig.put('log-b', 0, 1);
  const arrivals = new Map([[early, 1]]);
  for (const [log, atMs] of [
    ['log-b', 1],
    ['log-a', 2],
  ] as const)
    arrivals.set(await rig.put(log, 1, 2), atMs);
  const inputs = [];
  for (const key of [...arrivals.keys()].slice(1))
    inputs.push({ key, footer: await readFooter(rig.blobs, key, (await rig.blobs.get(key)).length), oldestMs: arrivals.get(key)! });
  const { info } = segmentFor({ tenant: 'a', day: DAY, inputs }, new Map());
  assert.deepEqual([info.oldestMs, info.first], [1, '_l0/log-b/0000000000000001']);
  assert.ok(byArrival({ oldestMs: 1, first: early }, info) < 0);
});

test('a segment takes the place of what it was made from, which may be gone or not, and a later one takes its place', async () => {
  const rig = new Rig();
  const [first, second, third] = [await rig.put('w', 0, 1), await rig.put('w', 1, 2), await rig.put('w', 2, 3)];
  const catalog = rig.catalog();
  const now = async (): Promise<string[]> => {
    await catalog.refresh();
    return keysOf(catalog);
  };
  const one = await merge(rig, [first, second]);
  assert.deepEqual(await now(), [one, third]);
  await rig.blobs.delete(first);
  await rig.blobs.delete(second);
  assert.deepEqual(await now(), [one, third]);
  const two = await merge(rig, [third]);
  assert.deepEqual(await now(), [one, two]);
  const both = await merge(rig, [one, two]);
  assert.deepEqual(await now(), [both]);
  await rig.blobs.delete(two);
  assert.deepEqual(await now(), [both]);
  assert.deepEqual(await keysOf(catalog, { ...everything, tenant: 'b' }), []);
});

test('an older listing still does while what it lists is there', async () => {
  const rig = new Rig();
  const objects = [await rig.put('w', 0, 1), await rig.put('w', 1, 2)];
  const catalog = rig.catalog();
  assert.deepEqual(await keysOf(catalog), objects);
  const segment = await merge(rig, objects);
  assert.deepEqual(await keysOf(catalog), objects);
  for (const key of objects) await rig.blobs.delete(key);
  const [{ key, footer }] = await catalog.objects(everything, []);
  assert.deepEqual([key, footer.to], [objects[0], 1], 'its footer was known; reading its blocks will tell');
  rig.nowMs += MAX_AGE_MS + 1;
  assert.deepEqual(await keysOf(catalog), [segment]);
});

test('of two days of an object one may be merged', async () => {
  const rig = new Rig();
  const key = levelZeroKey('w', 0);
  const rows = [...randomRows(random(1), 10, DAY * 24 + 23), ...randomRows(random(2), 10, DAY * 24 + 24)];
  await rig.blobs.put(key, await segmentOf([{ tenant: 'a', labels: { app: 'x' }, rows }], { log: 'w', from: 0, to: 1 }));
  const segment = await merge(rig, [key]);
  const objects = await rig.catalog().objects(everything, []);
  assert.deepEqual(
    objects.map((object) => [object.key, [...object.days]]),
    [
      [segment, [DAY]],
      [key, [DAY + 1]],
    ],
  );
  const chunks = objects.flatMap((object) => object.select([], 0n, 2n ** 62n)).flatMap((series) => series.chunks);
  assert.deepEqual(chunks.map(({ baseNs }) => Number(baseNs / BigInt(HOUR_NS))).sort(), [DAY * 24, DAY * 24 + 24]);
});

test('an object that comes where its log is past does not count', async () => {
  const rig = new Rig();
  const objects = [await rig.put('w', 0, 5), await rig.put('w', 5, 9), await rig.put('w', 9, 12)];
  const first = await merge(rig, objects.slice(0, 2));
  const segment = await merge(rig, [first, await merge(rig, objects.slice(2))], new Map([['w', 9]]));
  for (const key of objects.slice(0, 2)) await rig.blobs.delete(key);
  await rig.put('w', 3, 7);
  const after = await rig.put('w', 12, 13);
  assert.deepEqual(await keysOf(rig.catalog()), [segment, after]);
});

test('an object that cannot be read is named with what can be done, and is no matter where its log is done with', async () => {
  const rig = new Rig();
  const [first, second] = [await rig.put('w', 0, 5), await rig.put('w', 5, 9)];
  const segment = await merge(rig, [await merge(rig, [first]), await merge(rig, [second])], new Map([['w', 5]]));
  for (const key of [first, second]) await rig.blobs.put(key, Buffer.from('no segment'));
  const named = (key: string) => (error: Error) =>
    error instanceof Fault &&
    error.code === 'corrupt' &&
    error.message.includes(key) &&
    error.message.includes(`rename its file to ${key}.damaged`);
  await assert.rejects(keysOf(rig.catalog()), named(second));
  await rig.blobs.delete(second);
  await rig.blobs.put(`${second}.damaged`, Buffer.from('no segment'));
  assert.deepEqual(await keysOf(rig.catalog()), [segment]);
  // Of another tenant, or in a time without segments, nothing says so.
  await assert.rejects(keysOf(rig.catalog(), { ...everything, tenant: 'b' }), named(first));
});

test('where a chain ends whose last objects cannot be read or were given up', async () => {
  const rig = new Rig();
  const chain = async () => {
    const { unreadable, givenUp: _, ...rest } = await readChain(rig.blobs, 'w');
    return { ...rest, unreadable: unreadable?.key };
  };
  assert.deepEqual(await chain(), { end: 0, floor: 0, newest: undefined, isBroken: true, unreadable: undefined });
  const [first, second, third] = [await rig.put('w', 0, 5), levelZeroKey('w', 5), levelZeroKey('w', 9)];
  await rig.blobs.put(second, Buffer.from('no segment'));
  assert.deepEqual(await chain(), { end: 5, floor: 6, newest: first, isBroken: true, unreadable: second });
  await rig.blobs.delete(second);
  for (const key of [second, third]) await rig.blobs.put(`${key}.damaged`, Buffer.from('no segment'));
  assert.deepEqual(await chain(), { end: 5, floor: 10, newest: first, isBroken: true, unreadable: undefined });
  const last = await rig.put('w', 9, 12);
  assert.deepEqual(await chain(), { end: 12, floor: 12, newest: last, isBroken: false, unreadable: undefined });
  await rig.put('w', 20, 22);
  assert.deepEqual((await readChain(rig.blobs, 'w')).givenUp, [{ key: `${second}.damaged`, from: 5, to: 9 }]);
});
