import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressSync } from 'snappy';
import { decodePush } from '../../../actors/distributor/decode-push.ts';
import { StreamCache } from '../../../actors/distributor/stream-cache.ts';
import { limitsOptions } from '../../../actors/limits.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { Batch, streamHash } from '../../../storage/batch/batch.ts';
import { BASE_NS, decode, entries, HOUR_NS, json, one, proto, refusedWith, type Shown } from '../../support/decoded-push.ts';
import { pushRequest } from '../../support/push-proto.ts';

test('push: both forms give the same batches', () => {
  const metadata: [string, string][] = [
    ['trace', 'é'],
    ['http.route', '/x'],
  ];
  const fromProto = proto([one('{b="2", a="1"}', 'level=warn "x"', BASE_NS, metadata)]);
  const values = [[String(BASE_NS), 'level=warn "x"', Object.fromEntries(metadata)]];
  const fromJson = json({ streams: [{ stream: { a: '1', b: '2' }, values }] });
  assert.deepEqual(fromJson, fromProto);
  const expected: Shown = [
    '{a="1", b="2", service_name="unknown_service"}',
    BASE_NS,
    'level=warn "x"',
    { trace: 'é', http_route: '/x', detected_level: 'warn' },
  ];
  assert.deepEqual(entries(fromProto), [expected]);
  assert.deepEqual([fromProto.lines, fromProto.bytes, fromProto.discarded, fromProto.fault], [1, 14 + 7 + 12, [], undefined]);
  assert.equal(fromProto.batches[0].hash, streamHash('fake', expected[0]));
});

test('push: the legacy JSON shape gives the same batches, and joins streams of the other', () => {
  const metadata = { trace: 'é', 'http.route': '/x' };
  const ts = ['2026-01-15T10:30:00.000000007Z', '2026-01-15T12:00:00.000000008+01:30'];
  const legacy = { labels: '{b="2", a="1"}', entries: ts.map((ts) => ({ ts, line: 'level=warn "x"', structuredMetadata: metadata })) };
  const values = [7n, 8n].map((ns) => [String(BASE_NS + ns), 'level=warn "x"', metadata]);
  assert.deepEqual(json({ streams: [legacy] }), json({ streams: [{ stream: { a: '1', b: '2' }, values }] }));
  const both = json({ streams: [{ stream: { a: '1', b: '2' }, values: [[String(BASE_NS), 'first']] }, legacy] });
  assert.equal(both.batches.length, 1);
  assert.deepEqual(
    entries(both).map(([, ns]) => ns - BASE_NS),
    [0n, 7n, 8n],
  );
});

test('push: what cannot be stored of the legacy shape is refused, not lost', () => {
  const entry = { ts: '2026-01-15T10:30:00Z', line: 'x' };
  const old = { ...entry, ts: '0001-01-01T00:00:00Z' };
  const { fault, lines } = json({ streams: [{ labels: '{a="1"}', entries: [old, entry] }] });
  assert.ok(refusedWith(400, /timestamp too old: 0001-01-01T00:00:00Z/)(fault));
  assert.equal(lines, 1);
  assert.throws(() => json({ streams: [{ labels: '{a=1}', entries: [entry] }] }), refusedWith(400, /^couldn't parse labels: 1:4: /));
  const misnamed = { timestamp: entry.ts, line: 'x' };
  assert.throws(() => json({ streams: [{ labels: '{a="1"}', entries: [misnamed] }] }), refusedWith(400, /an entry without ts/));
});

test('push: streams with equal labels become one, hours become several', () => {
  const hour = (n: bigint): bigint => BASE_NS - n * HOUR_NS;
  const push = proto([
    one('{a="1",b="2"}', 'x', hour(0n)),
    one('{c="3"}', 'z'),
    one('{b="2", a="1",d=""}', 'y', hour(0n) + 1n),
    one('{a="1", b="2"}', 'w', hour(1n)),
  ]);
  assert.deepEqual(
    push.batches.map(({ bytes }) => new Batch(bytes)).map((batch) => [batch.labels().slice(0, 6), batch.rows, batch.hour]),
    [
      ['{a="1"', 2, Number(hour(0n) / HOUR_NS)],
      ['{a="1"', 1, Number(hour(1n) / HOUR_NS)],
      ['{c="3"', 1, Number(hour(0n) / HOUR_NS)],
    ],
  );
});

test('push: hours that alternate, on both sides of the full hour', () => {
  const full = (BASE_NS / HOUR_NS) * HOUR_NS;
  const times = [full - 1n, full, full - 2n, full + 1n, full - HOUR_NS, full + HOUR_NS / 2n];
  const push = proto([{ labels: '{a="1"}', entries: times.map((ns) => ({ ns, line: `${ns}` })) }]);
  assert.equal(push.batches.length, 2);
  assert.ok(entries(push).every(([, ns, line]) => `${ns}` === line));
  assert.equal(push.lines, 6);
});

test('push: an entry with more metadata than anybody means is refused before it fills the memory', () => {
  const pairs = Array.from({ length: 65_537 }, (): [string, string] => ['a', '']);
  const message = /^request body too large: an entry with more than 65536 pairs of structured metadata$/;
  assert.throws(() => proto([one('{a="1"}', 'x', BASE_NS, pairs)]), refusedWith(413, message));
  const members = pairs.map(([name, value]) => `"${name}":"${value}"`).join();
  assert.throws(() => json(`{"streams":[{"stream":{},"values":[["${BASE_NS}","x",{${members}}]]}]}`), refusedWith(413, message));
  assert.match(proto([one('{a="1"}', 'x', BASE_NS, pairs.slice(1))]).fault!.message, /too large|too many/);
});

test('push: what takes too long to decode is given up', () => {
  const body = (entries: number): Buffer =>
    compressSync(pushRequest([{ labels: '{a="1"}', entries: Array.from({ length: entries }, () => ({ ns: 1n, line: '' })) }]));
  const request = { tenant: 'fake', contentType: '', contentEncoding: '', nowMs: Number(BASE_NS / 1_000_000n), overdue: () => true };
  const limits = defaultsOf(limitsOptions);
  const decoded = (entries: number) => decodePush({ ...request, body: body(entries) }, limits, new StreamCache());
  assert.equal(decoded(1_000).discarded[0].lines, 1_000);
  assert.throws(() => decoded(5_000), refusedWith(504, /takes too long to decode/));
});

test('push: a long batch has a buffer of its own, short ones share theirs', () => {
  const [long, ...short] = proto([one('{a="1"}', 'x'.repeat(20_000)), one('{a="2"}', 'x'), one('{a="3"}', 'x')]).batches;
  assert.equal(long.bytes.byteLength, long.bytes.buffer.byteLength);
  assert.equal(short[0].bytes.buffer, short[1].bytes.buffer);
  for (const { bytes } of short) assert.equal(bytes.byteOffset % 8, 0);
});

// Whole bodies

const bodies: [what: string, run: () => unknown, status: number, text: RegExp][] = [
  ['no stream in JSON', () => json({ streams: [] }), 422, /^error at least one valid stream is required for ingestion$/],
  ['no stream in protobuf', () => proto([]), 422, /at least one valid stream/],
  ['garbage', () => decode(Buffer.from('garbage'), 'application/x-protobuf', {}), 400, /^snappy: corrupt input$/],
  ['protobuf cut short', () => decode(compressSync(pushRequest([one('{a="1"}', 'x')]).subarray(0, 20)), '', {}), 400, /^proto: /],
  [
    'labels that cannot be read',
    () => proto([one('{a="1"}', 'kept?'), one('{px-dash="v"}', 'x')]),
    400,
    /^couldn't parse labels: 1:4: parse error: unexpected character inside braces: '-'$/,
  ],
  ['more than may be decompressed', () => proto([one('{a="1"}', 'x'.repeat(5_000))], { maxBytes: 4_000 }), 413, /^request body too large/],
];
for (const [what, run, status, text] of bodies) test(`push: ${what}`, () => assert.throws(run, refusedWith(status, text)));

test('push: streams without entries are nothing to complain about', () => {
  assert.deepEqual(json({ streams: [{ stream: { a: '1' }, values: [] }] }), {
    batches: [],
    lines: 0,
    bytes: 0,
    discarded: [],
    refused: [],
  });
});

test('push: labels repeated for every hour do not swell beyond the limit', () => {
  const entriesOf = Array.from({ length: 160 }, (_, n) => ({ ns: BASE_NS - BigInt(n) * HOUR_NS, line: '' }));
  const labels = `{${Array.from({ length: 15 }, (_, n) => `l${n}="${'v'.repeat(2_000)}"`).join()}}`;
  assert.throws(
    () => proto([{ labels, entries: entriesOf }], { maxBytes: 1_000_000 }),
    refusedWith(413, /^request body too large: its labels/),
  );
});

test('push: sparse metadata becomes several batches and nothing is lost', () => {
  const rows = Array.from({ length: 3_000 }, (_, n) => ({
    ns: BASE_NS + BigInt(n),
    line: `${n}`,
    metadata: [[`k${n}`, `v${n}`]] as [string, string][],
  }));
  const push = proto([{ labels: '{a="1"}', entries: rows }]);
  assert.ok(push.batches.length > 1);
  assert.ok(push.batches.reduce((sum, { bytes }) => sum + bytes.length, 0) < 2_000_000);
  assert.deepEqual(
    entries(push).map(([, , line, metadata]) => [line, metadata[`k${line}`]]),
    rows.map(({ line }) => [line, `v${line}`]),
  );
});

test('push: 20,000 streams', () => {
  const push = proto(Array.from({ length: 20_000 }, (_, n) => one(`{n="${n}"}`, `${n}`)));
  assert.deepEqual([push.batches.length, push.lines, push.fault], [20_000, 20_000, undefined]);
  assert.equal(new Set(entries(push).map(([, , line]) => line)).size, 20_000);
});

test('push: more streams than are kept open at once, each coming twice', () => {
  const streams = [0n, 1n].flatMap((ns) => Array.from({ length: 1_500 }, (_, n) => one(`{n="${n}"}`, `${n}`, BASE_NS + ns)));
  assert.deepEqual(
    entries(proto(streams))
      .map(([labels, ns]) => `${labels} ${ns}`)
      .sort(),
    streams.map(({ labels, entries: [{ ns }] }) => `${labels.slice(0, -1)}, service_name="unknown_service"} ${ns}`).sort(),
  );
});

test('push: streams without end are refused before they fill the memory', () => {
  const streams = Array.from({ length: 20_000 }, (_, n) => ({ labels: `{n="${n}"}`, entries: [] }));
  assert.throws(() => proto(streams, { maxBytes: 4_000_000 }), refusedWith(413, /^request body too large: its labels/));
});

// The push cases that a real Loki answered

interface PushCase {
  id: string;
  body?: unknown;
  rawBody?: string;
  contentType?: string;
  encoding?: string;
  rawDeflate?: boolean;
  expected: { status: number; message?: string };
}

const CASES: PushCase[] = JSON.parse(readFileSync(new URL('../../conformance/cases/push.json', import.meta.url), 'utf8'));
/** Entries far behind others are taken; see decodePush. */
const DEVIATIONS = ['push-040'];

const fill = (text: string): string =>
  text
    .replace(/"@(\d+)"/g, (_, seconds) => `"${BASE_NS + BigInt(seconds) * 1_000_000_000n}"`)
    .replace(/<@(\d+)>/g, (_, seconds) => `${BASE_NS + BigInt(seconds) * 1_000_000_000n}`)
    .replace(/<([a-z])\*(\d+)>/g, (_, letter, count) => letter.repeat(Number(count)));

function compressed(body: Buffer, encoding: string, raw: boolean): Buffer {
  if (encoding === 'gzip') return gzipSync(body);
  if (encoding === 'zstd') return zstdCompressSync(body);
  return encoding === 'deflate' ? (raw ? deflateRawSync(body) : deflateSync(body)) : body;
}

for (const { id, body, rawBody, contentType, encoding = '', rawDeflate = false, expected } of CASES) {
  if (DEVIATIONS.includes(id)) continue;
  test(`${id} is answered ${expected.status}`, () => {
    const bytes = compressed(Buffer.from(fill(rawBody ?? JSON.stringify(body))), encoding, rawDeflate);
    const limits = { rejectOldSamples: false, creationGracePeriod: 86_400_000 };
    let fault: Fault | undefined;
    try {
      fault = decode(bytes, contentType ?? 'application/json', { encoding, limits }).fault;
    } catch (error) {
      assert.ok(error instanceof Fault);
      fault = error;
    }
    if (expected.status >= 500) assert.ok(fault !== undefined && fault.status >= 400);
    else assert.equal(fault?.status ?? 204, expected.status, fault?.message);
    const texts = /^(couldn't parse|error at least|Content-Encoding|snappy|stream '\{<)/;
    if (fault !== undefined && expected.message !== undefined && texts.test(expected.message))
      assert.equal(fault.message, fill(expected.message));
  });
}
