import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { enterMode, type Mode } from '../../ops/mode.ts';
import { openFsBlobStore } from '../../storage/blob/fs.ts';
import { PowerCutFiles } from '../support/power-cut-files.ts';
import { SingleStore } from '../support/single-store.ts';

test('a data folder is entered in another mode only once storage has all that its logs hold', async () => {
  const world = fakeWorld(1, new PowerCutFiles());
  const store = await SingleStore.boot(world, { shards: 2 });
  while (!(await store.ready())) await world.settle();
  const blobs = await openFsBlobStore({ root: '/data/objects', world });
  const enter = (mode: 'single' | 'replicated') =>
    enterMode(mode, { files: world.files, root: '/data', logRoot: '/data/wal', blobs, bufferedRecords: () => assert.fail('not asked') });
  const push = (line: string) => store.push([{ labels: { app: 'a' }, timeNs: BigInt(world.clock.nowMs()) * 1_000_000n, line }]);
  await push('before the folder was told what it is');
  await enter('replicated');
  await enter('replicated');
  await assert.rejects(enter('single'), /those of one of several processes, and hold entries that storage lacks: .* POST \/flush/);
  await assert.rejects(enter('single'), /hold entries/, 'and again');
  await store.flush();
  await enter('single');
  await push('after');
  await assert.rejects(enter('replicated'), /those of a process that was alone/);
  await enter('single');
});

test('a data folder behind Kafka is entered in another mode only once it is known that storage has all that Kafka holds', async () => {
  const world = fakeWorld(1, new PowerCutFiles());
  const blobs = await openFsBlobStore({ root: '/data/objects', world });
  let bufferedRecords = async () => ({ topic: 'ingest', records: 7 });
  const enter = (mode: Mode) =>
    enterMode(mode, { files: world.files, root: '/data', logRoot: '/data/wal', blobs, bufferedRecords: () => bufferedRecords() });
  await enter('buffered');
  await enter('buffered');
  await assert.rejects(enter('replicated'), /topic ingest has 7 records that storage lacks: .* POST \/flush/);
  bufferedRecords = () => Promise.reject(new Error('no broker answers'));
  await assert.rejects(enter('single'), /-kafka.brokers has to name its brokers\): no broker answers/);
  bufferedRecords = async () => ({ topic: 'ingest', records: 0 });
  await enter('single');
  bufferedRecords = () => assert.fail('not asked');
  await enter('single');
});
