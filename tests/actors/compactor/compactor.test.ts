import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../../ops/base/fault.ts';
import { FAKE_START_MS, type FakeWorld, fakeWorld } from '../../../ops/base/world-fake.ts';
import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { openFsBlobStore } from '../../../storage/blob/fs.ts';
import { flakyFiles } from '../../sim/flaky-files.ts';
import { isFault } from '../../support/checks.ts';
import { GatedFiles } from '../../support/gated-files.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore } from '../../support/single-store.ts';

const DAY_MS = 86_400_000;
const NEVER_MS = 365 * DAY_MS;
const GRACE_MS = 1_000_000;
const RETRY_MS = 3_600_000;
const APP = '{app="a"}';

class Rig {
  readonly disk = new PowerCutFiles();
  /** Whether storage is away. */
  away = false;
  /** Paths of what the disk cannot read, and of what may not be deleted. */
  readonly badSectors = new Set<string>();
  readonly undeletable = new Set<string>();
  /** Told of every read. */
  reading: (path: string, range: readonly [from: number, to: number]) => void = () => {};
  readonly gate: GatedFiles;
  readonly world: FakeWorld;
  store!: SingleStore;
  blobs!: BlobStore;
  #pushed = 0n;

  private constructor() {
    const fails = (path: string) => (this.away && path.startsWith('/data/objects') ? ('before' as const) : undefined);
    const files = flakyFiles(this.disk, fails);
    const refuse = (code: string, path: string) => Promise.reject(Object.assign(new Error(`${code}: '${path}'`), { code }));
    this.gate = new GatedFiles({
      ...files,
      open: async (path) => {
        if (this.badSectors.has(path)) return refuse('EIO', path);
        const file = await files.open(path);
        return {
          ...file,
          read: (from, to) => {
            this.reading(path, [from, to]);
            return file.read(from, to);
          },
        };
      },
      unlink: (path) => (this.undeletable.has(path) ? refuse('EPERM', path) : files.unlink(path)),
    });
    this.world = fakeWorld(1, this.gate.files, FAKE_START_MS + 10 * DAY_MS);
    this.disk.clock = this.world.clock;
  }

  static async open(options: { compactionInterval?: number } = {}): Promise<Rig> {
    const rig = new Rig();
    const compactors = { count: 2, levelZeroAge: 0, compactionInterval: NEVER_MS, ...options };
    rig.store = await SingleStore.boot(rig.world, { shards: 1, ingester: { flushCheckPeriod: NEVER_MS }, compactors });
    while (!(await rig.store.ready())) await rig.world.settle();
    rig.blobs = await openFsBlobStore({ root: '/data/objects', world: rig.world });
    return rig;
  }

  /** Pushes one line for each, to a day after the first's, and flushes. */
  async flushed(...lines: [line: string, day?: number][]): Promise<void> {
    const entry = ([line, day = 0]: [line: string, day?: number]) => ({
      labels: { app: 'a' },
      timeNs: BigInt(FAKE_START_MS + day * DAY_MS) * 1_000_000n + this.#pushed++,
      line,
    });
    const { fault } = await this.store.push(lines.map(entry));
    assert.equal(fault, undefined);
    await this.store.flush();
  }

  async finds(...lines: string[]): Promise<void> {
    assert.deepEqual(await this.store.lines(APP), lines);
    assert.equal(await this.store.count(APP), lines.length);
  }

  async keys(prefix = ''): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.blobs.list(prefix)) keys.push(key);
    return keys;
  }

  /** `<day>/<level>` of each segment. */
  async levels(): Promise<string[]> {
    return (await this.keys('fake/')).map((key) => key.split('/').slice(1).join('/').split('-')[0]);
  }
}

const DAY = FAKE_START_MS / DAY_MS;

test('flushes become a segment, which stays alone with the log’s last object once nobody reads the others any more', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  await rig.flushed(['three']);
  assert.deepEqual(await rig.store.compact(), { compacted: 1, deleted: 0 });
  assert.equal((await rig.keys('_l0/')).length, 3);
  await rig.finds('one', 'two', 'three');
  await rig.world.advance(GRACE_MS);
  assert.deepEqual(await rig.store.compact(), { compacted: 0, deleted: 2 });
  assert.deepEqual(await rig.levels(), [`${DAY}/1`]);
  assert.equal((await rig.keys('_l0/')).length, 1);
  await rig.finds('one', 'two', 'three');
});

test('an object of two days is deleted when both are merged; until then the other day is read from it', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one'], ['later', 1]);
  await rig.flushed(['two']);
  await rig.disk.makeDirectory('/data/objects/fake');
  await rig.disk.makeDirectory(`/data/objects/fake/${DAY + 1}`);
  await rig.disk.write(`/data/objects/fake/${DAY + 1}/1-00000000000000-00000000000000-${'0'.repeat(32)}.seg`, Buffer.from('damage'));
  // The day with the damaged segment is left alone.
  assert.equal((await rig.store.compact()).compacted, 1);
  await rig.world.advance(GRACE_MS);
  assert.equal((await rig.store.compact()).deleted, 0);
  await rig.disk.unlink(`/data/objects/fake/${DAY + 1}/1-00000000000000-00000000000000-${'0'.repeat(32)}.seg`);
  await rig.finds('one', 'two', 'later');
  assert.equal((await rig.store.compact()).compacted, 1);
  await rig.world.advance(GRACE_MS);
  assert.equal((await rig.store.compact()).deleted, 1);
  assert.deepEqual(await rig.levels(), [`${DAY}/1`, `${DAY + 1}/1`]);
  await rig.finds('one', 'two', 'later');
});

test('a compaction gives up when another was faster', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  // The first has its survey and reads what it is to merge, when a third flush comes and the second compactor merges all three.
  const reading = rig.gate.hold('read', '/data/objects/_l0');
  const slow = rig.store.compact('0');
  await reading.reached;
  await rig.flushed(['three']);
  const fast = await rig.store.compact('1');
  assert.equal(fast.compacted, 1);
  reading.release();
  assert.equal((await slow).compacted, 0);
  assert.deepEqual(await rig.levels(), [`${DAY}/1`]);
  await rig.finds('one', 'two', 'three');
});

test('two that merge the same at once make one segment', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  await Promise.all([rig.store.compact('0'), rig.store.compact('1')]);
  assert.deepEqual(await rig.levels(), [`${DAY}/1`]);
  await rig.finds('one', 'two');
});

test('a damaged object does not stop the others, and is never deleted', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two', 1]);
  await rig.flushed(['three', 1]);
  const [first] = await rig.keys('_l0/');
  const path = `/data/objects/${first}`;
  rig.disk.flipBit(path, 3, 2); // in its block, not in its index
  await assert.rejects(rig.store.compact(), isFault('corrupt'));
  assert.deepEqual(await rig.levels(), [`${DAY + 1}/1`]);
  await rig.world.advance(GRACE_MS);
  await rig.store.compact();
  assert.deepEqual((await rig.keys('_l0/'))[0], first);
  rig.disk.flipBit(path, 3, 2);
  await rig.world.advance(RETRY_MS);
  assert.equal((await rig.store.compact()).compacted, 1);
  await rig.finds('one', 'two', 'three');
});

test('a damaged object is named once, and does not hold up what was flushed around it on its day', async () => {
  const rig = await Rig.open();
  for (const line of ['one', 'two', 'three', 'four', 'five']) await rig.flushed([line]);
  const third = (await rig.keys('_l0/'))[2];
  rig.disk.flipBit(`/data/objects/${third}`, 3, 2);
  await assert.rejects(rig.store.compact(), (error) => isFault('corrupt')(error) && (error as Fault).message.includes(third));
  assert.deepEqual(await rig.levels(), [`${DAY}/1`, `${DAY}/1`]);
  // What was flushed around it is deleted when its time has come, but for the log's last object.
  await rig.world.advance(GRACE_MS);
  assert.deepEqual(await rig.store.compact(), { compacted: 0, deleted: 3 });
  await rig.flushed(['six']);
  assert.equal((await rig.store.compact()).compacted, 2); // with the segment behind the damaged object, then
  // It is tried again, and found as damaged as it was: that is no news.
  await rig.world.advance(RETRY_MS);
  assert.equal((await rig.store.compact()).compacted, 0);
  assert.ok((await rig.keys('_l0/')).includes(third));
  rig.disk.flipBit(`/data/objects/${third}`, 3, 2);
  assert.equal((await rig.store.compact()).compacted, 0);
  await rig.world.advance(RETRY_MS);
  assert.ok((await rig.store.compact()).compacted > 0);
  await rig.finds('one', 'two', 'three', 'four', 'five', 'six');
});

test('an object that the disk cannot read holds up no other, and is merged once it can be read', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  const path = `/data/objects/${(await rig.keys('_l0/'))[0]}`;
  await rig.flushed(['later', 1]);
  await rig.flushed(['and', 1]);
  rig.badSectors.add(path);
  await rig.world.advance(10_000); // what is open is closed
  assert.equal((await rig.store.compact()).compacted, 2); // both days, the first without the object
  rig.badSectors.delete(path);
  await rig.finds('one', 'two', 'later', 'and');
  assert.equal((await rig.store.compact()).compacted, 2); // it alone, then with what was merged without it
  await rig.finds('one', 'two', 'later', 'and');
});

test('an object that cannot be deleted holds up neither the deletion of others nor compaction', async () => {
  const rig = await Rig.open();
  for (const line of ['one', 'two', 'three']) await rig.flushed([line]);
  await rig.store.compact();
  rig.undeletable.add(`/data/objects/${(await rig.keys('_l0/'))[0]}`);
  await rig.world.advance(GRACE_MS);
  await rig.flushed(['later', 1]);
  await rig.flushed(['and', 1]);
  await assert.rejects(rig.store.compact(), isFault('denied'));
  assert.deepEqual(await rig.levels(), [`${DAY}/1`, `${DAY + 1}/1`]);
  assert.equal((await rig.keys('_l0/')).length, 4); // of three one could be deleted, and the log's last object before
  await rig.finds('one', 'two', 'three', 'later', 'and');
});

test('a clock that steps makes nothing old: what was merged is deleted a grace after it was first seen', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  const { nowMs } = rig.world.clock;
  assert.equal((await rig.store.compact()).compacted, 1);
  rig.world.clock.nowMs = () => nowMs() + 2 * GRACE_MS;
  assert.equal((await rig.store.compact()).deleted, 0);
  rig.world.clock.nowMs = () => nowMs() - 2 * GRACE_MS;
  await rig.world.advance(GRACE_MS);
  // Another compactor, or the same after a restart, has not seen it yet.
  assert.equal((await rig.store.compact('1')).deleted, 0);
  assert.equal((await rig.store.compact('0')).deleted, 1);
  await rig.finds('one', 'two');
});

test('an object that can be read again after compactions beside it counts, and is deleted only when all of it was merged', async () => {
  const rig = await Rig.open();
  await rig.flushed(['one'], ['later', 1]);
  const [first] = await rig.keys('_l0/');
  const path = `/data/objects/${first}`;
  const whole = await rig.disk.read(path);
  await rig.disk.unlink(path);
  await rig.disk.write(path, Buffer.from('damage'));
  for (const line of ['two', 'three']) await rig.flushed([line]);
  for (const line of ['later still', 'last']) {
    await rig.flushed([line, 1]);
    await rig.flushed([`${line} of all`, 1]);
    assert.ok((await rig.store.compact()).compacted > 0);
    await rig.world.advance(GRACE_MS);
    await rig.store.compact();
  }
  await rig.disk.unlink(path);
  await rig.disk.write(path, whole);
  await rig.world.advance(10_000); // what was read is closed
  const lines = ['one', 'two', 'three', 'later', 'later still', 'later still of all', 'last', 'last of all'];
  await rig.finds(...lines);
  for (let round = 0; round < 3; round++) {
    await rig.store.compact();
    await rig.world.advance(GRACE_MS);
  }
  await rig.finds(...lines);
  assert.ok(!(await rig.keys('_l0/')).includes(first));
});

test('it looks at storage at its interval, and goes on after storage was away', async () => {
  const rig = await Rig.open({ compactionInterval: 60_000 });
  await rig.flushed(['one']);
  await rig.flushed(['two']);
  rig.away = true;
  await rig.world.advance(70_000);
  rig.away = false;
  assert.deepEqual(await rig.levels(), []);
  await rig.world.advance(70_000);
  assert.deepEqual(await rig.levels(), [`${DAY}/1`]);
});

test('a merge that takes too long ends when it does, not when all is done', async () => {
  const rig = await Rig.open();
  for (const line of ['one', 'two', 'three', 'four', 'five']) await rig.flushed([line]);
  const sizes = new Map<string, number>();
  for (const key of await rig.keys('_l0/')) sizes.set(`/data/objects/${key}`, (await rig.disk.stat(`/data/objects/${key}`)).sizeBytes);
  const { clock } = rig.world;
  const { monotonicMs } = clock;
  let blocks = 0;
  rig.reading = (path, range) => {
    if (!sizes.has(path) || range[1] === sizes.get(path)) return; // of an index
    blocks++;
    clock.monotonicMs = () => monotonicMs() + GRACE_MS;
  };
  assert.deepEqual(await rig.store.compact(), { compacted: 0, deleted: 0 });
  assert.equal(blocks, 1);
  assert.deepEqual(await rig.levels(), []);
  assert.equal((await rig.store.compact()).compacted, 1);
  assert.equal(blocks, 6);
  await rig.finds('one', 'two', 'three', 'four', 'five');
});
