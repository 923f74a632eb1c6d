import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FakeWorld, fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault } from '../../support/checks.ts';
import { GatedFiles } from '../../support/gated-files.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore } from '../../support/single-store.ts';

const OBJECTS = '/data/objects/_l0';
const START_NS = 482_120n * 3_600_000_000_000n;
const APP = '{app="a"}';

interface Rig {
  readonly world: FakeWorld;
  readonly disk: PowerCutFiles;
  readonly gate: GatedFiles;
  readonly store: SingleStore;
  push(...lines: string[]): Promise<void>;
  /** Runs a query for lines and one for their count, and wants exactly `lines` of both. */
  finds(...lines: string[]): Promise<void>;
}

async function rig(): Promise<Rig> {
  const disk = new PowerCutFiles();
  const gate = new GatedFiles(disk);
  const world = fakeWorld(1, gate.files);
  const store = await SingleStore.boot(world, { shards: 1 });
  while (!(await store.ready())) await world.settle();
  let pushed = 0n;
  return {
    world,
    disk,
    gate,
    store,
    push: async (...lines) => {
      const { fault } = await store.push(lines.map((line) => ({ labels: { app: 'a' }, timeNs: START_NS + pushed++, line })));
      assert.equal(fault, undefined);
    },
    finds: async (...lines) => {
      assert.deepEqual(await store.lines(APP), lines);
      assert.equal(await store.count(APP), lines.length);
    },
  };
}

/** A query that has the heads and is about to list storage. */
async function queryBeforeListing({ gate, store }: Rig): Promise<() => Promise<string[]>> {
  const listing = gate.hold('list', OBJECTS);
  const lines = store.lines(APP);
  await listing.reached;
  return () => {
    listing.release();
    return lines;
  };
}

test('a flush between a query’s heads and its listing: the entries come from the heads', async () => {
  const one = await rig();
  await one.push('first', 'second');
  const go = await queryBeforeListing(one);
  await one.store.flush();
  assert.deepEqual(await go(), ['first', 'second']);
});

test('pushes and a second flush between them: what was there when the query began is found once', async () => {
  const one = await rig();
  await one.push('first');
  await one.store.flush();
  await one.push('second');
  const go = await queryBeforeListing(one);
  await one.store.flush();
  await one.push('third');
  await one.store.flush();
  assert.deepEqual(await go(), ['first', 'second']);
  await one.finds('first', 'second', 'third');
});

for (const [when, call] of [
  ['before its object is there', 'link'],
  ['when its object is there and not yet durable', 'syncDirectory'],
] as const) {
  test(`queries during a flush, ${when}: the entries come from the heads`, async () => {
    const one = await rig();
    await one.push('first');
    const held = one.gate.hold(call, `${OBJECTS}/`);
    const flushed = one.store.flush();
    await held.reached;
    await one.finds('first');
    await one.push('second');
    await one.finds('first', 'second');
    held.release();
    await flushed;
    await one.finds('first', 'second');
  });
}

test('a query after a flush whose listing is older than the object: the ingester names it', async () => {
  const one = await rig();
  await one.finds(); // lists storage
  await one.push('first');
  await one.store.flush();
  await one.finds('first');
});

test('an ingester that restarted names the newest object still', async () => {
  const one = await rig();
  await one.finds();
  await one.push('first');
  await one.store.flush();
  await one.push('second');
  await one.store.flush();
  one.store.fail('ingester/0');
  do await one.world.advance(100);
  while (!(await one.store.ready().catch(() => false)));
  await one.finds('first', 'second');
});

test('an object that is gone is a fault that may pass, not a short answer, as long as its writer names it', async () => {
  const one = await rig();
  await one.push('first');
  await one.store.flush();
  await one.finds('first');
  await one.world.advance(10_000); // what was read is closed
  await removeObjects(one);
  await assert.rejects(one.store.lines(APP), isFault('unavailable'));
});

test('an object that is gone after a query listed it: the query starts over with a new listing', async () => {
  const one = await rig();
  await one.push('first');
  await one.store.flush();
  await one.push('second');
  await one.world.advance(3_600_000); // the object is named no more
  await one.finds('first', 'second'); // the second by an object of its age
  await one.world.advance(30_000);
  const held = one.gate.hold('open', `${OBJECTS}/`);
  const lines = one.store.lines(APP);
  await held.reached;
  const [oldest] = await objects(one);
  await one.disk.unlink(oldest);
  held.release();
  assert.deepEqual(await lines, ['second']);
});

async function objects({ disk }: Rig): Promise<string[]> {
  const [log] = await disk.list(OBJECTS);
  return (await disk.list(`${OBJECTS}/${log.name}`)).map(({ name }) => `${OBJECTS}/${log.name}/${name}`);
}

async function removeObjects(one: Rig): Promise<void> {
  for (const path of await objects(one)) await one.disk.unlink(path);
}
