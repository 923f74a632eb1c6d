import type { KafkaSourceOptions } from '../../actors/source/options.ts';
import { sourcesOptions } from '../../actors/source/options.ts';
import type { SourceRecord } from '../../actors/source/record.ts';

/** A source as a file of options has it, in snake case. */
export function sourceOf(options: Record<string, unknown>): KafkaSourceOptions {
  const [source] = sourcesOptions.rows.kafka.parse(JSON.stringify([{ topics: ['t'], ...options }]));
  return source;
}

export interface RecordParts extends Partial<Omit<SourceRecord, 'key' | 'value' | 'headers'>> {
  readonly key?: string;
  readonly value?: string | Buffer | null;
  readonly headers?: Record<string, string>;
}

export function recordOf({ key, value = 'line', headers = {}, ...others }: RecordParts): SourceRecord {
  return {
    topic: 't',
    partition: 0,
    offset: 0,
    timestampMs: 1_700_000_000_123,
    ...others,
    key: key === undefined ? null : Buffer.from(key),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: new Map(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
  };
}
