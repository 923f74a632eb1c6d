import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Instruments, noInstruments } from '../../../ops/base/instruments.ts';
import { type AppendFile, type Files, realWorld, type World } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { type LocalLog, openLocalLog } from '../../../storage/log/local.ts';
import { createLocalLog, listLocalLogs } from '../../../storage/log/local-logs.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { logSuite, recordsIn } from '../../support/log-suite.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

const directory = '/log';
const id = 'f'.repeat(32);

async function open(world: World, instruments: Instruments = noInstruments, floor = 0): Promise<LocalLog> {
  return openLocalLog({ directory, id, world, instruments, segmentBytes: 1024, maxRecordBytes: 4096, floor });
}

async function emptyFiles(): Promise<PowerCutFiles> {
  const files = new PowerCutFiles();
  await files.makeDirectory(directory);
  await files.syncDirectory('/');
  return files;
}

logSuite('local, files in memory', async () => {
  const world = fakeWorld(1, await emptyFiles());
  return { open: () => open(world) };
});

logSuite('local, real files', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  after(() => rmSync(root, { recursive: true }));
  const world = realWorld();
  const { directory, id } = await createLocalLog(world, join(root, 'data', 'wal'), 0);
  return { open: () => openLocalLog({ directory, id, world, instruments: noInstruments, segmentBytes: 1024, maxRecordBytes: 4096 }) };
});

/** Files of which the test lets each sync of data end, and counts writes. */
class HeldSyncs {
  readonly files: Files;
  /** Records in each write, and each sync, in order. */
  readonly calls: string[] = [];
  #release: (() => void) | undefined;
  #hold = false;

  constructor(inner: PowerCutFiles) {
    const create = async (path: string): Promise<AppendFile> => {
      const file = await inner.create(path);
      return {
        append: (chunks) => {
          this.calls.push(`append ${chunks.filter((chunk) => chunk.length === 1).length}`);
          return file.append(chunks);
        },
        sync: async () => {
          this.calls.push('sync begins');
          if (this.#hold) await new Promise<void>((resolve) => (this.#release = resolve));
          await file.sync();
          this.calls.push('sync ends');
        },
        close: () => file.close(),
      };
    };
    this.files = new Proxy<Files>(inner, {
      get: (target, name: keyof Files) => (name === 'create' ? create : target[name].bind(target)),
    });
  }
  hold(): void {
    this.#hold = true;
  }
  releaseOne(): void {
    this.#release?.();
  }
  release(): void {
    this.#hold = false;
    this.releaseOne();
  }
}

test('while one group is synced the next one gathers, and nothing is acknowledged before its sync', async () => {
  const held = new HeldSyncs(await emptyFiles());
  const world = fakeWorld(1, held.files);
  const log = await open(world);
  const acknowledged: number[] = [];
  const append = () => void log.append([Buffer.alloc(1)]).then((position) => acknowledged.push(position));
  append();
  await world.settle();
  held.calls.length = 0;
  acknowledged.length = 0;

  held.hold();
  append();
  append();
  await world.settle();
  for (const _ of numbers(5)) append();
  await world.settle();
  assert.deepEqual(held.calls, ['append 2', 'sync begins']);
  assert.deepEqual(acknowledged, []);
  assert.equal(log.end, 1);

  held.release();
  await world.settle();
  assert.deepEqual(held.calls, ['append 2', 'sync begins', 'sync ends', 'append 5', 'sync begins', 'sync ends']);
  assert.deepEqual(acknowledged, [1, 2, 3, 4, 5, 6, 7]);
  await log.close();
});

test('a failed sync fails its group only; the file is never written to again', async () => {
  const files = await emptyFiles();
  const log = await open(fakeWorld(1, files));
  await log.append([Buffer.from('kept')]);
  files.goodSyncs = 0;
  const group = await Promise.allSettled([log.append([Buffer.from('lost 1')]), log.append([Buffer.from('lost 2')])]);
  assert.ok(group.every((result) => result.status === 'rejected' && isFault('unavailable')(result.reason)));
  assert.equal(log.end, 1);
  assert.equal(await log.append([Buffer.from('after')]), 1);
  assert.deepEqual(
    (await files.list(directory)).map(({ name }) => name),
    ['0000000001-0000000000000000.log', '0000000002-0000000000000001.log'],
  );
  assert.deepEqual(
    (await recordsIn(log)).map(({ bytes }) => bytes.toString()),
    ['kept', 'after'],
  );
  await log.close();
  const after = await open(fakeWorld(1, files));
  assert.deepEqual(
    (await recordsIn(after)).map(({ bytes }) => bytes.toString()),
    ['kept', 'after'],
  );
});

test('a full disk refuses appends, serves reads, leaves no litter, and takes appends again once there is room', async () => {
  const files = await emptyFiles();
  const counted = countingInstruments();
  const log = await open(fakeWorld(1, files), counted.instruments);
  const append = () => log.append([Buffer.alloc(200, 7)]);
  assert.equal(await append(), 0);
  files.quotaBytes = 300;
  assert.equal(await append(), 1);
  for (const quota of [68, 10, 32, 100, 0, 0]) {
    files.quotaBytes = quota;
    await assert.rejects(append(), isFault('disk_full'));
    assert.equal((await recordsIn(log)).length, 2);
  }
  assert.equal((await files.list(directory)).length, 1);
  assert.equal(counted.totals.get('loki_ingester_wal_disk_full_failures_total'), 6);
  files.quotaBytes = 10_000;
  assert.equal(await append(), 2);
  assert.deepEqual(
    (await recordsIn(log)).map(({ position }) => position),
    [0, 1, 2],
  );
  await log.close();
});

test('an abandoned file is kept if it is all that says where the log ends', async () => {
  const files = await emptyFiles();
  const held = new HeldSyncs(files);
  const world = fakeWorld(1, held.files);
  const log = await open(world);
  for (const _ of numbers(5)) await log.append([Buffer.alloc(1000)]); // a file each
  held.hold();
  const refused = assert.rejects(log.append([Buffer.alloc(1000)]), isFault('unavailable'));
  await world.settle();
  held.releaseOne(); // the header of the next file
  await world.settle();
  await log.trim(5);
  assert.equal((await files.list(directory)).length, 1);
  files.goodSyncs = 0;
  held.release();
  await refused;
  await log.close();
  assert.ok((await open(world)).end >= 5);
});

test('no position is given out below the floor', async () => {
  const files = await emptyFiles();
  const log = await open(fakeWorld(1, files), noInstruments, 12);
  assert.equal(log.end, 12);
  assert.equal(await log.append([Buffer.from('x')]), 12);
  assert.deepEqual(
    (await recordsIn(log, 12)).map(({ position }) => position),
    [12],
  );
  await log.close();
  assert.equal((await open(fakeWorld(1, files), noInstruments, 3)).end, 13);
});

test('a file stays within the segment size unless one record is larger', async () => {
  const files = await emptyFiles();
  const log = await open(fakeWorld(1, files));
  await Promise.all(numbers(30).map((number) => log.append([Buffer.alloc(number * 20)])));
  await log.append([Buffer.alloc(3000)]);
  const names = (await files.list(directory)).map(({ name }) => join(directory, name));
  const sizes = await Promise.all(names.map(async (path) => (await files.stat(path)).sizeBytes));
  assert.ok(sizes.length > 5);
  assert.deepEqual(
    sizes.filter((size) => size > 1024),
    [32 + 32 + 3000],
  );
  assert.equal(
    log.sizeBytes(),
    sizes.reduce((sum, size) => sum + size),
  );
  await log.close();
});

test('local logs are found by shard and id', async () => {
  const files = new PowerCutFiles();
  const world = fakeWorld(3, files);
  assert.deepEqual(await listLocalLogs(files, '/data/wal'), []);
  const one = await createLocalLog(world, '/data/wal', 1);
  const zero = await createLocalLog(world, '/data/wal', 0);
  await files.makeDirectory('/data/wal/lost+found');
  await files.write('/data/wal/2-0123456789abcdef0123456789abcdef', Buffer.alloc(0));
  assert.notEqual(one.id, zero.id);
  const survived = files.crash('nothing', world.random);
  assert.deepEqual(await listLocalLogs(survived, '/data/wal'), [zero, one]);
});

function countingInstruments(): { instruments: Instruments; totals: Map<string, number> } {
  const totals = new Map<string, number>();
  const counter = (name: string) => ({ add: (amount: number) => void totals.set(name, (totals.get(name) ?? 0) + amount) });
  return { instruments: { ...noInstruments, counter }, totals };
}
