import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putObject } from '../../../actors/ingester/flush.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { isFault } from '../../support/checks.ts';

const KEY = '_l0/log/0000000000000000';
const away = () => new Fault('unavailable', 'storage is away');

function rig() {
  const world = fakeWorld(1);
  const memory = new MemoryBlobStore(world.clock);
  const ending = new AbortController();
  const put = (blobs: BlobStore, text = 'ours') => {
    const body = [Buffer.from(text)];
    return putObject(
      blobs,
      { key: KEY, body, sizeBytes: text.length, chunks: 1 },
      { world, instruments: noInstruments, signal: ending.signal },
    );
  };
  /** The store in memory, with some methods that are not its own. */
  const store = (own: Partial<BlobStore>): BlobStore => ({
    put: own.put ?? ((key, body, options) => memory.put(key, body, options)),
    get: own.get ?? ((key, range) => memory.get(key, range)),
    list: (prefix) => memory.list(prefix),
    delete: (key) => memory.delete(key),
  });
  return { world, memory, ending, put, store };
}

test('a put is tried again for as long as storage is away', async () => {
  const { world, memory, put, store } = rig();
  let failures = 12;
  const blobs = store({
    put: async (key, body, options) => {
      if (failures-- > 0) throw away();
      await memory.put(key, body, options);
    },
  });
  const stored = put(blobs);
  await world.advance(200_000);
  await stored;
  assert.equal((await memory.get(KEY)).toString(), 'ours');
});

test('an object that is there with other bytes is another writer’s: nothing of ours may follow', async () => {
  const { memory, put } = rig();
  await memory.put(KEY, Buffer.from('theirs'));
  await assert.rejects(put(memory), isFault('stale_incarnation'));
  assert.equal((await memory.get(KEY)).toString(), 'theirs');
});

test('an earlier try that made the object and did not say so is ours, also if storage fails again when that is looked at', async () => {
  const { world, memory, put, store } = rig();
  const calls: string[] = [];
  let failing = 3;
  const blobs = store({
    put: async (key, body, { ifAbsent = false } = {}) => {
      calls.push(ifAbsent ? 'put if absent' : 'put');
      await memory.put(key, body, { ifAbsent });
      if (failing-- > 0) throw away();
    },
    get: async (key) => {
      calls.push('get');
      if (failing-- > 0) throw away();
      return memory.get(key);
    },
  });
  const stored = put(blobs);
  await world.advance(60_000);
  await stored;
  // Made, but not said so; there, but not readable, twice; there, ours and durable.
  assert.deepEqual(calls, ['put if absent', 'put if absent', 'get', 'put if absent', 'get', 'put if absent', 'get', 'put']);
});

test('the end of the incarnation ends the wait', async () => {
  const { world, ending, put, store } = rig();
  const stored = put(
    store({
      put: async () => {
        throw away();
      },
    }),
  );
  await world.settle();
  ending.abort(new Fault('stale_incarnation', 'over'));
  await assert.rejects(stored, isFault('stale_incarnation'));
});
