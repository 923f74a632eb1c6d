import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS, fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault } from '../../support/checks.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore, type SingleStoreOptions } from '../../support/single-store.ts';

const NEVER_MS = 365 * 86_400_000;
const GRACE_MS = 1_000_000;
/** Longer than a listing is used, and than a flushed object is named. */
const LISTED_MS = 121_000;
const FOLDER = '/data/objects/_l0/';
const APP = '{app="a"}';

class Rig {
  readonly disk = new PowerCutFiles();
  world = fakeWorld(1, this.disk);
  store!: SingleStore;
  readonly #options: SingleStoreOptions;
  #pushed = 0n;

  private constructor(walSegmentSize: number) {
    const compactors = { count: 1, levelZeroAge: 0, compactionInterval: NEVER_MS };
    this.#options = { shards: 1, ingester: { flushCheckPeriod: NEVER_MS, walSegmentSize }, compactors };
  }

  /** Small `walSegmentSize`: the log keeps no more than the last record of what was flushed. */
  static async open(walSegmentSize: number): Promise<Rig> {
    const rig = new Rig(walSegmentSize);
    await rig.start();
    await rig.ready();
    return rig;
  }

  async start(): Promise<void> {
    this.world = fakeWorld(1, this.disk, this.world.clock.nowMs());
    this.disk.clock = this.world.clock;
    this.store = await SingleStore.boot(this.world, this.#options);
    await this.world.advance(1);
  }

  async ready(): Promise<void> {
    for (let turns = 0; turns < 100 && !(await this.store.ready()); turns++) await this.world.advance(100);
    assert.ok(await this.store.ready());
  }

  async push(...lines: string[]): Promise<void> {
    for (const line of lines) {
      const timeNs = BigInt(FAKE_START_MS) * 1_000_000n + this.#pushed++;
      assert.equal((await this.store.push([{ labels: { app: 'a' }, timeNs, line }])).fault, undefined);
    }
  }

  async flushed(...lines: string[]): Promise<void> {
    await this.push(...lines);
    await this.store.flush();
  }

  async compactAll(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await this.store.compact();
      await this.world.advance(GRACE_MS);
    }
  }

  async finds(...lines: string[]): Promise<void> {
    assert.deepEqual(await this.store.lines(APP), lines);
    assert.equal(await this.store.count(APP), lines.length);
  }

  /** Paths of the log's objects, and of those given up. */
  async objects(): Promise<string[]> {
    const [{ name: log }] = await this.disk.list(FOLDER);
    return (await this.disk.list(FOLDER + log)).map(({ name }) => `${FOLDER}${log}/${name}`);
  }

  /** Cuts the end off the newest object; returns its path. */
  async damageNewest(): Promise<string> {
    const path = (await this.objects()).at(-1)!;
    const { sizeBytes } = await this.disk.stat(path);
    this.disk.cut(path, sizeBytes - 10, sizeBytes);
    return path;
  }

  restarts(): number {
    return this.store.system.observe().reduce((sum, actor) => sum + actor.restarts, 0);
  }
}

const keyIn = (path: string): RegExp => new RegExp(path.slice('/data/objects/'.length));

for (const whichDamaged of ['before', 'after'] as const) {
  test(`newest object damaged ${whichDamaged} it was merged: the log has its records still, so nothing is lost once it is given up`, async () => {
    const rig = await Rig.open(1e6);
    await rig.flushed('one');
    await rig.flushed('two');
    if (whichDamaged === 'after') await rig.compactAll();
    await rig.push('three');
    const path = await rig.damageNewest();
    await rig.store.system.stop();
    await rig.start();
    await rig.ready();
    await rig.push('four');
    await assert.rejects(rig.store.lines(APP), (error: Error) => {
      return isFault('corrupt')(error) && keyIn(path).test(error.message) && /rename its file to \S+\.damaged/.test(error.message);
    });
    await rig.disk.rename(path, `${path}.damaged`);
    await rig.world.advance(LISTED_MS);
    await rig.finds('one', 'two', 'three', 'four');
    await rig.flushed('five');
    await rig.finds('one', 'two', 'three', 'four', 'five');
    await rig.compactAll();
    await rig.flushed('six');
    await rig.store.system.stop();
    await rig.start();
    await rig.ready();
    await rig.compactAll();
    await rig.finds('one', 'two', 'three', 'four', 'five', 'six');
    assert.equal(rig.restarts(), 0);
  });
}

test('newest object damaged, and the log has only some of its records: the shard waits until it is given up, and says so; the rest is found', async () => {
  const rig = await Rig.open(1);
  await rig.flushed('one');
  await rig.flushed('two', 'three');
  await rig.push('four');
  const path = await rig.damageNewest();
  await rig.store.system.stop();
  await rig.start();
  await rig.world.advance(120_000);
  const [{ state, waitsFor }] = await rig.store.status();
  assert.equal(state, 'replaying');
  assert.match(waitsFor, keyIn(path));
  assert.match(waitsFor, /rename its file to \S+\.damaged, and never delete it/);
  assert.equal(rig.restarts(), 0);
  await assert.rejects(rig.store.lines(APP), isFault('unavailable'));
  await rig.disk.rename(path, `${path}.damaged`);
  await rig.ready();
  await rig.finds('one', 'three', 'four');
  await rig.flushed('five');
  await rig.compactAll();
  await rig.store.system.stop();
  await rig.start();
  await rig.ready();
  await rig.finds('one', 'three', 'four', 'five');
  assert.equal(rig.restarts(), 0);
});

test('an object that the disk does not give is waited for', async () => {
  const rig = await Rig.open(1e6);
  await rig.flushed('one', 'two');
  await rig.store.system.stop();
  const [path] = await rig.objects();
  let isBad = true;
  const open = rig.disk.open.bind(rig.disk);
  rig.disk.open = (file) => (isBad && file === path ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : open(file));
  await rig.start();
  await rig.world.advance(60_000);
  const [{ state, waitsFor }] = await rig.store.status();
  assert.equal(state, 'replaying');
  assert.match(waitsFor, keyIn(path));
  isBad = false;
  await rig.world.advance(5_000);
  await rig.ready();
  await rig.finds('one', 'two');
  assert.equal(rig.restarts(), 0);
});

test('put back, a damaged object is read as before', async () => {
  const rig = await Rig.open(1);
  await rig.flushed('one', 'two');
  await rig.flushed('three', 'four');
  const path = (await rig.objects()).at(-1)!;
  const whole = await rig.disk.read(path);
  await rig.damageNewest();
  await rig.store.system.stop();
  await rig.start();
  await rig.disk.write(path, whole);
  await rig.ready();
  await rig.finds('one', 'two', 'three', 'four');
});

for (const walSegmentSize of [1, 1e6]) {
  test(`a newest object that was deleted: no later flush is taken for one that was merged, log files of ${walSegmentSize} bytes`, async () => {
    const rig = await Rig.open(walSegmentSize);
    await rig.flushed('one');
    await rig.flushed('two');
    await rig.compactAll();
    const paths = await rig.objects();
    assert.equal(paths.length, 1);
    await rig.store.system.stop();
    await rig.disk.unlink(paths[0]);
    await rig.start();
    await rig.ready();
    await rig.flushed('three');
    await rig.flushed('four');
    await rig.compactAll();
    await rig.finds('one', 'two', 'three', 'four');
    assert.equal(rig.restarts(), 0);
  });
}

test('a newest object that was deleted while those before it are still there', async () => {
  const rig = await Rig.open(1);
  await rig.flushed('one');
  await rig.flushed('two', 'three');
  assert.equal((await rig.store.compact()).compacted, 1);
  await rig.store.system.stop();
  await rig.disk.unlink((await rig.objects())[1]);
  await rig.start();
  await rig.ready();
  await rig.flushed('four');
  await rig.finds('one', 'two', 'three', 'four');
  await rig.compactAll();
  await rig.finds('one', 'two', 'three', 'four');
});

test('what was read behind a broken chain is flushed though no record follows', async () => {
  const rig = await Rig.open(1e6);
  await rig.push('one');
  await rig.store.system.stop();
  await rig.start();
  await rig.ready();
  await rig.store.flush();
  assert.equal((await rig.objects()).length, 1);
  await rig.finds('one');
  await rig.store.system.stop();
  await rig.start();
  await rig.ready();
  await rig.finds('one');
});
