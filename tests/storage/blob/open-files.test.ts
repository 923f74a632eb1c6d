import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files, ReadFile } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { OpenFiles } from '../../../storage/blob/open-files.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

/** Files `0`, `1`, …, each with its name in it; how often each was opened, and which are open. */
async function rig() {
  const disk = new PowerCutFiles();
  const opened: string[] = [];
  const open = new Map<string, number>();
  const change = (path: string, by: number) => open.set(path, (open.get(path) ?? 0) + by);
  const files = {
    open: async (path: string): Promise<ReadFile> => {
      const file = await disk.open(path);
      opened.push(path);
      change(path, 1);
      return { ...file, close: async () => void change(path, -1) };
    },
  } as Files;
  const world = fakeWorld(1, files);
  for (let number = 0; number < 100; number++) await disk.write(`/${number}`, Buffer.from(`file ${number}`));
  const openNow = () => [...open].filter(([, count]) => count > 0).map(([path]) => path);
  return { disk, world, opened, openNow, reader: new OpenFiles(world) };
}

test('a file is opened once for all who read it, and stays open for some seconds', async () => {
  const { world, opened, openNow, reader } = await rig();
  const read = await Promise.all([reader.read('/1', [0, 4]), reader.read('/1', [5, 99])]);
  assert.deepEqual(read.map(String), ['file', '1']);
  await world.advance(3_000);
  assert.equal(String(await reader.read('/1', [0, 6])), 'file 1');
  assert.deepEqual(opened, ['/1']);
  assert.deepEqual(openNow(), ['/1']);
  for (let second = 0; second < 10; second++) {
    await world.advance(1_000);
    assert.equal(String(await reader.read('/1', [0, 6])), 'file 1');
  }
  assert.ok(opened.length > 1, 'also one that is always read is opened anew');
  await world.advance(10_000);
  assert.deepEqual(openNow(), []);
});

test('only so many are open at a time, those used last', async () => {
  const { world, openNow, reader } = await rig();
  for (let number = 0; number < 100; number++) await reader.read(`/${number}`, [0, 1]);
  await world.settle();
  assert.deepEqual(
    openNow(),
    Array.from({ length: 64 }, (_, index) => `/${index + 36}`),
  );
});

test('a file that is dropped is closed behind its last reader, and another one of its name is read then', async () => {
  const { disk, world, openNow, reader } = await rig();
  const reading = reader.read('/1', [0, 99]);
  await disk.unlink('/1');
  await disk.write('/1', Buffer.from('another'));
  reader.drop('/1');
  const after = await reader.read('/1', [0, 99]);
  assert.deepEqual([String(await reading), String(after)].at(-1), 'another');
  reader.drop('/1');
  await world.settle();
  assert.deepEqual(openNow(), []);
});

test('a file that could not be opened is tried again', async () => {
  const { disk, reader } = await rig();
  await assert.rejects(reader.read('/new', [0, 1]), /ENOENT/);
  await disk.write('/new', Buffer.from('new'));
  assert.equal(String(await reader.read('/new', [0, 99])), 'new');
});
