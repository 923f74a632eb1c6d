import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnLog } from '../../../actors/ingester/own-log.ts';
import { ActiveIncarnation } from '../../../actors/kernel/incarnation.ts';
import { type Instruments, noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { pushRecordHeader } from '../../../storage/batch/push-record.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import type { IngestLog, LogGap, LogRecord } from '../../../storage/log/ingest-log.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';

const OPTIONS = { flushBytes: 1e9, maxHeadAgeMs: 60_000, ceilingBytes: 1e9, recentObjectsMs: () => 10_000 };

function record(position: number, line: string): LogRecord {
  const batch = batchOf([{ time: HOUR_START_NS, line, metadata: {} }], '{app="a"}', 'a').bytes;
  return { kind: 'record', position, bytes: Buffer.concat([pushRecordHeader('a'), batch]) };
}

/** A log that holds `items`, to be read only. */
function logOf(items: readonly (LogRecord | LogGap)[], end: number): IngestLog {
  return {
    id: 'log',
    end,
    append: () => Promise.reject(new Error('read only')),
    async *read() {
      yield* items;
    },
    trim: async () => {},
    sizeBytes: () => 0,
    close: async () => {},
  };
}

/** Heads over that log, and what they tell of its replay. */
async function replayed(items: readonly (LogRecord | LogGap)[], chainEnd: number, end: number) {
  const world = fakeWorld(1);
  let lost = 0;
  const instruments: Instruments = {
    ...noInstruments,
    counter: (name) => ({
      add: (amount) => {
        if (name === 'millrace_ingest_log_lost_records_total') lost += amount;
      },
    }),
  };
  const failures: unknown[] = [];
  const context = {
    world,
    instruments,
    incarnation: new ActiveIncarnation('ingester/0', 1, (error) => failures.push(error)),
    instance: '0',
    takesAny: () => {},
  };
  const own = new OwnLog(
    logOf(items, end),
    { end: chainEnd, newest: undefined, isBroken: false },
    { blobs: new MemoryBlobStore(world.clock), options: OPTIONS },
    context,
  );
  await own.replay(() => {});
  assert.deepEqual(failures, []);
  assert.equal(own.appliedTo, end);
  return { lost, rows: own.heads.sets().reduce((rows, set) => rows + set.rows, 0) };
}

test('what cannot be read is counted as lost, and the rest of the log is kept', async () => {
  const gap: LogGap = { kind: 'gap', from: 2, to: 5, lostBytes: 300, reason: 'checksum', doubtful: false };
  const unreadable: LogRecord = { kind: 'record', position: 1, bytes: Buffer.from('no push at all, though its checksum is right') };
  assert.deepEqual(await replayed([record(0, 'first'), unreadable, gap, record(5, 'last')], 0, 6), { lost: 4, rows: 2 });
});

test('records that neither the log nor storage has are counted as lost, also before the first that is kept and after the last', async () => {
  assert.deepEqual(await replayed([record(5, 'last')], 3, 6), { lost: 2, rows: 1 });
  const gap: LogGap = { kind: 'gap', from: 5, to: 6, lostBytes: 300, reason: 'checksum', doubtful: false };
  assert.deepEqual(await replayed([gap], 3, 6), { lost: 3, rows: 0 });
  assert.deepEqual(await replayed([], 3, 6), { lost: 3, rows: 0 });
  assert.deepEqual(await replayed([record(3, 'first'), record(4, 'next'), record(5, 'last')], 3, 6), { lost: 0, rows: 3 });
});
