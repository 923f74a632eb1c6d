import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lengthOf } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import type { Files } from '../../../ops/base/world.ts';
import { fakeWorld, seededRandom } from '../../../ops/base/world-fake.ts';
import { type BlobStore, PIECE_BYTES } from '../../../storage/blob/blob-store.ts';
import { openFsBlobStore } from '../../../storage/blob/fs.ts';
import { flakyFiles } from '../../sim/flaky-files.ts';
import { keysIn } from '../../support/blob-suite.ts';
import { numbers } from '../../support/checks.ts';
import { CRASH_MODES, type CrashMode, PowerCutFiles, withoutSync } from '../../support/power-cut-files.ts';

const open = (files: Files, seed: number): Promise<BlobStore> => openFsBlobStore({ root: '/data/objects', world: fakeWorld(seed, files) });

const body = (text: string): Buffer => Buffer.alloc(1_500, text);

/** What may be found under each key: a body, or undefined where there may be none. */
type Expected = Map<string, (string | undefined)[]>;

/** Puts, replaces and deletes, until the power goes. */
async function run(files: Files, expected: Expected): Promise<void> {
  const store = await open(files, 1);
  const put = async (key: string, text: string, ifAbsent: boolean): Promise<void> => {
    expected.set(key, [...(expected.get(key) ?? [undefined]), text]);
    await store.put(key, [body(text).subarray(0, 700), body(text).subarray(700)], { ifAbsent });
    expected.set(key, [text]);
  };
  const remove = async (key: string): Promise<void> => {
    expected.set(key, [...expected.get(key)!, undefined]);
    await store.delete(key);
    expected.set(key, [undefined]);
  };
  await put('_l0/log/0', 'first', true);
  await put('_l0/log/5', 'second', true);
  await put('tenant/day/segment', 'third', false);
  await put('tenant/day/segment', 'third, replaced', false);
  await put('top', 'fourth', false);
  await remove('_l0/log/0');
}

async function check(store: BlobStore, expected: Expected): Promise<void> {
  const listed = await keysIn(store, '');
  assert.ok(
    listed.every((key) => expected.has(key)),
    `unknown objects among ${listed}`,
  );
  for (const [key, possible] of expected) {
    const found = await store.get(key).then(
      (bytes) => possible.find((text) => text !== undefined && bytes.equals(body(text))) ?? 'something else',
      (error) => {
        if (error instanceof Fault && error.code === 'not_found') return undefined;
        throw error;
      },
    );
    assert.ok(possible.includes(found), `${key} holds ${found}, not one of ${possible}`);
    assert.equal(listed.includes(key), found !== undefined, `${key} is listed and found alike`);
    expected.set(key, [found]); // what was seen once stays
  }
}

function isCheck(error: unknown): error is Error {
  return error instanceof assert.AssertionError;
}

async function crashAt(stopAt: number, modes: readonly [CrashMode, CrashMode], view: (files: PowerCutFiles) => Files): Promise<void> {
  const random = seededRandom(stopAt);
  const expected: Expected = new Map();
  const files = new PowerCutFiles();
  files.stopAt = stopAt;
  await run(view(files), expected).catch((error) => {
    if (isCheck(error)) throw error;
  });
  const survived = files.crash(modes[0], random);
  await check(await open(view(survived), 2), expected);
  await check(await open(view(survived.crash(modes[1], random)), 3), expected);
}

async function stepsOf(view: (files: PowerCutFiles) => Files): Promise<number> {
  const files = new PowerCutFiles();
  await run(view(files), new Map());
  return files.steps;
}

for (const first of CRASH_MODES) {
  test(`an object is wholly there or not at all, and there once put resolved, whenever the run stops: ${first}`, async () => {
    const steps = await stepsOf((files) => files);
    assert.ok(steps > 50);
    for (const stopAt of numbers(steps + 1)) {
      for (const second of CRASH_MODES) {
        await crashAt(stopAt, [first, second], (files) => files).catch((error) => {
          throw new Error(`step ${stopAt}, then ${second}: ${error.message}`, { cause: error });
        });
      }
    }
  });
}

for (const what of ['data', 'names'] as const) {
  test(`the check above notices when ${what} are not synced`, async () => {
    const steps = await stepsOf((files) => withoutSync(files, what));
    let failures = 0;
    for (const stopAt of numbers(steps + 1)) {
      await crashAt(stopAt, ['nothing', 'nothing'], (files) => withoutSync(files, what)).catch((error) => {
        assert.ok(isCheck(error), error);
        failures++;
      });
    }
    assert.ok(failures > steps / 2, `noticed at ${failures} of ${steps} steps`);
  });
}

test('an object that was called existing survives, though the process that put it was killed before its put resolved', async () => {
  const put = async (files: Files, seed: number) => (await open(files, seed)).put('_l0/log/0', body('x'), { ifAbsent: true });
  const files = new PowerCutFiles();
  await put(files, 1);
  const steps = files.steps;
  for (const stopAt of numbers(steps)) {
    const files = new PowerCutFiles();
    files.stopAt = stopAt;
    await put(files, 1).catch(() => {});
    const survived = files.crash('killed', seededRandom(1));
    await put(survived, 2).catch((error) => assert.equal(error.code, 'exists'));
    const store = await open(survived.crash('nothing', seededRandom(1)), 3);
    assert.ok((await store.get('_l0/log/0')).equals(body('x')), `step ${stopAt}`);
  }
});

test('an object whose put failed at the very last survives once it was listed', async () => {
  const files = new PowerCutFiles();
  let failing = false;
  const store = await open(
    flakyFiles(files, (path) => (failing && path === '/data/objects/_l0/log' ? 'before' : undefined)),
    1,
  );
  await store.put('_l0/log/0', body('x'), { ifAbsent: true });
  assert.deepEqual(await keysIn(store, '_l0/log/'), ['_l0/log/0']);
  failing = true;
  await assert.rejects(store.put('_l0/log/1', body('y'), { ifAbsent: true }));
  failing = false;
  assert.deepEqual(await keysIn(store, '_l0/log/'), ['_l0/log/0', '_l0/log/1']);
  const after = await open(files.crash('nothing', seededRandom(1)), 2);
  assert.deepEqual(await keysIn(after, '_l0/log/'), ['_l0/log/0', '_l0/log/1']);
});

test('a put at a pace never has more than a piece on its way to the disk', async () => {
  const files = new PowerCutFiles();
  let [unsynced, most] = [0, 0];
  const create = files.create.bind(files);
  files.create = async (path) => {
    const file = await create(path);
    const append = (chunks: readonly Uint8Array[]): Promise<void> => {
      unsynced += lengthOf(chunks);
      most = Math.max(most, unsynced);
      return file.append(chunks);
    };
    const sync = async (): Promise<void> => {
      await file.sync();
      unsynced = 0;
    };
    return { append, sync, close: () => file.close() };
  };
  const store = await open(files, 1);
  const pace = async (): Promise<void> => assert.equal(unsynced, 0);
  await store.put('a/b', [Buffer.alloc(3 * PIECE_BYTES), Buffer.alloc(PIECE_BYTES + 1)], { pace });
  assert.deepEqual([unsynced, most], [0, PIECE_BYTES]);
});
