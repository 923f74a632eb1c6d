import { bool, choice, duration, list, map, maps, type OptionsOf, section, snakeCase, string } from '../../ops/base/options.ts';
import { checkTenant } from '../tenants.ts';

export const FORMATS = ['text', 'json', 'logfmt', 'otlp', 'loki-push'] as const;
export const TIMESTAMP_FORMATS = ['rfc3339', 'unix', 'unix_ms', 'unix_us', 'unix_ns'] as const;

const rows = {
  topics: list('', 'Topics that are read.'),
  groupId: string('millrace', 'Consumer group: all processes with this source share the partitions of its topics.'),
  startAt: choice(['earliest', 'latest'], 'earliest', 'Where a partition is begun that the group has not read yet.'),
  tenant: string('', 'Tenant of the entries; empty: that of a process without tenants, `fake`.'),
  tenantHeader: string('', 'Header that names the tenant; records without it are of `tenant`, or dead letters where that is empty.'),
  tenantFromKey: bool('false', 'The key of a record names its tenant.'),
  format: choice(
    FORMATS,
    'text',
    'What a value is: `text`, a line of any kind; `json`, an object; `logfmt`, pairs of names and values; `otlp`, an export request of logs, as protobuf or JSON; `loki-push`, a push request, as snappy-compressed protobuf or JSON.',
  ),
  labels: map('', 'Labels that all entries have.'),
  labelsFromHeaders: map('', 'Labels by the header that has their value.'),
  labelsFromFields: map('', 'Labels by the field, of JSON or logfmt, that has their value; `a.b` is field `b` of the object `a`.'),
  labelFromKey: string('', 'Label that has the key of the record.'),
  lineField: string('', 'Field that is the line; empty: the whole value is.'),
  timestampField: string('', 'Field with the time; empty, or not there: the time that the record has in Kafka.'),
  timestampFormat: choice(
    TIMESTAMP_FORMATS,
    'rfc3339',
    'How that time is written: a text, or a number of seconds or smaller units since 1970.',
  ),
  metadataFromHeaders: map('', 'Structured metadata by the header that has its value.'),
  metadataFromFields: map('', 'Structured metadata by the field that has its value.'),
  metadataFromKey: string('', 'Structured metadata that has the key of the record.'),
  distinct: bool(
    'false',
    'Equal records, of one time, are entries of their own: each has its topic, partition and offset as structured metadata. Otherwise equal ones count once.',
  ),
  deadLetterTopic: string(
    '',
    'Topic for records that can never be taken, each with the reason in a header; empty: `<group_id>.dead-letters`.',
  ),
  sessionTimeout: duration('30s', 'A process of the group that is silent for so long loses its partitions.', { min: 1_000 }),
};

export const sourcesOptions = section('sources', 'sources', {
  kafka: maps(rows, 'Topics of Kafka that applications write, as sources of entries.'),
});

export type KafkaSourceOptions = OptionsOf<typeof sourcesOptions>['kafka'][number];

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Throws an Error for what cannot work. */
export function checkSource(source: KafkaSourceOptions, index: number, authEnabled: boolean): void {
  const problem = (text: string): never => {
    throw new Error(`sources.kafka[${index}]: ${text}`);
  };
  const { topics, tenant, tenantHeader, tenantFromKey, format } = source;
  if (topics.length === 0) problem('names no topics');
  if (authEnabled && tenant === '' && tenantHeader === '' && !tenantFromKey)
    problem('names no tenant: tenant, tenant_header or tenant_from_key is to say whose the entries are');
  if (!authEnabled && (tenant !== '' || tenantHeader !== '' || tenantFromKey))
    problem('names a tenant, but there are none: auth_enabled is false');
  try {
    if (tenant !== '') checkTenant(tenant);
  } catch (error) {
    problem((error as Error).message);
  }
  if (tenantHeader !== '' && tenantFromKey) problem('takes the tenant from a header and from the key');
  const isWhole = format === 'otlp' || format === 'loki-push';
  const unused = isWhole ? MAPPINGS : format === 'text' ? FIELD_MAPPINGS : [];
  for (const name of unused) {
    const value = source[name];
    if (value === '' || value === false || (typeof value === 'object' && Object.keys(value).length === 0)) continue;
    problem(isWhole ? `a record of ${format} says all of this itself: ${snakeCase(name)}` : `a text has no fields: ${snakeCase(name)}`);
  }
  const names = [...labelNamesOf(source)];
  if (!isWhole && names.length === 0) problem('gives entries no label');
  for (const name of names) if (!LABEL_NAME.test(name)) problem(`not the name of a label: ${name}`);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) problem(`label ${twice} is given twice`);
}

const FIELD_MAPPINGS = ['labelsFromFields', 'lineField', 'timestampField', 'metadataFromFields'] as const;
const MAPPINGS = [
  ...FIELD_MAPPINGS,
  'labels',
  'labelsFromHeaders',
  'labelFromKey',
  'metadataFromHeaders',
  'metadataFromKey',
  'distinct',
] as const;

function* labelNamesOf({ labels, labelsFromHeaders, labelsFromFields, labelFromKey }: KafkaSourceOptions): Generator<string> {
  for (const pairs of [labels, labelsFromHeaders, labelsFromFields]) yield* Object.keys(pairs);
  if (labelFromKey !== '') yield labelFromKey;
}
