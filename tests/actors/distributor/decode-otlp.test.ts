import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { DecodedPush } from '../../../actors/distributor/decode-push.ts';
import { BASE_NS, type DecodeOptions, decode, entries, HOUR_NS, otlp, refusedWith } from '../../support/decoded-push.ts';
import { jsonRequest, type Plain, type PlainRecord, protoRequest, resource } from '../../support/otlp.ts';
import { field } from '../../support/push-proto.ts';

const PROTO_TYPE = 'application/x-protobuf';
const record = (body: Plain, more: PlainRecord = {}): PlainRecord => ({ time: BASE_NS, body, ...more });
const pod = resource(
  { 'service.name': 'shop', 'host.name': 'h' },
  record('a'),
  record('b', { time: BASE_NS + 1n, attributes: [['k', 'v']] }),
);

const bodies: [what: string, body: Buffer, type: string, encoding: string][] = [
  ['protobuf', protoRequest([pod]), PROTO_TYPE, ''],
  ['protobuf in gzip', gzipSync(protoRequest([pod])), PROTO_TYPE, 'gzip'],
  ['protobuf in zstd', zstdCompressSync(protoRequest([pod])), PROTO_TYPE, 'zstd'],
  ['protobuf in deflate', deflateSync(protoRequest([pod])), PROTO_TYPE, 'deflate'],
  ['protobuf in raw deflate', deflateRawSync(protoRequest([pod])), PROTO_TYPE, 'deflate'],
  ['JSON', jsonRequest([pod]), 'application/json', ''],
  ['JSON with a charset', jsonRequest([pod]), 'Application/JSON; charset=utf-8', ''],
  ['JSON in gzip', gzipSync(jsonRequest([pod])), 'application/json', 'gzip'],
];
for (const [what, body, type, encoding] of bodies) {
  test(`OTLP: ${what}`, () => {
    const push = decode(body, type, { encoding, otlp: true });
    assert.deepEqual(entries(push), [
      ['{service_name="shop"}', BASE_NS, 'a', { host_name: 'h', detected_level: 'unknown' }],
      ['{service_name="shop"}', BASE_NS + 1n, 'b', { host_name: 'h', k: 'v', detected_level: 'unknown' }],
    ]);
    // Every entry counts what it has from its resource.
    assert.deepEqual([push.lines, push.bytes, push.discarded, push.fault], [2, 1 + 10 + 1 + 10 + 2, [], undefined]);
  });
}

const whole: [what: string, run: () => unknown, status: number, text: RegExp][] = [
  ['another type', () => decode(protoRequest([pod]), 'text/plain', { otlp: true }), 400, /^content type: text\/plain is not supported$/],
  ['no type', () => decode(protoRequest([pod]), '', { otlp: true }), 400, /^content type: {2}is not supported$/],
  [
    'snappy',
    () => decode(protoRequest([pod]), PROTO_TYPE, { encoding: 'snappy', otlp: true }),
    400,
    /^Content-Encoding "snappy" not supported$/,
  ],
  ['lzma', () => decode(protoRequest([pod]), PROTO_TYPE, { encoding: 'lzma', otlp: true }), 400, /^Content-Encoding "lzma" not supported$/],
  ['no record', () => otlp([resource({ 'service.name': 'shop' })]), 422, /^error at least one valid stream is required for ingestion$/],
  ['no resource', () => otlp([]), 422, /at least one valid stream/],
  ['a body cut short', () => decode(protoRequest([pod]).subarray(0, -1), PROTO_TYPE, { otlp: true }), 400, /^proto: unexpected end/],
  [
    'a broken gzip body',
    () => decode(gzipSync(protoRequest([pod])).subarray(0, 20), PROTO_TYPE, { encoding: 'gzip', otlp: true }),
    400,
    /^gzip: /,
  ],
  [
    'a bomb',
    () => decode(deflateSync(Buffer.alloc(100_000)), PROTO_TYPE, { encoding: 'deflate', otlp: true, maxBytes: 10_000 }),
    413,
    /^request body too large/,
  ],
  ['a body too large', () => otlp([resource({}, record('x'.repeat(10_000)))], { maxBytes: 10_000 }), 413, /^request body too large/],
];
for (const [what, run, status, text] of whole) test(`OTLP: ${what} is refused`, () => assert.throws(run, refusedWith(status, text)));

// service_name

const labels: [what: string, attributes: Record<string, Plain>, options: DecodeOptions, labels: string][] = [
  [
    'all defaults',
    { 'service.name': 'a', 'service.namespace': 'b', 'cloud.region': 'c', 'k8s.job.name': 'd' },
    {},
    '{cloud_region="c", k8s_job_name="d", service_name="a", service_namespace="b"}',
  ],
  ['no attribute', {}, {}, '{service_name="unknown_service"}'],
  ['an empty service.name', { 'service.name': '' }, {}, '{service_name="unknown_service"}'],
  [
    'a label that names the service',
    { 'k8s.container.name': 'web', 'k8s.pod.name': 'web-1' },
    {},
    '{k8s_container_name="web", k8s_pod_name="web-1", service_name="web"}',
  ],
  ['the first of several', { 'k8s.job.name': 'j', 'container.name': 'c' }, {}, '{container_name="c", k8s_job_name="j", service_name="c"}'],
  ['an attribute that is no label', { app: 'web' }, {}, '{service_name="unknown_service"}'],
  ['no discovery', { 'k8s.job.name': 'j' }, { limits: { discoverServiceName: [] } }, '{k8s_job_name="j"}'],
];
for (const [what, attributes, options, expected] of labels) {
  test(`OTLP: labels from ${what}`, () => {
    assert.deepEqual(
      entries(otlp([resource(attributes, record('x'))], options)).map(([found]) => found),
      [expected],
    );
  });
}

test('OTLP: without any label a record is refused', () => {
  const { fault, lines } = otlp([resource({}, record('x')), pod], { limits: { discoverServiceName: [] } });
  assert.ok(refusedWith(400, /^error at least one label pair is required per stream$/)(fault));
  assert.equal(lines, 2);
});

// detected_level

const levels: [what: string, resource: Record<string, Plain>, more: PlainRecord, level: string][] = [
  ['a severity text', {}, { severityText: 'Warning', severityNumber: 17 }, 'warn'],
  ['a severity text that is no level', {}, { severityText: 'NOTICE', severityNumber: 10 }, 'NOTICE'],
  ['number 1', {}, { severityNumber: 1 }, 'trace'],
  ['number 4', {}, { severityNumber: 4 }, 'trace'],
  ['number 5', {}, { severityNumber: 5 }, 'debug'],
  ['number 9', {}, { severityNumber: 9 }, 'info'],
  ['number 13', {}, { severityNumber: 13 }, 'warn'],
  ['number 17', {}, { severityNumber: 17 }, 'error'],
  ['number 24', {}, { severityNumber: 24 }, 'fatal'],
  ['number 25', {}, { severityNumber: 25 }, 'unknown'],
  ['a negative number', {}, { severityNumber: -1 }, 'trace'],
  ['an attribute, before the number', {}, { attributes: [['level', 'err']], severityNumber: 9 }, 'error'],
  ['an attribute of the resource, before the number', { level: 'err' }, { severityNumber: 9 }, 'error'],
  [
    'the attribute that is first in the list of names',
    { level: 'debug' },
    { attributes: [['lvl', 'warn']], severityText: 'error' },
    'debug',
  ],
  ['the line, without a number', {}, {}, 'info'],
  [
    'an attribute that says it',
    {},
    {
      attributes: [
        ['detected_level', 'ERR'],
        ['level', 'debug'],
      ],
    },
    'error',
  ],
];
for (const [what, attributes, more, level] of levels) {
  test(`OTLP: level from ${what}`, () => {
    assert.equal(entries(otlp([resource(attributes, record('level=info', more))]))[0][3].detected_level, level);
  });
}

// Limits: the same as of Loki's push

const outcome = ({ lines, discarded, fault }: DecodedPush) => [
  lines,
  discarded.map(({ reason, lines }) => `${reason} ${lines}`),
  fault?.message,
];

test('OTLP: what is refused is named, the rest is kept', () => {
  const old = BASE_NS - 400n * 24n * HOUR_NS;
  const push = otlp([
    resource({ 'service.name': 'a' }, record('kept'), record('old', { time: old }), record('new', { time: BASE_NS + HOUR_NS })),
    resource({ 'service.name': 'a' }, record('x'.repeat(262_145)), record('kept too')),
  ]);
  const [lines, reasons, message] = outcome(push);
  assert.equal(lines, 2);
  assert.deepEqual(reasons, ['greater_than_max_sample_age 1', 'too_far_in_future 1', 'line_too_long 1']);
  assert.match(
    message as string,
    /^1 errors like: entry for stream '\{service_name="a"\}' has timestamp too old: .*; 1 errors like: .*too new.*; 1 errors like: max entry size/,
  );
});

const attributesOf = (count: number): [string, Plain][] => Array.from({ length: count }, (_, index) => [`k${index}`, 'v']);

test('OTLP: metadata of resource, scope and record together is what limits count', () => {
  const request = (own: number) => [
    {
      attributes: attributesOf(60),
      scopes: [{ name: 'lib', attributes: attributesOf(60), records: [record('x', { attributes: attributesOf(own) })] }],
    },
  ];
  assert.equal(otlp(request(7)).lines, 1);
  const [lines, reasons, message] = outcome(otlp(request(8)));
  assert.deepEqual([lines, reasons], [0, ['structured_metadata_too_many 1']]);
  assert.match(message as string, /has too many structured metadata labels: '129', limit: '128'/);
  const sized = (bytes: number) => [resource({ r: 'x'.repeat(60_000) }, record('x', { attributes: [['a', 'x'.repeat(bytes)]] }))];
  assert.equal(otlp(sized(5_534)).lines, 1);
  assert.match(outcome(otlp(sized(5_535)))[2] as string, /has structured metadata too large: '65537' bytes, limit: '65536' bytes/);
  assert.match(outcome(otlp([pod], { limits: { allowStructuredMetadata: false } }))[2] as string, /this feature is disallowed/);
});

test('OTLP: a resource of many attributes costs each of its many records nothing', () => {
  const records = Array.from({ length: 20_000 }, () => record('x'));
  const push = otlp([{ attributes: attributesOf(20_000), scopes: [{ records }] }]);
  assert.deepEqual(outcome(push).slice(0, 2), [0, ['structured_metadata_too_large 20000']]);
});

test('OTLP: metadata of one scope is not that of the next', () => {
  const scopes = [{ name: 'one', records: [record('a')] }, { records: [record('b')] }];
  assert.deepEqual(
    entries(otlp([{ scopes }, resource({ host: 'h' }, record('c')), resource({}, record('d'))])).map(([, , line, metadata]) => [
      line,
      metadata,
    ]),
    [
      ['a', { scope_name: 'one', detected_level: 'unknown' }],
      ['b', { detected_level: 'unknown' }],
      ['c', { host: 'h', detected_level: 'unknown' }],
      ['d', { detected_level: 'unknown' }],
    ],
  );
});

test('OTLP: records of a label that is not UTF-8 are refused, the others kept', () => {
  const value = field(2, field(1, Buffer.from([0xff])));
  const broken = field(1, field(1, field(1, field(1, 'service.name'), value)), field(2, field(2), field(2)));
  const push = decode(Buffer.concat([broken, protoRequest([pod])]), PROTO_TYPE, { otlp: true });
  assert.deepEqual(outcome(push), [
    2,
    ['invalid_labels 2'],
    'invalid labels: value of resource attribute "service.name" is not valid UTF-8',
  ]);
});

test('OTLP: bytes that are not UTF-8 become blanks in metadata', () => {
  const bytes = field(1, field(2, field(2, field(3, Buffer.from([0x61, 0xff, 0x62])))));
  assert.equal(entries(decode(bytes, PROTO_TYPE, { otlp: true }))[0][3].severity_text, 'a b');
});

test('OTLP: equal records without a time are all kept', () => {
  const push = otlp([resource({}, { body: 'x' }, { body: 'x' }, { body: 'x' })]);
  assert.deepEqual(
    entries(push).map(([, ns]) => ns - BASE_NS),
    [0n, 1n, 2n],
  );
});

test('OTLP: what records share does not swell beyond the limits', () => {
  const shared = (attributes: [string, Plain][], count: number) => [
    { attributes, scopes: [{ records: Array.from({ length: count }, () => record('')) }] },
  ];
  const maxBytes = 1_000_000;
  assert.equal(otlp(shared(attributesOf(100), 2_400), { maxBytes }).lines, 2_400);
  assert.throws(
    () => otlp(shared(attributesOf(100), 2_600), { maxBytes }),
    refusedWith(413, /^request body too large: its labels and metadata take more than 1000000 bytes/),
  );
  const large: [string, Plain][] = [['a', 'x'.repeat(60_000)]];
  assert.throws(() => otlp(shared(large, 36_000)), refusedWith(413, /take more than 2147483648 bytes/));
});
