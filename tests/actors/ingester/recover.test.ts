import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { GatedFiles } from '../../support/gated-files.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore } from '../../support/single-store.ts';

/** As SingleStore has it, and some more. */
const RECENT_OBJECTS_MS = 121_000;
const START_NS = 482_120n * 3_600_000_000_000n;
const ALL = '{app=~".+"}';

/** A process with so many shards over `files`, once it has replayed. */
async function started(files: Files, shards: number) {
  const world = fakeWorld(shards, files);
  const store = await SingleStore.boot(world, { shards });
  while (!(await store.ready())) await world.settle();
  const push = async (from: number, to: number): Promise<void> => {
    const entries = numbers(to - from).map((index) => ({
      labels: { app: `app-${(from + index) % 7}` },
      timeNs: START_NS + BigInt(from + index),
      line: String(from + index),
    }));
    assert.equal((await store.push(entries)).fault, undefined);
  };
  const found = async (): Promise<number[]> => (await store.lines(ALL)).map(Number).sort((a, b) => a - b);
  const restarts = (): number => store.system.observe().reduce((sum, actor) => sum + actor.restarts, 0);
  return { world, store, push, found, restarts };
}

const logsOn = async (files: Files): Promise<string[]> => (await files.list('/data/wal')).map(({ name }) => name.split('-')[0]);

for (const counts of [
  [2, 1, 3],
  [3, 2, 1],
  [1, 3, 2, 1],
]) {
  test(`the number of shards goes ${counts.join(' → ')}: the logs of those that are no more are read, stored and removed`, async () => {
    const files = new PowerCutFiles();
    for (const [step, shards] of counts.entries()) {
      const { world, store, push, found } = await started(files, shards);
      assert.deepEqual(await found(), numbers(step * 10));
      await push(step * 10, step * 10 + 10);
      assert.deepEqual(await found(), numbers(step * 10 + 10));
      await world.advance(RECENT_OBJECTS_MS);
      assert.deepEqual(
        (await logsOn(files)).filter((shard) => Number(shard) >= shards),
        [],
      );
      await store.system.stop();
    }
  });
}

test('a process that dies at any step of an adoption loses nothing, and the next one goes on', async () => {
  const before = new PowerCutFiles();
  const two = await started(before, 2);
  await two.push(0, 10);
  await two.store.system.stop();
  const random = { next: () => 0.5, id: () => '' };
  const whole = before.crash('killed', random);
  const one = await started(whole, 1);
  await one.world.advance(RECENT_OBJECTS_MS);
  await one.store.system.stop();
  const steps = whole.steps;
  assert.deepEqual(await logsOn(whole), ['0']);
  for (const mode of ['killed', 'nothing', 'names'] as const) {
    for (let step = 0; step < steps; step++) {
      before.stopAt = Number.POSITIVE_INFINITY;
      const files = before.crash('killed', random);
      files.stopAt = step;
      const dying = fakeWorld(1, files);
      SingleStore.boot(dying, { shards: 1 }).catch(() => {});
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
      while (files.steps < step) await dying.advance(RECENT_OBJECTS_MS);
      const after = files.crash(mode, random);
      const { store, found, world } = await started(after, step % 3 === 0 ? 2 : 1);
      assert.deepEqual(await found(), numbers(10), `${mode}, step ${step}`);
      await world.settle();
      assert.deepEqual(await found(), numbers(10), `${mode}, step ${step}, later`);
      await store.system.stop();
    }
  }
});

test('an adopted log that cannot be removed is left to the next start', async () => {
  const disk = new PowerCutFiles();
  const two = await started(disk, 2);
  await two.push(0, 10);
  await two.store.system.stop();
  const gate = new GatedFiles(disk);
  const inTheWay = gate.hold('removeDirectory', '/data/wal/');
  const one = await started(gate.files, 1);
  await one.world.advance(RECENT_OBJECTS_MS);
  await inTheWay.reached;
  const [, adopted] = await disk.list('/data/wal');
  await disk.write(`/data/wal/${adopted.name}/someone-elses`, Buffer.from('x'));
  inTheWay.release();
  await one.world.advance(1_000);
  assert.deepEqual(await logsOn(disk), ['0', '1']);
  assert.equal(one.restarts(), 0);
  assert.deepEqual(await one.found(), numbers(10));
  await one.store.system.stop();
  const again = await started(disk, 1);
  await again.world.advance(RECENT_OBJECTS_MS);
  assert.deepEqual(await logsOn(disk), ['0']);
  assert.deepEqual(await again.found(), numbers(10));
  await again.store.system.stop();
});

test('a shard that restarts just after it stored an adopted log names its object still: a listing may lack it', async () => {
  const disk = new PowerCutFiles();
  const two = await started(disk, 2);
  await two.push(0, 10);
  await two.store.system.stop();
  const gate = new GatedFiles(disk);
  const storing = gate.hold('link', '/data/objects/_l0/');
  const { world, store, found, restarts } = await started(gate.files, 1);
  await storing.reached;
  assert.deepEqual(await found(), numbers(10)); // lists storage
  storing.release();
  await world.settle();
  store.fail('ingester/0');
  do await world.advance(100);
  while (!(await store.ready().catch(() => false)));
  assert.equal(restarts(), 1);
  assert.deepEqual(await found(), numbers(10));
  await store.system.stop();
});

test('a flush that is asked for during a replay is refused: not all is in storage when it could say so', async () => {
  const disk = new PowerCutFiles();
  const first = await started(disk, 1);
  await first.push(0, 10);
  await first.store.system.stop();
  const gate = new GatedFiles(disk);
  const replaying = gate.hold('read', '/data/wal/');
  const world = fakeWorld(1, gate.files);
  const store = await SingleStore.boot(world, { shards: 1 });
  await replaying.reached;
  await assert.rejects(store.flush(), /being replayed/);
  replaying.release();
  while (!(await store.ready())) await world.settle();
  await store.flush();
  await store.system.stop();
});

test('until the last adopted log is read, pushes and queries are refused: an answer would be short', async () => {
  const disk = new PowerCutFiles();
  const two = await started(disk, 2);
  await two.push(0, 10);
  await two.store.system.stop();
  const gate = new GatedFiles(disk);
  const adopting = gate.hold('read', '/data/wal/1-');
  const world = fakeWorld(1, gate.files);
  const store = await SingleStore.boot(world, { shards: 1 });
  await adopting.reached;
  await world.settle();
  await assert.rejects(store.lines(ALL), isFault('unavailable'));
  const { fault } = await store.push([{ labels: { app: 'app-0' }, timeNs: START_NS, line: '0' }]);
  assert.equal(fault?.code, 'unavailable');
  adopting.release();
  while (!(await store.ready())) await world.settle();
  assert.equal((await store.lines(ALL)).length, 10);
  await store.system.stop();
});
