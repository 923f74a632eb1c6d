import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compressSync } from 'snappy';
import type { DecodedPush } from '../../../actors/distributor/decode-push.ts';
import { parseCanonicalLabels } from '../../../storage/batch/labels-text.ts';
import { BASE_NS, type DecodeOptions, decode, entries, refusedWith } from '../../support/decoded-push.ts';
import { field, integer, timestamp } from '../../support/push-proto.ts';

// What a real Loki stored, or answered, unless a row says otherwise.

const PROTO_TYPE = 'application/x-protobuf';
const push = (body: Buffer, options: DecodeOptions = {}): DecodedPush => decode(compressSync(body), PROTO_TYPE, options);

const stream = (labels: string | Buffer, ...entries: Buffer[]): Buffer => field(1, field(1, labels), ...entries);
const entry = (line: string | Buffer, ...more: Buffer[]): Buffer => field(2, timestamp(BASE_NS), field(2, line), ...more);
const later = (ns: bigint, line: string): Buffer => field(2, timestamp(BASE_NS + ns), field(2, line));
type Text = string | Buffer;
const pair = (number: number, name: Text, value: Text): Buffer => field(number, field(1, name), field(2, value));
const metadata = (name: Text, value: Text): Buffer => pair(3, name, value);
const notUtf8 = Buffer.from([0x61, 0xff, 0xc3, 0x28]);

/** The metadata that an entry's parts become, the level apart. */
const stored: [what: string, parts: Buffer[], expected: Record<string, string>][] = [
  ['two pairs', [metadata('a', 'b'), metadata('c', 'd')], { a: 'b', c: 'd' }],
  ['a value before its name', [field(3, field(2, 'v'), field(1, 'n'))], { n: 'v' }],
  ['an empty value', [metadata('a', '')], {}],
  ['no value', [field(3, field(1, 'a'))], {}],
  ['a name with a dot', [metadata('a.b', 'x')], { a_b: 'x' }],
  ['a name with a run of others', [metadata('a--b', 'x')], { a_b: 'x' }],
  ['a name that begins with a digit', [metadata('9a', 'x')], { key_9a: 'x' }],
  ['a name in capitals', [metadata('A', 'x')], { A: 'x' }],
  ['a reserved name', [metadata('__a__', 'x')], { __a__: 'x' }],
  ['a name that only begins as one', [metadata('__a', 'x')], { _a: 'x' }],
  ['a name that ends in another letter', [metadata('aé', 'x')], { a_: 'x' }],
  ['a name that is not UTF-8', [metadata(Buffer.from([0x61, 0xff]), 'x')], { a_: 'x' }],
  ['a value of any text', [metadata('a', 'q"\\\n\u0000é🦊')], { a: 'q"\\\n\u0000é🦊' }],
  ['a value with U+FFFD', [metadata('a', '\ufffd|')], { a: ' |' }],
  ['a value that is not UTF-8', [metadata('a', notUtf8)], { a: 'a  (' }],
  ['the name of a label', [metadata('id', 'x')], { id: 'x' }],
  ['a name twice: the last counts', [metadata('a', '1'), metadata('a', '2')], { a: '2' }],
  ['a name that becomes another that is there', [metadata('a.b', '1'), metadata('a_b', '2')], { a_b: '1' }],
  ['the same in the other order', [metadata('a_b', '2'), metadata('a.b', '1')], { a_b: '1' }],
  ['names of which two become the third', [metadata('a-b', '1'), metadata('a_b', '2'), metadata('a.b', '3')], { a_b: '3' }],
  ['parsed fields, which are for answers', [pair(4, 'p', 'v')], {}],
  ['both', [pair(4, 'p', 'v'), metadata('a', 'b')], { a: 'b' }],
];
for (const [what, parts, expected] of stored) {
  test(`protobuf push: metadata, ${what}`, () => {
    const { detected_level: level, ...rest } = entries(push(stream('{id="1"}', entry('x', ...parts))))[0][3];
    assert.deepEqual([rest, level], [expected, 'unknown']);
  });
}

const levels: [what: string, labels: string, parts: Buffer[], level: string][] = [
  ['a parsed field says nothing', '{a="1"}', [pair(4, 'level', 'warn')], 'unknown'],
  ['metadata', '{a="1"}', [metadata('level', 'warn')], 'warn'],
  ['metadata without a value', '{a="1"}', [metadata('level', '')], 'unknown'],
  ['a number', '{a="1"}', [metadata('severity_number', '17')], 'error'],
  ['one found before', '{a="1"}', [metadata('detected_level', 'WARN'), metadata('level', 'error')], 'warn'],
  ['one found before that is empty', '{a="1"}', [metadata('detected_level', '')], 'unknown'],
  ['a label', '{a="1",level="Warning"}', [metadata('level', 'error')], 'warn'],
];
for (const [what, labels, parts, level] of levels) {
  test(`protobuf push: level from ${what}`, () =>
    assert.equal(entries(push(stream(labels, entry('x', ...parts))))[0][3].detected_level, level));
}

test('protobuf push: entries that differ in their metadata alone are different entries', () => {
  const all = [entry('x', metadata('a', '1')), entry('x', metadata('a', '2')), entry('x')];
  assert.deepEqual(
    entries(push(stream('{a="1"}', ...all))).map(([, , line, { a }]) => [line, a]),
    [
      ['x', '1'],
      ['x', '2'],
      ['x', undefined],
    ],
  );
});

/** What label texts become, the service apart. */
const texts: [text: string, expected: [name: string, value: string][]][] = [
  [
    '{b="1",a="2"}',
    [
      ['a', '2'],
      ['b', '1'],
    ],
  ],
  [' \t{ a = "b" ,\n }', [['a', 'b']]],
  ["{a='b'}", [['a', 'b']]],
  ['{a=`b\\n`}', [['a', 'b\\n']]],
  ['{a="\\u00e9\\x41\\101\\n\\t\\"\\\\"}', [['a', 'éAA\n\t"\\']]],
  ['{a="\\xff"}', [['a', '\ufffd']]],
  ['{a="\u0000 é🦊"}', [['a', '\u0000 é🦊']]],
  [
    '{A="x",a="y",_a="z",__a="w"}',
    [
      ['A', 'x'],
      ['__a', 'w'],
      ['_a', 'z'],
      ['a', 'y'],
    ],
  ],
  ['{a="c",b=""}', [['a', 'c']]],
  ['{a="",a="c"}', [['a', 'c']]],
  ['{a="c",a=""}', [['a', 'c']]],
  [
    'name{a="b"}',
    [
      ['__name__', 'name'],
      ['a', 'b'],
    ],
  ],
  ['name', [['__name__', 'name']]],
  ['{"a"="x"}', [['a', 'x']]],
  ['{a="b"} # c', [['a', 'b']]],
  ['{# c\na="b"}', [['a', 'b']]],
  [
    '{sum="x",offset="y",by="z",inf="v"}',
    [
      ['by', 'z'],
      ['inf', 'v'],
      ['offset', 'y'],
      ['sum', 'x'],
    ],
  ],
];
for (const [text, expected] of texts) {
  test(`protobuf push: labels ${JSON.stringify(text)}`, () => {
    const [[labels]] = entries(push(stream(text, entry('x'))));
    assert.deepEqual(
      parseCanonicalLabels(labels).filter(([name]) => name !== 'service_name'),
      expected,
    );
  });
}

const services: [text: string, labels: string][] = [
  ['{a="b"}', '{a="b", service_name="unknown_service"}'],
  ['{app="w"}', '{app="w", service_name="w"}'],
  ['{a="b",service_name=""}', '{a="b", service_name="unknown_service"}'],
  ['{app="w",service_name="x"}', '{app="w", service_name="x"}'],
  ['{app="w",__aggregated_metric__="1"}', '{__aggregated_metric__="1", app="w"}'],
  ['{app="w",__pattern__="1"}', '{__pattern__="1", app="w"}'],
];
for (const [text, labels] of services) {
  test(`protobuf push: the service of ${text}`, () => assert.equal(entries(push(stream(text, entry('x'))))[0][0], labels));
}

const refused: [what: string, text: string, message: string][] = [
  ['a label twice', '{b="x",a="b",a="c"}', `stream '{a="b", a="c", b="x", service_name="unknown_service"}' has duplicate label name: 'a'`],
  [
    'a label twice with one value',
    '{a="b",a="b"}',
    `stream '{a="b", a="b", service_name="unknown_service"}' has duplicate label name: 'a'`,
  ],
];
for (const [what, text, message] of refused) {
  test(`protobuf push: ${what} is refused, other streams are kept`, () => {
    const { lines, fault } = push(Buffer.concat([stream(text, entry('x')), stream('{a="1"}', entry('kept'))]));
    assert.deepEqual([lines, fault?.status, fault?.message], [1, 400, message]);
  });
}

test('protobuf push: streams whose labels are equal in the end are one, in the order of the request', () => {
  const body = Buffer.concat([
    stream('{b="2",a="1"}', later(5n, 'x')),
    stream('{other="1"}', later(0n, 'o')),
    stream('{a=\'1\', b="2",c=""}', later(0n, 'y'), later(9n, 'z')),
    stream('{a="1",b="2",service_name="unknown_service"}', later(5n, 'x')),
  ]);
  const { batches, lines } = push(body);
  assert.deepEqual([batches.length, lines], [2, 5]);
  assert.deepEqual(
    entries(push(body)).map(([labels, ns, line]) => `${labels} ${ns - BASE_NS} ${line}`),
    [
      '{a="1", b="2", service_name="unknown_service"} 5 x',
      '{a="1", b="2", service_name="unknown_service"} 0 y',
      '{a="1", b="2", service_name="unknown_service"} 9 z',
      '{a="1", b="2", service_name="unknown_service"} 5 x',
      '{other="1", service_name="unknown_service"} 0 o',
    ],
  );
});

// Times

const SECONDS = BASE_NS / 1_000_000_000n;
const timed = (...time: Buffer[]): Buffer => stream('{a="1"}', field(2, ...time, field(2, 'x')));
const OLD_TOO = { limits: { rejectOldSamples: false } };

const times: [what: string, time: Buffer[], ns: bigint][] = [
  ['the last nanosecond of a second', [field(1, integer(1, SECONDS), integer(2, 999_999_999))], SECONDS * 1_000_000_000n + 999_999_999n],
  ['nanoseconds first', [field(1, integer(2, 5), integer(1, SECONDS))], SECONDS * 1_000_000_000n + 5n],
  ['no nanoseconds', [field(1, integer(1, SECONDS))], SECONDS * 1_000_000_000n],
  ['the last of two', [field(1, integer(1, 5)), field(1, integer(1, SECONDS))], SECONDS * 1_000_000_000n],
  [
    'nanoseconds beyond 32 bits, of which the low ones count',
    [field(1, integer(1, SECONDS), integer(2, 2n ** 32n + 7n))],
    SECONDS * 1_000_000_000n + 7n,
  ],
  ['the first nanosecond', [field(1, integer(2, 1))], 1n],
  ['an empty time, which is 1970', [field(1)], 0n],
];
for (const [what, time, ns] of times) {
  test(`protobuf push: time, ${what}`, () => assert.equal(entries(push(timed(...time), OLD_TOO))[0][1], ns));
}

const refusedTimes: [what: string, time: Buffer[], text: RegExp][] = [
  ['none', [], /has timestamp too old: 0001-01-01T00:00:00Z/],
  ['the second before 1970', [field(1, integer(1, -1n))], /has timestamp too old: 1969-12-31T23:59:59Z/],
  ['before the year 1', [field(1, integer(1, -(2n ** 63n)))], /has timestamp too old: 0001-01-01T00:00:00Z/],
  ['ten minutes and a second from now', [field(1, integer(1, SECONDS + 601n))], /has timestamp too new: 2026-01-15T10:40:01Z/],
  ['the end of the year 9999', [field(1, integer(1, 253_402_300_799n))], /has timestamp too new: 9999-12-31T23:59:59Z/],
  ['the largest number', [field(1, integer(1, 2n ** 63n - 1n))], /has timestamp too new/],
];
for (const [what, time, text] of refusedTimes) {
  test(`protobuf push: time, ${what}, is refused`, () => {
    const { lines, fault } = push(Buffer.concat([timed(...time), stream('{a="1"}', entry('kept'))]), OLD_TOO);
    assert.ok(refusedWith(400, text)(fault), fault?.message);
    assert.equal(lines, 1);
  });
}
for (const nanos of [1_000_000_000n, -1n, 2n ** 31n]) {
  test(`protobuf push: ${nanos} nanoseconds within a second are refused`, () => {
    assert.throws(
      () => push(timed(field(1, integer(1, SECONDS), integer(2, nanos)))),
      refusedWith(400, /^proto: timestamp with -?\d+ nanoseconds/),
    );
  });
}

test('protobuf push: up to ten minutes from now an entry is taken', () => {
  assert.equal(push(timed(field(1, integer(1, SECONDS + 600n)))).lines, 1);
});

// Lines

for (const line of [Buffer.alloc(0), notUtf8, Buffer.from('a\r\nb\n\0'), Buffer.alloc(262_144, 'x')]) {
  test(`protobuf push: a line of ${line.length} bytes is kept as it is`, () => {
    const [{ bytes }] = push(stream('{a="1"}', entry(line))).batches;
    assert.ok(bytes.includes(line));
    assert.equal(push(stream('{a="1"}', entry(line))).bytes, line.length);
  });
}
