import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kv, KvEntry, KvWatch } from '../../topology/ring/kv.ts';

export interface KvUnderTest {
  /** Clients of one store. */
  readonly clients: readonly [Kv, Kv];
  close(): Promise<unknown>;
}

/** What every make of Kv promises. */
export function kvSuite(name: string, skip: string | false, open: () => Promise<KvUnderTest>): void {
  const check = (what: string, body: (one: Kv, other: Kv) => Promise<void>): void => {
    test(`key-value store, ${name}: ${what}`, { skip }, async () => {
      const under = await open();
      try {
        await body(...under.clients);
      } finally {
        await under.close();
      }
    });
  };

  check('a key is set once, then from one revision to the next', async (one, other) => {
    assert.equal(await one.get('a'), undefined);
    const first = await one.put('a', 'one', 0);
    assert.ok(first !== undefined && first > 0);
    assert.equal(await other.put('a', 'two', 0), undefined);
    assert.deepEqual(await other.get('a'), { key: 'a', value: 'one', revision: first });
    const second = await other.put('a', 'two', first);
    assert.ok(second !== undefined && second > first);
    assert.equal(await one.put('a', 'three', first), undefined);
    assert.deepEqual(await one.get('a'), { key: 'a', value: 'two', revision: second });
  });

  check('a key is deleted at its revision only, and can be set again', async (one, other) => {
    const first = await one.put('tokens.a', 'x', 0);
    assert.equal(await other.delete('tokens.a', first! + 1), false);
    assert.equal(await other.delete('tokens.a', first!), true);
    assert.equal(await one.get('tokens.a'), undefined);
    assert.equal(await one.put('tokens.a', 'y', first!), undefined);
    const again = await one.put('tokens.a', 'z', 0);
    assert.ok(again !== undefined && again > first!);
    assert.equal((await other.get('tokens.a'))?.value, 'z');
  });

  check('of twenty that change a key at once one succeeds', async (one, other) => {
    const first = await one.put('a', '0', 0);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).put('a', `${index}`, first!)),
    );
    const [winner, ...others] = results.flatMap((revision, index) => (revision === undefined ? [] : [index]));
    assert.deepEqual(others, []);
    assert.equal((await one.get('a'))?.value, `${winner}`);
  });

  check('a watch tells of what is there, then of every change; deletions too', async (one, other) => {
    await one.put('a', '1', 0);
    const b = await one.put('b', '1', 0);
    const seen = new Seen();
    const watch = await other.watch(seen.take);
    assert.deepEqual(seen.values, { a: '1', b: '1' });
    assert.ok(Number.isFinite(watch.provenMs()));
    const c = await one.put('c', '1', 0);
    await one.put('c', '2', c!);
    await one.delete('b', b!);
    await seen.until(({ values }) => values.c === '2' && values.b === undefined);
    watch.close();
    await one.put('d', '1', 0);
    assert.equal(await other.get('d').then((entry) => entry?.value), '1');
    assert.ok(!('d' in seen.values));
  });

  check('a watch of an empty store, and one of a store in which all was deleted', async (one, other) => {
    const seen = new Seen();
    using _watch = closing(await other.watch(seen.take));
    const first = await one.put('a', '1', 0);
    await seen.until(({ values }) => values.a === '1');
    await one.delete('a', first!);
    await seen.until(({ values }) => values.a === undefined);
    const later = new Seen();
    using _later = closing(await other.watch(later.take));
    assert.deepEqual(later.values, {});
  });

  check('it is proven again and again that nothing was missed', async (one, other) => {
    const seen = new Seen();
    const watch = await other.watch(seen.take);
    using _watch = closing(watch);
    const before = watch.provenMs();
    await one.put('a', '1', 0);
    await seen.until(() => watch.provenMs() > before);
    assert.equal(seen.values.a, '1');
  });
}

export function closing(watch: KvWatch): Disposable {
  return { [Symbol.dispose]: () => watch.close() };
}

/** What a watch told. */
export class Seen {
  values: Record<string, string> = {};

  readonly take = ({ key, value }: KvEntry): void => {
    if (value === undefined) delete this.values[key];
    else this.values[key] = value;
  };

  async until(condition: (seen: Seen) => boolean): Promise<void> {
    while (!condition(this)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
