import type { Counter, Instruments } from '../../ops/base/instruments.ts';
import type { LogGap } from './ingest-log.ts';

/** What a local log counts. */
export interface LogMetrics {
  readonly diskFull: Counter;
  readonly tornBytes: Counter;
  bytesInUse(bytes: number): void;
  syncMs(ms: number): void;
  lost(gap: LogGap): void;
}

const SYNC_BUCKETS_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export function logMetrics(instruments: Instruments, log: string): LogMetrics {
  const inUse = instruments.gauge('loki_ingester_wal_bytes_in_use', 'Bytes of the ingest log on disk.', ['log']);
  const syncs = instruments.histogram('millrace_wal_fsync_duration_seconds', 'Time to sync a group of records.', SYNC_BUCKETS_S);
  const corruptions = instruments.counter('loki_ingester_wal_corruptions_total', 'Damaged places found in the ingest log.');
  const lostRecords = instruments.counter('millrace_wal_lost_records_total', 'Records that the ingest log could not give back.', [
    'doubtful',
  ]);
  return {
    diskFull: instruments.counter('loki_ingester_wal_disk_full_failures_total', 'Records refused because the disk was full.'),
    tornBytes: instruments.counter('millrace_wal_torn_bytes_total', 'Bytes of unfinished writes cut from the end of the ingest log.'),
    bytesInUse: (bytes) => inUse.set(bytes, { log }),
    syncMs: (ms) => syncs.observe(ms / 1000),
    lost({ from, to, doubtful }) {
      if (!doubtful) corruptions.add(1);
      lostRecords.add(to - from, { doubtful: String(doubtful) });
    },
  };
}
