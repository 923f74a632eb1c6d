import { formatLabels, toLabels } from '../../logql/model.ts';
import { parseRfc3339 } from '../../ops/base/rfc3339.ts';
import { checkTenant, SINGLE_TENANT } from '../tenants.ts';
import { type Fields, jsonFields, logfmtFields, type ReadFields } from './fields.ts';
import type { KafkaSourceOptions } from './options.ts';
import type { Mapped, MappedBody, Poison, SourceRecord } from './record.ts';

const NO_FIELDS: Fields = { text: () => undefined };
const OPEN_BRACE = 0x7b;
const SPACE = 0x20;
const AFTER_BRACE: ReadonlySet<number> = new Set(Buffer.from('"}\t\r\n'));
const STREAM_TAG = 0x0a;
const NS_PER_MS = 1_000_000n;
const NS_PER: Readonly<Record<string, bigint>> = { unix: 1_000_000_000n, unix_ms: 1_000_000n, unix_us: 1_000n, unix_ns: 1n };
const WHOLE_OR_DECIMAL = /^(\d{1,19})(?:\.(\d+))?$/;
const MOST_SHOWN = 200;

/** What becomes of the records of a source. The time of an entry is the record's, never of when it is read: a record that comes twice makes the same entry. */
export function mapRecords(source: KafkaSourceOptions): (record: SourceRecord) => Mapped {
  const tenantOf = tenants(source);
  const { format } = source;
  const map = format === 'otlp' || format === 'loki-push' ? bodies(format) : rows(source);
  return (record) => {
    const { value } = record;
    if (value === null) return poison('the record has no value');
    const tenant = tenantOf(record);
    if (tenant === undefined) return poison('the record does not say whose it is');
    try {
      checkTenant(tenant);
    } catch (error) {
      return poison((error as Error).message);
    }
    return map(record, value, tenant);
  };
}

type MapValue = (record: SourceRecord, value: Buffer, tenant: string) => Mapped;

const poison = (why: string): Poison => ({ kind: 'poison', why });

function tenants({ tenant, tenantHeader, tenantFromKey }: KafkaSourceOptions): (record: SourceRecord) => string | undefined {
  const usual = tenant !== '' ? tenant : tenantHeader === '' && !tenantFromKey ? SINGLE_TENANT : undefined;
  if (tenantFromKey) return ({ key }) => key?.toString('utf8') || usual;
  if (tenantHeader !== '') return ({ headers }) => headers.get(tenantHeader)?.toString('utf8') || usual;
  return () => usual;
}

/** Records that are requests. */
function bodies(format: 'otlp' | 'loki-push'): MapValue {
  return ({ timestampMs }, body, tenant): MappedBody | Poison => {
    if (format === 'otlp' && timestampMs < 0) return poison('the record has no time');
    const contentType = isJson(body) ? 'application/json' : 'application/x-protobuf';
    return { kind: 'body', tenant, format: format === 'otlp' ? 'otlp' : 'loki', contentType, body, timeMs: timestampMs };
  };
}

/** Protobuf of these never begins with a brace. A snappy block of 123 bytes does, but goes on with a literal, whose tag is none of these bytes but the space: then it has nine
 *  bytes, the first of them the tag of a stream. */
function isJson([first, second, third]: Buffer): boolean {
  if (first !== OPEN_BRACE) return false;
  return second === SPACE ? third !== STREAM_TAG : AFTER_BRACE.has(second);
}

function rows(source: KafkaSourceOptions): MapValue {
  const readFields = fieldsOf(source);
  const labelsOf = labels(source);
  const metadataOf = metadata(source);
  const timeOf = times(source);
  const { lineField } = source;
  return (record, value, tenant) => {
    let fields: Fields;
    try {
      fields = readFields(value);
    } catch (error) {
      return poison(`not ${source.format}: ${(error as Error).message}`);
    }
    const timeNs = timeOf(record, fields);
    if (typeof timeNs === 'string') return poison(timeNs);
    const text = lineField === '' ? value : fields.text(lineField);
    if (text === undefined) return poison(`the record has no field ${lineField}`);
    return {
      kind: 'row',
      tenant,
      labels: labelsOf(record, fields),
      timeNs,
      line: typeof text === 'string' ? Buffer.from(text) : text,
      metadata: metadataOf(record, fields),
    };
  };
}

/** Of a text nothing need be read. */
function fieldsOf(source: KafkaSourceOptions): ReadFields {
  const { format, timestampField, timestampFormat } = source;
  if (format === 'json') return jsonFields(timestampField !== '' && timestampFormat === 'unix_ns' ? timestampField : undefined);
  if (format === 'logfmt') return logfmtFields();
  return () => NO_FIELDS; // `checkSource` lets none be asked for
}

/** Tells of what a record has under the names: values of headers, of fields, and the key; not of those that are not there, or empty. */
function gatherer(
  headersByName: Readonly<Record<string, string>>,
  fieldsByName: Readonly<Record<string, string>>,
  nameOfKey: string,
): (record: SourceRecord, fields: Fields, take: (name: string, value: string) => void) => void {
  const fromHeaders = Object.entries(headersByName);
  const fromFields = Object.entries(fieldsByName);
  return ({ key, headers }, fields, take) => {
    const tell = (name: string, value: string | undefined): void => {
      if (value !== undefined && value !== '') take(name, value);
    };
    for (const [name, header] of fromHeaders) tell(name, headers.get(header)?.toString('utf8'));
    for (const [name, field] of fromFields) tell(name, fields.text(field));
    if (nameOfKey !== '') tell(nameOfKey, key?.toString('utf8'));
  };
}

/** Text by label sets that were seen lately: most records have those of others. */
const MOST_KNOWN_LABELS = 1_024;

function labels(source: KafkaSourceOptions): (record: SourceRecord, fields: Fields) => string {
  const fixed = Object.entries(source.labels);
  const gather = gatherer(source.labelsFromHeaders, source.labelsFromFields, source.labelFromKey);
  const known = new Map<string, string>();
  return (record, fields) => {
    const pairs = [...fixed];
    gather(record, fields, (name, value) => void pairs.push([name, value]));
    const id = JSON.stringify(pairs);
    let text = known.get(id);
    if (text === undefined) {
      if (known.size === MOST_KNOWN_LABELS) known.clear();
      text = formatLabels(toLabels(pairs));
      known.set(id, text);
    }
    return text;
  };
}

function metadata(source: KafkaSourceOptions): (record: SourceRecord, fields: Fields) => string[] {
  const gather = gatherer(source.metadataFromHeaders, source.metadataFromFields, source.metadataFromKey);
  const { distinct } = source;
  return (record, fields) => {
    const pairs: string[] = [];
    gather(record, fields, (name, value) => void pairs.push(name, value));
    const { topic, partition, offset } = record;
    if (distinct) pairs.push('kafka_topic', topic, 'kafka_partition', String(partition), 'kafka_offset', String(offset));
    return pairs;
  };
}

/** Nanoseconds since 1970, or why there are none. */
function times({ timestampField, timestampFormat }: KafkaSourceOptions): (record: SourceRecord, fields: Fields) => bigint | string {
  const ofRecord = ({ timestampMs }: SourceRecord): bigint | string =>
    timestampMs < 0 ? 'the record has no time' : BigInt(timestampMs) * NS_PER_MS;
  if (timestampField === '') return ofRecord;
  return (record, fields) => {
    const text = fields.text(timestampField);
    if (text === undefined) return ofRecord(record);
    const timeNs = timestampFormat === 'rfc3339' ? parseRfc3339(text) : unixTime(text, NS_PER[timestampFormat]);
    return timeNs === undefined || timeNs < 0n
      ? `${timestampField} is not a time (${timestampFormat}): ${text.slice(0, MOST_SHOWN)}`
      : timeNs;
  };
}

/** Of a number of units of `unitNs`; what is below a nanosecond is cut. */
function unixTime(text: string, unitNs: bigint): bigint | undefined {
  const match = WHOLE_OR_DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, whole, decimals = ''] = match;
  const digits = String(unitNs).length - 1;
  const timeNs = BigInt(whole) * unitNs + BigInt(decimals.slice(0, digits).padEnd(digits, '0') || '0');
  return timeNs < 2n ** 63n ? timeNs : undefined;
}
