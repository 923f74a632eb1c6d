import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compressSync } from 'snappy';
import { mapRecords } from '../../../actors/source/mapping.ts';
import type { Mapped } from '../../../actors/source/record.ts';

import { type RecordParts, recordOf, sourceOf } from '../../support/source-record.ts';

const TIME_NS = 1_700_000_000_123_000_000n;

function mapped(options: Record<string, unknown>, record: RecordParts): Mapped {
  return mapRecords(sourceOf(options))(recordOf(record));
}

/** What is expected of a row beside its usual parts. */
const row = (parts: { tenant?: string; labels?: string; timeNs?: bigint; line?: string; metadata?: string[] }) => ({
  kind: 'row',
  tenant: 'fake',
  labels: '{app="a"}',
  timeNs: TIME_NS,
  metadata: [],
  ...parts,
  line: Buffer.from(parts.line ?? 'line'),
});

const LABELS = { labels: { app: 'a' } };
const json = (value: object): string => JSON.stringify(value);

const cases: [what: string, options: Record<string, unknown>, record: RecordParts, expected: unknown][] = [
  ['a text', LABELS, {}, row({})],
  ['bytes that are no text', LABELS, { value: Buffer.from([0xff, 0x00]) }, { ...row({}), line: Buffer.from([0xff, 0x00]) }],
  ['an empty value', LABELS, { value: '' }, row({ line: '' })],
  ['no value', LABELS, { value: null }, { kind: 'poison', why: 'the record has no value' }],
  ['no time', LABELS, { timestampMs: -1 }, { kind: 'poison', why: 'the record has no time' }],
  [
    'labels and metadata of headers and key',
    {
      ...LABELS,
      labels_from_headers: { env: 'x-env', zone: 'x-zone' },
      label_from_key: 'k',
      metadata_from_headers: { trace: 'x-trace' },
      metadata_from_key: 'id',
    },
    { key: 'key "1"', headers: { 'x-env': 'prod', 'x-trace': 't1', other: 'o' } },
    row({ labels: '{app="a", env="prod", k="key \\"1\\""}', metadata: ['trace', 't1', 'id', 'key "1"'] }),
  ],
  [
    'fields of JSON, those of objects too',
    {
      ...LABELS,
      format: 'json',
      labels_from_fields: { level: 'level', pod: 'k8s.pod', dotted: 'a.b' },
      metadata_from_fields: { n: 'n', list: 'list', gone: 'gone', nil: 'nil' },
      line_field: 'msg',
    },
    { value: json({ level: 'warn', k8s: { pod: 'p' }, 'a.b': 'c', n: 1.5, list: [1], nil: null, msg: 'hello' }) },
    row({ labels: '{app="a", dotted="c", level="warn", pod="p"}', line: 'hello', metadata: ['n', '1.5', 'list', '[1]'] }),
  ],
  ['a whole value of JSON', { ...LABELS, format: 'json' }, { value: '{ "a": 1 }' }, row({ line: '{ "a": 1 }' })],
  ['JSON that is none', { ...LABELS, format: 'json' }, { value: '{' }, { kind: 'poison' }],
  ['JSON that is no object', { ...LABELS, format: 'json' }, { value: '[1]' }, { kind: 'poison', why: 'not json: not an object' }],
  [
    'a line that is not there',
    { ...LABELS, format: 'json', line_field: 'm' },
    { value: '{}' },
    { kind: 'poison', why: 'the record has no field m' },
  ],
  [
    'fields of logfmt',
    { ...LABELS, format: 'logfmt', labels_from_fields: { level: 'level' }, line_field: 'msg' },
    { value: 'level=info msg="a \\"b\\"" flag' },
    row({ labels: '{app="a", level="info"}', line: 'a "b"' }),
  ],
  ['logfmt that is none', { ...LABELS, format: 'logfmt' }, { value: 'a="b' }, { kind: 'poison' }],
  ...(
    [
      ['rfc3339', '"2023-11-14T22:13:20.123456789Z"', 1_700_000_000_123_456_789n],
      ['rfc3339', '"2023-11-15T00:13:20+02:00"', 1_700_000_000_000_000_000n],
      ['unix', '1700000000.25', 1_700_000_000_250_000_000n],
      ['unix_ms', '1700000000001', 1_700_000_000_001_000_000n],
      ['unix_us', '"1700000000000002"', 1_700_000_000_000_002_000n],
      ['unix_ns', '1700000000123456789', 1_700_000_000_123_456_789n],
      ['unix_ns', 'null', TIME_NS],
    ] as const
  ).map(([format, text, timeNs]): (typeof cases)[number] => [
    `a time in ${format}: ${text}`,
    { ...LABELS, format: 'json', timestamp_field: 'at.time', timestamp_format: format },
    { value: `{"at": {"time": ${text}}}` },
    row({ timeNs, line: `{"at": {"time": ${text}}}` }),
  ]),
  ...['"now"', '"2023-02-30T00:00:00Z"', '-1', '"1e3"', '{}'].map((text): (typeof cases)[number] => [
    `a time that is none: ${text}`,
    { ...LABELS, format: 'json', timestamp_field: 'time', timestamp_format: text.includes('T') ? 'rfc3339' : 'unix' },
    { value: `{"time": ${text}}` },
    { kind: 'poison' },
  ]),
  ['a tenant', { ...LABELS, tenant: 't1' }, {}, row({ tenant: 't1' })],
  ['the tenant of a header', { ...LABELS, tenant_header: 'x' }, { headers: { x: 't2' } }, row({ tenant: 't2' })],
  ['the usual tenant where the header is not there', { ...LABELS, tenant: 't1', tenant_header: 'x' }, {}, row({ tenant: 't1' })],
  ['no tenant', { ...LABELS, tenant_header: 'x' }, {}, { kind: 'poison', why: 'the record does not say whose it is' }],
  ...['a|b', 'a/b', '..', 'x'.repeat(151)].map((tenant): (typeof cases)[number] => [
    `a tenant that none can be: ${tenant.slice(0, 10)}`,
    { ...LABELS, tenant_from_key: true },
    { key: tenant },
    { kind: 'poison' },
  ]),
  ['the tenant of a key', { ...LABELS, tenant_from_key: true }, { key: 't3' }, row({ tenant: 't3' })],
  [
    'records that are to be told apart',
    { ...LABELS, distinct: true },
    { partition: 3, offset: 9 },
    row({ metadata: ['kafka_topic', 't', 'kafka_partition', '3', 'kafka_offset', '9'] }),
  ],
  ['OTLP as JSON', { format: 'otlp' }, { value: '{"resourceLogs":[]}' }, { kind: 'body', format: 'otlp', contentType: 'application/json' }],
  ['OTLP as protobuf', { format: 'otlp' }, { value: Buffer.from([0x0a, 0]) }, { kind: 'body', contentType: 'application/x-protobuf' }],
  [
    'a push as JSON',
    { format: 'loki-push' },
    { value: '{ "streams": [] }' },
    { kind: 'body', format: 'loki', contentType: 'application/json' },
  ],
  [
    'a push as protobuf, whose length happens to look like a brace',
    { format: 'loki-push' },
    { value: compressSync(Buffer.concat([Buffer.from([0x0a, 121]), Buffer.alloc(121, 0x20)])) },
    { kind: 'body', contentType: 'application/x-protobuf' },
  ],
];

for (const [what, options, record, expected] of cases) {
  test(`a record of ${what}`, () => {
    const { why, ...found } = mapped(options, record) as unknown as Record<string, unknown>;
    const shown = { ...found, ...(why !== undefined && Object.hasOwn(expected as object, 'why') ? { why } : {}) };
    assert.deepEqual(
      Object.fromEntries(Object.keys(expected as object).map((key) => [key, (shown as Record<string, unknown>)[key]])),
      expected,
    );
  });
}
