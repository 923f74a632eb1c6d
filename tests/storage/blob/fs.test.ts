import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { FaultCode } from '../../../ops/base/fault.ts';
import { type Files, realWorld } from '../../../ops/base/world.ts';
import { FAKE_START_MS, fakeWorld } from '../../../ops/base/world-fake.ts';
import { PUT_LIMIT_MS } from '../../../storage/blob/blob-store.ts';
import { fileName, partOfFileName } from '../../../storage/blob/file-names.ts';
import { FsBlobStore, openFsBlobStore } from '../../../storage/blob/fs.ts';
import { blobSuite, keysIn } from '../../support/blob-suite.ts';
import { isFault } from '../../support/checks.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

const open = (files: Files): Promise<FsBlobStore> => openFsBlobStore({ root: '/data/objects', world: fakeWorld(1, files) });

function emptyFiles(nowMs = (): number => FAKE_START_MS): PowerCutFiles {
  const files = new PowerCutFiles();
  files.clock = { nowMs };
  return files;
}

blobSuite('directory, files in memory', () => open(emptyFiles()));

const scratch = mkdtempSync(join(tmpdir(), 'millrace-blob-'));
after(() => rmSync(scratch, { recursive: true }));
let stores = 0;
blobSuite('directory, real files', () => openFsBlobStore({ root: join(scratch, `${stores++}`, 'objects'), world: realWorld() }));

test('temporary files are not listed, none is left by a put, and those of killed processes are swept', async () => {
  const files = emptyFiles();
  const store = await open(files);
  const temp = '/data/objects/.tmp';
  await store.put('a', Buffer.from('a'));
  await store.put('a', Buffer.from('b'));
  await store.put('b', Buffer.from('a'), { ifAbsent: true });
  await assert.rejects(store.put('b', Buffer.from('a'), { ifAbsent: true }));
  files.quotaBytes = 2;
  await assert.rejects(store.put('c', Buffer.from('abc')), isFault('disk_full'));
  assert.deepEqual(await files.list(temp), []);
  files.quotaBytes = 100;
  await files.write(`${temp}/young`, Buffer.from('x'));
  files.clock = { nowMs: () => FAKE_START_MS - PUT_LIMIT_MS - 1 };
  await files.write(`${temp}/old`, Buffer.from('x'));
  assert.deepEqual(await keysIn(await open(files), ''), ['a', 'b']);
  assert.deepEqual(
    (await files.list(temp)).map(({ name }) => name),
    ['young'],
  );
});

test('a put that hangs for longer than it may fails once somebody has listed objects', async () => {
  const world = fakeWorld(1);
  const files = emptyFiles(world.clock.nowMs);
  const late: Files = new Proxy<Files>(files, {
    get: (target, name: keyof Files) =>
      name !== 'link'
        ? target[name].bind(target)
        : async (from: string, to: string) => {
            await world.advance(PUT_LIMIT_MS + 1);
            await keysIn(other, '');
            await target.link(from, to);
          },
  });
  const other = await openFsBlobStore({ root: '/data/objects', world: { ...world, files } });
  const store = await openFsBlobStore({ root: '/data/objects', world: { ...world, files: late } });
  await assert.rejects(store.put('a', Buffer.from('x'), { ifAbsent: true }), isFault('unavailable'));
  assert.deepEqual(await keysIn(other, ''), []);
});

test('files that are no objects are not listed', async () => {
  const files = emptyFiles();
  const store = await open(files);
  await store.put('a', Buffer.from('a'));
  for (const name of ['README', '%2E', '%61', '.hidden', 'a b', '%ff']) await files.write(`/data/objects/${name}`, Buffer.from('x'));
  assert.deepEqual(await keysIn(store, ''), ['a']);
});

const faults: [code: string, fault: FaultCode][] = [
  ['EACCES', 'denied'],
  ['EROFS', 'denied'],
  ['ENOSPC', 'disk_full'],
  ['EDQUOT', 'disk_full'],
  ['EIO', 'unavailable'],
  ['EMFILE', 'unavailable'],
];
for (const [code, fault] of faults) {
  test(`${code} is told as ${fault}`, async () => {
    const files = emptyFiles();
    const fail = async () => {
      throw Object.assign(new Error(code), { code });
    };
    const failing = new Proxy<Files>(files, {
      get: (target, name: keyof Files) => (['read', 'unlink', 'link', 'rename', 'list'].includes(name) ? fail : target[name].bind(target)),
    });
    await open(files);
    await assert.rejects(open(failing), isFault(fault));
    const store = new FsBlobStore('/data/objects', fakeWorld(1, failing));
    await assert.rejects(store.put('a', Buffer.from('x')), isFault(fault));
    await assert.rejects(store.put('a', Buffer.from('x'), { ifAbsent: true }), isFault(fault));
    await assert.rejects(store.get('a'), isFault(fault));
    await assert.rejects(store.delete('a'), isFault(fault));
    await assert.rejects(keysIn(store, ''), isFault(fault));
  });
}

const names: [part: string, name: string][] = [
  ['plain-1.seg', 'plain-1.seg'],
  ['.tmp', '%2etmp'],
  ['..', '%2e.'],
  ['Ab', '%41b'],
  ['%2E', '%252%45'],
  ['ü', '%c3%bc'],
];
for (const [part, name] of names) {
  test(`the file name of ${part} is ${name}`, () => {
    assert.equal(fileName(part), name);
    assert.equal(partOfFileName(name), part);
  });
}

test('a name that is too long is in base 32, and what would not be too long never is', () => {
  assert.equal(fileName('A'.repeat(86)).slice(0, 10), '%-ifaucqkb');
  assert.equal(fileName('T'.repeat(150)).length, 242);
  for (const name of ['%-', '%-ifa', '%-me', '%-IFAUCQKB', `%-${'i'.repeat(239)}`]) assert.equal(partOfFileName(name), undefined, name);
});

test('a part whose file name is too long is refused', async () => {
  const store = await open(emptyFiles());
  await store.put('a'.repeat(255), Buffer.alloc(1));
  await assert.rejects(store.put('a'.repeat(256), Buffer.alloc(1)), isFault('bad_request'));
});
