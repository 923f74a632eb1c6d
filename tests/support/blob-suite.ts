import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BlobStore, PIECE_BYTES } from '../../storage/blob/blob-store.ts';
import { keyPart } from '../../storage/blob/keys.ts';
import { isFault } from './checks.ts';

/** Every make of BlobStore passes this. `open` gives an empty store. */
export function blobSuite(name: string, open: () => Promise<BlobStore>): void {
  describe(`blob store: ${name}`, () => {
    test('gives back what was put, whole or in part', async () => {
      const store = await open();
      await store.put('a/b', Buffer.from('0123456789'));
      assert.equal((await store.get('a/b')).toString(), '0123456789');
      const ranges: [from: number, to: number, text: string][] = [
        [0, 4, '0123'],
        [4, 10, '456789'],
        [8, 99, '89'],
        [3, 3, ''],
        [10, 20, ''],
        [50, 60, ''],
      ];
      for (const [from, to, text] of ranges) assert.equal((await store.get('a/b', [from, to])).toString(), text);
    });

    test('puts parts as one object, and empty objects', async () => {
      const store = await open();
      await store.put('parts', [Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c')]);
      await store.put('empty', []);
      assert.equal((await store.get('parts')).toString(), 'abc');
      assert.equal((await store.get('empty')).length, 0);
    });

    test('a put at a pace waits between pieces, and is of no consequence if it ends there', async () => {
      const store = await open();
      const parts = [1, PIECE_BYTES, PIECE_BYTES - 1, 0, 2 * PIECE_BYTES, 7].map((length, part) => Buffer.alloc(length, `${part}`));
      let waits = 0;
      const pace = async (): Promise<void> => {
        waits++;
        assert.deepEqual(await keysIn(store, ''), []);
      };
      await store.put('a/b', parts, { ifAbsent: true, pace });
      assert.equal(waits, 4);
      assert.ok((await store.get('a/b')).equals(Buffer.concat(parts)));
      await store.delete('a/b');
      const over = (): Promise<void> => Promise.reject(new Error('over'));
      await assert.rejects(store.put('a/b', parts, { pace: over }), /over/);
      assert.deepEqual(await keysIn(store, ''), []);
      await store.put('small', [Buffer.from('a')], { pace: over });
      await store.put('empty', [], { pace: over });
      assert.deepEqual(await keysIn(store, ''), ['empty', 'small']);
    });

    test('bytes put and bytes got are not shared', async () => {
      const store = await open();
      const body = Buffer.from('abc');
      await store.put('a', body);
      body.fill('x');
      (await store.get('a')).fill('y');
      (await store.get('a', [0, 2])).fill('z');
      assert.equal((await store.get('a')).toString(), 'abc');
    });

    test('a put replaces, but not with ifAbsent', async () => {
      const store = await open();
      await store.put('a', Buffer.from('1'), { ifAbsent: true });
      await assert.rejects(store.put('a', Buffer.from('1'), { ifAbsent: true }), isFault('exists'));
      await store.put('a', Buffer.from('2'));
      assert.equal((await store.get('a')).toString(), '2');
      await store.delete('a');
      await store.put('a', Buffer.from('3'), { ifAbsent: true });
      assert.equal((await store.get('a')).toString(), '3');
    });

    test('of many puts with ifAbsent at once, one succeeds', async () => {
      const store = await open();
      const puts = Array.from({ length: 20 }, (_, number) => store.put('new/a', Buffer.from(`${number}`), { ifAbsent: true }));
      const winners = (await Promise.allSettled(puts)).flatMap(({ status }, number) => (status === 'fulfilled' ? [number] : []));
      assert.equal(winners.length, 1);
      assert.equal((await store.get('new/a')).toString(), `${winners[0]}`);
    });

    test('what is absent is not found, and deleting it succeeds', async () => {
      const store = await open();
      await store.put('a/b', Buffer.from('x'));
      for (const key of ['b', 'a', 'a/c', 'a/b/c', 'c/d/e']) await assert.rejects(store.get(key), isFault('not_found'), key);
      await store.delete('c/d');
      await store.delete('a/b');
      await store.delete('a/b');
      await assert.rejects(store.get('a/b'), isFault('not_found'));
      assert.deepEqual(await keysIn(store, ''), []);
    });

    test('lists keys by prefix, in the order of their UTF-8 bytes', async () => {
      const store = await open();
      // '-' and '.' sort before '/', letters after it; U+FF5E sorts before U+1F600 in UTF-8, and after it in UTF-16.
      const keys = ['a-b', 'a.b', 'a/b', 'a/b-c', 'a/c/d', 'a/c/e', 'a/~', 'a0', 'aa/x', 'z/\uff5e', 'z/\u{1f600}'];
      for (const key of keys.toReversed()) await store.put(key, Buffer.from(key));
      assert.deepEqual(await keysIn(store, ''), keys);
      const prefixes: [prefix: string, keys: string[]][] = [
        ['a', keys.slice(0, 9)],
        ['a/', ['a/b', 'a/b-c', 'a/c/d', 'a/c/e', 'a/~']],
        ['a/c', ['a/c/d', 'a/c/e']],
        ['a/c/', ['a/c/d', 'a/c/e']],
        ['a/c/d', ['a/c/d']],
        ['aa', ['aa/x']],
        ['b', []],
        ['x/y/z', []],
      ];
      for (const [prefix, expected] of prefixes) assert.deepEqual(await keysIn(store, prefix), expected, prefix);
    });

    test('lists sizes and times', async () => {
      const store = await open();
      await store.put('a', Buffer.alloc(12));
      for await (const info of store.list('')) {
        assert.equal(info.sizeBytes, 12);
        assert.ok(info.createdMs > 0);
      }
    });

    test('many objects under one prefix', async () => {
      const store = await open();
      const keys = Array.from({ length: 100 }, (_, number) => `many/${String(number).padStart(3, '0')}`);
      await Promise.all(keys.map((key) => store.put(key, Buffer.from(key))));
      assert.deepEqual(await keysIn(store, 'many/'), keys);
    });

    test('any tenant id makes a key of its own, and none reaches outside', async () => {
      const store = await open();
      const tenants = [
        '..',
        '.',
        '.tmp',
        'a/b',
        '/etc',
        'a',
        'A',
        '%',
        '%2E%2E',
        '%2e%2e',
        'a b',
        'a\\b',
        'ü',
        'u\u0308',
        'nul\0',
        '*',
        'con',
        "()!'_-.*",
        'A'.repeat(85),
        'A'.repeat(86),
        'a'.repeat(86),
        'T'.repeat(150),
        `${'T'.repeat(149)}t`,
        "(!)'".repeat(37),
      ];
      for (const tenant of tenants) await store.put(`${keyPart(tenant)}/x`, Buffer.from(tenant), { ifAbsent: true });
      for (const tenant of tenants) {
        assert.equal((await store.get(`${keyPart(tenant)}/x`)).toString(), tenant);
        assert.deepEqual(await keysIn(store, `${keyPart(tenant)}/`), [`${keyPart(tenant)}/x`]);
      }
      assert.equal((await keysIn(store, '')).length, tenants.length);
    });

    test('refuses what is not a key', async () => {
      const store = await open();
      for (const key of ['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/.', '\ud800']) {
        await assert.rejects(store.put(key, Buffer.alloc(1)), isFault('bad_request'), key);
        await assert.rejects(store.get(key), isFault('bad_request'), key);
        await assert.rejects(store.delete(key), isFault('bad_request'), key);
      }
    });
  });
}

export async function keysIn(store: BlobStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
