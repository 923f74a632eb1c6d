import type { Counter, Gauge, Instruments } from '../../ops/base/instruments.ts';

export interface CompactorMetrics {
  readonly running: Gauge;
  readonly operations: Counter;
  readonly seconds: Gauge;
  readonly lastSuccess: Gauge;
  readonly due: Gauge;
  readonly late: Gauge;
  readonly damaged: Gauge;
  readonly levelZeroBytes: Gauge;
  readonly compactions: Counter;
  readonly readBytes: Counter;
  readonly writtenBytes: Counter;
  readonly duplicates: Counter;
  readonly deleted: Counter;
}

/** Loki's where Loki has them. */
export function compactorMetrics(instruments: Instruments): CompactorMetrics {
  const { counter, gauge } = instruments;
  const loki = 'loki_boltdb_shipper_compact_tables_operation';
  return {
    running: gauge('loki_boltdb_shipper_compactor_running', 'Whether there is a compactor in this process.'),
    operations: counter(`${loki}_total`, 'Runs of the compactor, by how they ended.', ['status']),
    seconds: gauge(`${loki}_duration_seconds`, 'How long the last run of the compactor took.'),
    lastSuccess: gauge(`${loki}_last_successful_run_timestamp_seconds`, 'When the last run of the compactor that succeeded ended.'),
    due: gauge('millrace_compactor_due_compactions', 'Compactions that were due at the last look: 0, nothing is left to do.'),
    late: gauge(
      'millrace_compactor_late_seconds',
      'For how long the compaction that has been due the longest had been at the last look: the pace rises with it.',
    ),
    damaged: gauge(
      'millrace_compactor_damaged_objects',
      'Objects in storage that are left out of compaction because they cannot be read, in whole or in part.',
    ),
    levelZeroBytes: gauge('millrace_compactor_level_zero_bytes', 'Stored bytes of flushed parts that are in no segment yet.'),
    compactions: counter('millrace_compactor_compactions_total', 'Compactions, by how they ended.', ['outcome']),
    readBytes: counter('millrace_compactor_read_bytes_total', 'Bytes that compactions read.'),
    writtenBytes: counter('millrace_compactor_written_bytes_total', 'Bytes of segments written.'),
    duplicates: counter('millrace_compactor_duplicates_total', 'Entries dropped because they were there twice.'),
    deleted: counter('millrace_compactor_deleted_objects_total', 'Objects deleted because others had taken their place.'),
  };
}
