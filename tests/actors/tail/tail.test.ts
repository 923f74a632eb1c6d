import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActorView } from '../../../actors/kernel/system.ts';
import type { Files } from '../../../ops/base/world.ts';
import { FAKE_START_MS, type FakeWorld, fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { GatedFiles } from '../../support/gated-files.ts';
import { OpenTail } from '../../support/open-tail.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { type Entry, SingleStore, type SingleStoreOptions } from '../../support/single-store.ts';

const MS = 1_000_000n;
const NOW = BigInt(FAKE_START_MS) * MS;

interface Rig {
  readonly world: FakeWorld;
  readonly store: SingleStore;
  readonly tail: (query?: string, options?: ConstructorParameters<typeof OpenTail>[2]) => OpenTail;
  readonly opened: (...tail: Parameters<Rig['tail']>) => Promise<OpenTail>;
  /** A push of one entry to each line, `atMs` after the start; 0 without. */
  readonly push: (lines: readonly string[], app?: string, atMs?: number) => Promise<void>;
  /** What an actor shows of itself. */
  readonly shown: (address: string) => ActorView['detail'];
}

async function rig(options: Partial<SingleStoreOptions> = {}, files: Files = new PowerCutFiles()): Promise<Rig> {
  const world = fakeWorld(1, files);
  const store = await SingleStore.boot(world, { shards: 2, ...options });
  while (!(await store.ready())) await world.settle();
  const tail: Rig['tail'] = (query = '{app=~".+"}', tailOptions) => new OpenTail(store, query, tailOptions);
  return {
    world,
    store,
    tail,
    opened: async (...asked) => {
      const opened = tail(...asked);
      await opened.opened;
      await world.settle();
      return opened;
    },
    push: async (lines, app = 'a', atMs = 0) => {
      const entries = lines.map((line): Entry => ({ labels: { app }, timeNs: NOW + BigInt(atMs) * MS, line }));
      const { fault } = await store.push(entries);
      assert.equal(fault, undefined);
      await world.settle();
    },
    shown: (address) => store.system.observe().find((actor) => actor.address === address)!.detail,
  };
}

test('what is there comes first, then what is pushed', async () => {
  const { tail, push, world, store } = await rig();
  await push(['stored'], 'a', -20);
  await store.flush();
  await push(['head'], 'b', -10);
  const one = tail();
  await one.opened;
  await push(['live'], 'a');
  await push(['late'], 'b', -30);
  await world.settle();
  assert.deepEqual(one.lines, ['stored', 'head', 'live', 'late']);
  assert.deepEqual(one.messages[0].streams[0].stream, { app: 'a', detected_level: 'unknown', service_name: 'a' });
});

test('what is there is the latest of all shards, as many as asked for, from the start asked for', async () => {
  const { opened, push } = await rig({ shards: 3 });
  for (const number of numbers(12)) await push([`${number}`], `app-${number}`, -100 + number);
  assert.deepEqual((await opened(undefined, { limit: 3 })).lines, ['9', '10', '11']);
  assert.deepEqual((await opened(undefined, { startNs: NOW - 98n * MS, limit: 1_000 })).lines, numbers(12).slice(2).map(String));
  assert.deepEqual((await opened('{app="app-1"} |= "2"')).lines, []);
});

test('the whole pipeline runs over what was there and over what comes', async () => {
  const { opened, push } = await rig();
  const json = (n: number): string => JSON.stringify({ n, user: `u${n}` });
  await push([json(1), json(8)], 'a', -1);
  const one = await opened('{app="a"} | json | n > 5 | line_format "<{{.user}}>" | drop n, detected_level', { categorize: true });
  await push([json(2), 'not json', json(9)]);
  assert.deepEqual(
    one.messages.map(({ streams }) => streams),
    [
      [{ stream: { app: 'a', service_name: 'a' }, values: [[String(NOW - MS), '<u8>', { parsed: { user: 'u8' } }]] }],
      [{ stream: { app: 'a', service_name: 'a' }, values: [[String(NOW), '<u9>', { parsed: { user: 'u9' } }]] }],
    ],
  );
});

test('a tail knows its tenant', async () => {
  const { opened, push } = await rig();
  await push(['before']);
  const other = await opened(undefined, { tenant: 'other' });
  await push(['after']);
  assert.deepEqual(other.messages, []);
});

test('entries are held back for as long as the client asked, and come in the order of their times', async () => {
  const { opened, push, world } = await rig();
  const one = await opened(undefined, { delayMs: 2_000 });
  for (const [app, atMs] of [
    ['a', 30],
    ['b', 10],
    ['c', 40],
    ['d', 20],
  ] as const)
    await push([`${atMs}`], app, atMs);
  await world.advance(2_009);
  assert.deepEqual(one.lines, []);
  await world.advance(1);
  assert.deepEqual(one.lines, ['10']);
  await push(['25'], 'e', 25);
  await world.advance(30);
  assert.deepEqual(one.lines, ['10', '20', '25', '30', '40']);
});

test('an entry from the future comes when its time does', async () => {
  const { opened, push, world } = await rig();
  await push(['stored'], 'a', 300);
  const one = await opened();
  await push(['live'], 'b', 200);
  assert.deepEqual(one.lines, []);
  await world.advance(200);
  assert.deepEqual(one.lines, ['live']);
  await world.advance(100);
  assert.deepEqual(one.lines, ['live', 'stored']);
});

test('what comes while one shard is slow to tell what it has comes once, behind that', async () => {
  const gated = new GatedFiles(new PowerCutFiles());
  const { tail, push, world } = await rig({}, gated.files);
  const apps = numbers(6).map((number) => `app-${number}`);
  for (const app of apps) await push([`stored ${app}`], app, -10);
  const listing = gated.hold('list', '/data/objects');
  const one = tail();
  await listing.reached;
  for (const app of apps) await push([`stored ${app}`], app, -10);
  for (const app of apps) await push([`live ${app}`], app, -20);
  assert.deepEqual(one.lines, []);
  listing.release();
  await world.settle();
  const [stored, live] = ['stored', 'live'].map((word) => apps.map((app) => `${word} ${app}`));
  assert.deepEqual(one.lines.slice(0, 6).toSorted(), stored);
  assert.deepEqual(one.lines.slice(6).toSorted(), live);
});

test('a push that is sent again brings nothing again', async () => {
  const { opened, push, store } = await rig();
  await push(['stored']);
  const one = await opened();
  await push(['stored', 'live', 'live']);
  await push(['live']);
  await store.flush();
  await push(['stored', 'live', 'new']);
  assert.deepEqual(one.lines, ['stored', 'live', 'new']);
});

for (const [what, addresses] of [
  ['an ingester', ['ingester/0', 'ingester/1']],
  ['a tailer', ['tailer/0', 'tailer/1']],
  ['both', ['ingester/0', 'tailer/0', 'ingester/1', 'tailer/1']],
] as const) {
  test(`a tail goes on where it was when ${what} is started again`, async () => {
    const { opened, push, store, world, shown } = await rig();
    const apps = numbers(8).map((number) => `app-${number}`);
    const pushAll = async (line: string): Promise<void> => {
      for (const app of apps) await push([`${line} ${app}`], app);
    };
    await pushAll('history');
    const one = await opened();
    await pushAll('before');
    for (const address of addresses) store.fail(address);
    await world.settle();
    if (what === 'a tailer') await pushAll('meanwhile');
    while (!(await store.ready().catch(() => false))) await world.advance(100);
    await pushAll('when it was back');
    await world.advance(5_000);
    await pushAll('after');
    const words = ['history', 'before', ...(what === 'a tailer' ? ['meanwhile'] : []), 'when it was back', 'after'];
    const expected = words.flatMap((word) => apps.map((app) => `${word} ${app}`));
    assert.equal(one.fault, undefined);
    assert.deepEqual(one.lines.toSorted(), expected.toSorted());
    assert.deepEqual([shown('ingester/0').tails, shown('tailer/0').tails], [1, 1]);
  });
}

test('a tail ends, and says why, when entries are lost to it', async () => {
  const { opened, push, store, world } = await rig({ shards: 1, ingester: { walSegmentSize: 300 } });
  const one = await opened('{app="a"}');
  await push(['x'.repeat(300)], 'other');
  await push(['x'.repeat(300)], 'other');
  await store.flush();
  store.fail('ingester/0');
  await world.advance(5_000);
  assert.ok(isFault('not_found')(one.fault), String(one.fault));
  assert.match(one.fault!.message, /the ingest log has lost record 0/);
});

test('a tail that was silent is not behind, though the log is trimmed', async () => {
  const { opened, push, store, world } = await rig({ shards: 1, ingester: { walSegmentSize: 300 } });
  const one = await opened('{app="a"}');
  await push(['x'.repeat(300)], 'other');
  await push(['x'.repeat(300)], 'other');
  await world.advance(3_000);
  await store.flush();
  store.fail('ingester/0');
  await world.advance(5_000);
  await push(['live']);
  assert.deepEqual([one.fault, one.lines], [undefined, ['live']]);
});

test('a shard that stays away ends the tail', async () => {
  const { opened, store, world } = await rig({ shards: 1, onFailed: () => {} });
  const one = await opened();
  for (let failure = 0; failure < 8; failure++) {
    store.fail('ingester/0');
    await world.advance(6_000);
  }
  await world.advance(70_000);
  assert.ok(isFault('unavailable')(one.fault), String(one.fault));
});

test('no tail begins while a shard is away', async () => {
  const { store, tail, world } = await rig();
  store.fail('ingester/1');
  await assert.rejects(tail().opened, isFault('unavailable'));
  await world.advance(5_000);
  await tail().opened;
});

test('a tenant has no more tails at once than it may', async () => {
  const { opened, tail, world, shown } = await rig({ limits: { maxConcurrentTailRequests: 2 } });
  const [first] = [await opened(), await opened()];
  const third = tail();
  await assert.rejects(third.opened, {
    code: 'limit_exceeded',
    message: 'max concurrent tail requests limit exceeded, count > limit (3 > 2)',
  });
  await opened(undefined, { tenant: 'other' });
  assert.deepEqual(shown('tail-frontend/0'), { tails: 3 });
  first.leave();
  await world.settle();
  await opened();
});

for (const [what, leaveWhen] of [
  ['while it reads', 'reading'],
  ['while it does not read', 'stalled'],
  ['before it was opened', 'opening'],
] as const) {
  test(`a client that leaves ${what} ends everything that was done for it`, async () => {
    const { tail, push, world, shown } = await rig();
    await push(['stored']);
    const one = tail();
    if (leaveWhen === 'opening') one.leave();
    else {
      await one.opened;
      await world.settle();
      if (leaveWhen === 'stalled') one.stall();
      await push(numbers(500).map(String));
      assert.deepEqual([shown('tail-frontend/0').tails, shown('tailer/0').tails, shown('ingester/1').tails], [1, 1, 1]);
      one.leave();
    }
    await world.settle();
    one.goOn();
    await world.settle();
    for (const address of ['tail-frontend/0', 'tailer/0', 'tailer/1', 'ingester/0', 'ingester/1'])
      assert.equal(shown(address).tails, 0, address);
    assert.ok(one.fault);
  });
}

test('a client that does not read is told what it missed, and others miss nothing', async () => {
  const { opened, push, world } = await rig({ shards: 1 });
  const [slow, quick] = [await opened(), await opened('{app="a"} | drop detected_level, service_name')];
  slow.stall();
  const text = 'x'.repeat(200_000);
  for (const number of numbers(60)) {
    await push([`${number} ${text}`]);
    await world.advance(100);
  }
  assert.equal(quick.lines.length, 60);
  assert.ok(slow.lines.length <= 1);
  slow.goOn();
  await world.settle();
  const came = slow.lines.map((line) => Number(line.split(' ')[0]));
  assert.deepEqual(came, numbers(came.length));
  assert.ok(came.length > 35 && came.length < 50, `${came.length} came`); // 8 MiB, and what was on its way
  const labels = { app: 'a', detected_level: 'unknown', service_name: 'a' };
  assert.deepEqual(
    slow.dropped,
    numbers(60 - came.length).map(() => ({ timestamp: String(NOW), labels })),
  );
  await push(['next']);
  assert.equal(slow.lines.at(-1), 'next');
});

test('one large push is no trouble for a client that reads', async () => {
  const { opened, store, world } = await rig({ shards: 1, limits: { perStreamRateLimit: 1e9, perStreamRateLimitBurst: 1e9 } });
  const one = await opened();
  const text = 'x'.repeat(300);
  const { fault } = await store.push(
    numbers(60_000).map((number) => ({ labels: { app: 'a' }, timeNs: NOW - BigInt(60_000 - number), line: `${number} ${text}` })),
  );
  assert.equal(fault, undefined);
  await world.runUntil(() => one.lines.length === 60_000, { withinMs: 10_000 });
  assert.deepEqual(one.dropped, []);
  assert.deepEqual(
    one.lines.slice(0, 3).map((line) => line.split(' ')[0]),
    ['0', '1', '2'],
  );
  assert.ok(one.messages.every(({ streams }) => streams.flatMap(({ values }) => values).length <= 100));
});

test('a tail lasts no longer than it may', async () => {
  const { opened, world } = await rig({ querier: { tailMaxDuration: 60_000 } });
  const one = await opened();
  await world.advance(59_000);
  assert.ok(one.fault === undefined);
  await world.advance(1_000);
  assert.match(String(one.fault), /reached tail max duration limit/);
});
