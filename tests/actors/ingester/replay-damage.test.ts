import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogHeads } from '../../../actors/ingester/log-heads.ts';
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

test('what cannot be read is counted as lost, and the rest of the log is kept', async () => {
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
  const gap: LogGap = { kind: 'gap', from: 2, to: 5, lostBytes: 300, reason: 'checksum', doubtful: false };
  const unreadable: LogRecord = { kind: 'record', position: 1, bytes: Buffer.from('no push at all, though its checksum is right') };
  const items = [record(0, 'first'), unreadable, gap, record(5, 'last')];
  const failures: unknown[] = [];
  const context = {
    world,
    instruments,
    incarnation: new ActiveIncarnation('ingester/0', 1, (error) => failures.push(error)),
    instance: '0',
  };
  const heads = new LogHeads(
    logOf(items, 6),
    { end: 0, newest: undefined },
    { blobs: new MemoryBlobStore(world.clock), options: OPTIONS },
    context,
  );
  await heads.replay(() => {});
  assert.equal(lost, 4);
  assert.equal(heads.appliedTo, 6);
  assert.equal(
    heads.sets().reduce((rows, set) => rows + set.rows, 0),
    2,
  );
  assert.deepEqual(failures, []);
});
