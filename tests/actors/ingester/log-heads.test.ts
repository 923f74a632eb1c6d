import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnLog } from '../../../actors/ingester/own-log.ts';
import { ActiveIncarnation } from '../../../actors/kernel/incarnation.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { batchesIn } from '../../../storage/batch/batch.ts';
import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import type { IngestLog, LogGap, LogRecord } from '../../../storage/log/ingest-log.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
import { isFault } from '../../support/checks.ts';

const OPTIONS = { flushBytes: 1e9, maxHeadAgeMs: 60_000, ceilingBytes: 1e9, recentObjectsMs: () => 10_000 };

/** Heads over a log that gives positions and keeps what a test wants of it, and a store whose puts a test lets go. */
function rig(position = (appends: number) => appends, kept: (item: LogRecord) => LogRecord | LogGap | undefined = (item) => item) {
  const world = fakeWorld(1);
  const memory = new MemoryBlobStore(world.clock);
  const failures: unknown[] = [];
  const trims: number[] = [];
  const records: LogRecord[] = [];
  let appends = 0;
  let puts: { started: number; held: PromiseWithResolvers<void>[] } | undefined;
  const log: IngestLog = {
    id: 'log',
    get end() {
      return appends;
    },
    append: async (parts) => {
      records.push({ kind: 'record', position: records.length, bytes: Buffer.concat(parts) });
      return position(appends++);
    },
    async *read(from) {
      for (const record of records.slice(from)) {
        const item = kept(record);
        if (item !== undefined) yield item;
      }
    },
    trim: async (upTo) => void trims.push(upTo),
    sizeBytes: () => 0,
    close: async () => {},
  };
  const blobs: BlobStore = {
    put: async (key, body, options) => {
      if (puts !== undefined) {
        puts.started++;
        const held = Promise.withResolvers<void>();
        puts.held.push(held);
        await held.promise;
      }
      await memory.put(key, body, options);
    },
    get: (key, range) => memory.get(key, range),
    list: (prefix) => memory.list(prefix),
    delete: (key) => memory.delete(key),
  };
  const incarnation = new ActiveIncarnation('ingester/0', 1, (error) => failures.push(error));
  const context = { world, instruments: noInstruments, incarnation, instance: '0', takesAny: () => {} };
  const own = new OwnLog(log, { end: 0, newest: undefined, isBroken: false }, { blobs, options: OPTIONS }, context);
  const { heads } = own;
  const push = (line: string) => own.push('a', batchOf([{ time: HOUR_START_NS, line, metadata: {} }], '{app="a"}', 'a').bytes);
  const holdPuts = () => {
    puts = { started: 0, held: [] };
    return puts;
  };
  const keys = async () => {
    const found: string[] = [];
    for await (const { key } of memory.list('')) found.push(key);
    return found;
  };
  return { world, own, heads, push, holdPuts, keys, failures, trims, memory };
}

test('a record out of turn is a failure of the shard: the next incarnation applies it from the log', async () => {
  const { heads, push, failures } = rig((appends) => appends * 2);
  await push('first');
  await assert.rejects(push('third'), isFault('internal'));
  assert.equal(failures.length, 1);
  assert.equal(heads.appliedTo, 1);
});

test('a record that cannot be applied is one too', async () => {
  const { own, heads, failures } = rig();
  const damaged = Buffer.from(batchOf([{ time: HOUR_START_NS, line: 'x', metadata: {} }]).bytes);
  damaged[0] ^= 0xff;
  assert.throws(() => [...batchesIn(damaged)]);
  await assert.rejects(own.push('a', damaged));
  assert.equal(failures.length, 1);
  assert.equal(heads.appliedTo, 0);
});

test('one flush at a time: one that is asked for meanwhile takes what came after the cut, and waits if nothing did', async () => {
  const { heads, push, holdPuts, keys, world, trims } = rig();
  await push('first');
  const puts = holdPuts();
  const first = heads.flush();
  const nothingNew = heads.flush();
  await world.settle();
  assert.deepEqual(heads.cover(), { log: 'log', flushedTo: 0, recentObjects: [] });
  puts.held[0].resolve();
  assert.deepEqual(await Promise.all([first, nothingNew]), [1, 0]);
  assert.deepEqual(heads.cover(), { log: 'log', flushedTo: 1, recentObjects: ['_l0/log/0000000000000000'] });

  await push('second');
  const second = heads.flush();
  await world.settle();
  await push('third');
  const third = heads.flush();
  const alsoThird = heads.flush();
  await world.settle();
  assert.equal(puts.started, 2);
  puts.held[1].resolve();
  await second;
  await world.settle();
  assert.equal(puts.started, 3);
  puts.held[2].resolve();
  assert.deepEqual(await Promise.all([third, alsoThird]), [1, 0]);
  assert.deepEqual(await keys(), ['_l0/log/0000000000000000', '_l0/log/0000000000000001', '_l0/log/0000000000000002']);
  assert.deepEqual(trims, [1, 2, 3]);
  assert.equal(await heads.flush(), 0);
});

test('a flush that fails for good keeps its heads, cuts nothing over them, and has the shard restarted', async () => {
  const { heads, push, failures, memory, trims } = rig();
  await memory.put('_l0/log/0000000000000000', Buffer.from('another writer’s'));
  await push('first');
  await assert.rejects(heads.flush(), isFault('stale_incarnation'));
  await push('second');
  assert.equal(
    heads.sets().reduce((rows, set) => rows + set.rows, 0),
    2,
  );
  await assert.rejects(heads.flush(), isFault('stale_incarnation'));
  assert.equal(failures.length, 1);
  assert.deepEqual(trims, []);
  assert.equal(heads.cover().flushedTo, 0);
});

test('an object is named for as long as a listing may lack it', async () => {
  const { heads, push, world } = rig();
  await push('first');
  await heads.flush();
  await world.advance(OPTIONS.recentObjectsMs());
  assert.equal(heads.cover().recentObjects.length, 1);
  await world.advance(1);
  assert.deepEqual(heads.cover().recentObjects, []);
});

/** Lines that are in heads only, as the log has them. */
async function unstoredLines(own: OwnLog, looked = async (_line: string) => {}): Promise<string[]> {
  const found: string[] = [];
  for await (const { batches } of own.unstored()) {
    for (const batch of batches) {
      found.push(batch.lines().toString());
      await looked(found.at(-1)!);
    }
  }
  return found;
}

test('what is not in storage is read from the log as it was pushed, also before the first flush; what is flushed meanwhile may be left out', async () => {
  const { own, heads, push } = rig();
  for (const line of ['first', 'second', 'third']) await push(line);
  assert.deepEqual(await unstoredLines(own), ['first', 'second', 'third']);
  assert.deepEqual(await unstoredLines(own, async () => void (await heads.flush())), ['first']);
  await push('fourth');
  assert.deepEqual(await unstoredLines(own), ['fourth']);
});

const damages: [what: string, kept: (item: LogRecord) => LogRecord | LogGap | undefined][] = [
  ['a record in the middle', (item) => (item.position === 1 ? undefined : item)],
  ['the first record', (item) => (item.position === 0 ? undefined : item)],
  ['the last record', (item) => (item.position === 2 ? undefined : item)],
  [
    'a record, which is told of',
    (item) => (item.position === 1 ? { kind: 'gap', from: 1, to: 2, lostBytes: 0, doubtful: false, reason: 'torn' } : item),
  ],
];
for (const [what, kept] of damages) {
  test(`heads that the log lacks a part of cannot be read from it: ${what}`, async () => {
    const { own, heads, push } = rig(undefined, kept);
    for (const line of ['first', 'second', 'third']) await push(line);
    await assert.rejects(unstoredLines(own), isFault('corrupt'));
    await heads.flush();
    assert.deepEqual(await unstoredLines(own), []);
  });
}

test('who waits for listings waits until none lacks an object', async () => {
  const { heads, push, world } = rig();
  await heads.listed();
  await push('first');
  await heads.flush();
  await world.advance(4_000);
  let isListed = false;
  const listed = heads.listed().then(() => {
    isListed = true;
  });
  await world.advance(5_999);
  assert.equal(isListed, false);
  await world.advance(1);
  await listed;
});
