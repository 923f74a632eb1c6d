import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOtlpJson } from '../../../storage/batch/from-otlp-json.ts';
import { readOtlpProto } from '../../../storage/batch/from-otlp-proto.ts';
import { refusedWith } from '../../support/decoded-push.ts';
import { fixed32, fixed64, jsonRequest, keyValue, type Plain, type PlainResource, protoRequest, resource } from '../../support/otlp.ts';
import { field, integer, varint } from '../../support/push-proto.ts';
import { SeenPush, type SeenStream } from '../../support/seen-push.ts';

const NOW_MS = Date.parse('2026-01-15T10:30:00.999Z');
const NOW_S = Math.floor(NOW_MS / 1_000);
const OPTIONS = { indexLabels: new Set(['service.name', 'k8s.pod.name']), nowMs: NOW_MS };
const TIME = 1_700_000_000_123_456_789n;

type Read = typeof readOtlpProto;

function read(reader: Read, bytes: Buffer): SeenStream[] {
  const seen = new SeenPush();
  const count = reader(bytes, seen, OPTIONS);
  assert.equal(
    count,
    seen.streams.reduce((sum, { entries }) => sum + entries.length, 0),
  );
  return seen.streams;
}

type Shown = [labels: string, time: string, line: string, pairs: Record<string, string>];

const show = (streams: readonly SeenStream[]): Shown[] =>
  streams.flatMap(({ labels, entries }) =>
    entries.map(({ seconds, nanos, line, pairs }): Shown => {
      const names = pairs.filter((_, index) => index % 2 === 0);
      return [
        labels,
        `${seconds}.${String(nanos).padStart(9, '0')}`,
        line.toString(),
        Object.fromEntries(names.map((name, at) => [name, pairs[at * 2 + 1]])),
      ];
    }),
  );

const both: [what: string, encode: (resources: readonly PlainResource[]) => Buffer, reader: Read][] = [
  ['protobuf', protoRequest, readOtlpProto],
  ['JSON', jsonRequest, readOtlpJson],
];

/** The pairs that one attribute of a record becomes. */
const attributes: [what: string, key: string, value: Plain, pairs: Record<string, string>][] = [
  ['a string', 'a', 'x', { a: 'x' }],
  ['an empty string', 'a', '', { a: '' }],
  ['no value', 'a', null, { a: '' }],
  ['a name with dots', 'http.response.status_code', 'x', { http_response_status_code: 'x' }],
  ['a name with runs of other characters', 'a--b..é/c', 'x', { a_b_c: 'x' }],
  ['a name that begins with a digit', '9lives', 'x', { key_9lives: 'x' }],
  ['a reserved name', '__a.b__', 'x', { __a_b__: 'x' }],
  ['true', 'a', true, { a: 'true' }],
  ['false', 'a', false, { a: 'false' }],
  ['an integer', 'a', -12, { a: '-12' }],
  ['the largest integer', 'a', 2n ** 63n - 1n, { a: '9223372036854775807' }],
  ['the smallest integer', 'a', -(2n ** 63n), { a: '-9223372036854775808' }],
  ['an integer beyond 2^53', 'a', 2n ** 53n + 1n, { a: '9007199254740993' }],
  ['a double', 'a', 1.5, { a: '1.5' }],
  ['a small double', 'a', 1.25e-7, { a: '1.25e-7' }],
  ['a double that is no number', 'a', Number.NaN, { a: 'NaN' }],
  ['an infinite double', 'a', Number.NEGATIVE_INFINITY, { a: '-Infinity' }],
  ['bytes', 'a', Buffer.from([0, 1, 254, 255]), { a: 'AAH+/w==' }],
  ['no bytes', 'a', Buffer.alloc(0), { a: '' }],
  ['an array', 'a', ['x', 1, null, true, 2.5, ['y'], Buffer.from('z')], { a: '["x",1,null,true,2.5,["y"],"eg=="]' }],
  ['an empty array', 'a', [], { a: '[]' }],
  ['a list of keys', 'a.b', { c: 'x', 'd.e': { f: 1 }, g: [{ z: 1, y: 2 }] }, { a_b_c: 'x', a_b_d_e_f: '1', a_b_g: '[{"y":2,"z":1}]' }],
  ['an empty list of keys', 'a', {}, {}],
  ['a key of nothing in a list', 'a', { '': 'x' }, { a_: 'x' }],
  ['a list under a reserved name', '__a__', { b: 'x' }, { _a_b: 'x' }],
];

/** The line that a body becomes. */
const lines: [what: string, body: Plain | undefined, line: string][] = [
  ['none', undefined, ''],
  ['of no value', null, ''],
  ['a string', 'one\ntwo "three" \u2028 🦊', 'one\ntwo "three" \u2028 🦊'],
  ['an integer', -(2n ** 63n), '-9223372036854775808'],
  ['a double', -1.5e-9, '-1.5e-9'],
  ['true', true, 'true'],
  ['bytes', Buffer.from('ab'), 'YWI='],
  ['an array', [1, 'a'], '[1,"a"]'],
  [
    'keys, in the order of their bytes',
    { b: 1, a: { c: null }, é: 2, '🦊': 3, '\uffff': 4 },
    '{"a":{"c":null},"b":1,"é":2,"\uffff":4,"🦊":3}',
  ],
  ['texts that JSON escapes', ['<&>', '\u2028\u2029', '"\\\n\u0001'], '["<&>","\\u2028\\u2029","\\"\\\\\\n\\u0001"]'],
  ['numbers that JSON lacks', [Number.NaN, Number.POSITIVE_INFINITY], '["NaN","Infinity"]'],
  ['empty lists, and no bytes', [[], {}, Buffer.alloc(0)], '[[],{},null]'],
];

/** The time and the pairs that a record's times become. */
const times: [what: string, time: bigint | undefined, observed: bigint | undefined, shown: string, pairs: Record<string, string>][] = [
  ['its own', TIME, undefined, '1700000000.123456789', {}],
  ['both', TIME, TIME + 1n, '1700000000.123456789', { observed_timestamp: '1700000000123456790' }],
  ['observed', undefined, TIME, '1700000000.123456789', {}],
  ['observed, its own being 0', 0n, TIME, '1700000000.123456789', {}],
  ['neither', undefined, 0n, `${NOW_S}.999000000`, {}],
  ['the last one', 2n ** 63n - 1n, undefined, '9223372036.854775807', {}],
  ['a negative one', 2n ** 63n, 2n ** 64n - 1n, '-Infinity.000000000', { observed_timestamp: '-1' }],
  ['the first nanosecond', 1n, undefined, '0.000000001', {}],
  ['more than 32 bits', 2n ** 32n, undefined, '4.294967296', {}],
];

for (const [encoding, encode, reader] of both) {
  const one = (resources: PlainResource[]): Shown => {
    const shown = show(read(reader, encode(resources)));
    assert.equal(shown.length, 1);
    return shown[0];
  };

  for (const [what, key, value, pairs] of attributes) {
    test(`OTLP in ${encoding}: attribute that is ${what}`, () => {
      assert.deepEqual(one([resource({}, { time: TIME, attributes: [[key, value]] })])[3], pairs);
      assert.deepEqual(one([{ scopes: [{ attributes: [[key, value]], records: [{ time: TIME }] }] }])[3], pairs);
      assert.deepEqual(one([resource({ [key]: value }, { time: TIME })])[3], pairs);
    });
  }
  for (const [what, body, line] of lines) {
    test(`OTLP in ${encoding}: body that is ${what}`, () => {
      assert.equal(one([resource({}, body === undefined ? { time: TIME } : { time: TIME, body })])[2], line);
    });
  }
  for (const [what, time, observed, shown, pairs] of times) {
    test(`OTLP in ${encoding}: time that is ${what}`, () => {
      const record = { ...(time === undefined ? {} : { time }), ...(observed === undefined ? {} : { observed }) };
      const [, at, , found] = one([resource({}, record)]);
      assert.deepEqual([at, found], [shown, pairs]);
    });
  }

  test(`OTLP in ${encoding}: every field`, () => {
    const request: PlainResource[] = [
      {
        attributes: [
          ['service.name', 'shop'],
          ['k8s.pod.name', 'shop-1'],
          ['host.name', 'h'],
        ],
        scopes: [
          { name: 'lib', version: '1.2', attributes: [['s.a', 1]], dropped: 3, records: [{ time: TIME, body: 'first' }] },
          {
            records: [
              {
                time: TIME,
                observed: TIME + 5n,
                severityNumber: 17,
                severityText: 'ERROR',
                body: 'second',
                attributes: [['http.method', 'GET']],
                dropped: 4_294_967_295,
                flags: 1,
                traceId: '0102030405060708090a0b0c0d0e0fff',
                spanId: 'f102030405060708',
                eventName: 'login',
              },
              {
                time: TIME,
                traceId: '0'.repeat(32),
                spanId: '0'.repeat(16),
                severityNumber: 0,
                severityText: '',
                flags: 0,
                dropped: 0,
                eventName: '',
              },
            ],
          },
        ],
      },
      resource({ 'service.name': 'other' }, { time: TIME, body: 'third' }),
    ];
    const labels = '{k8s_pod_name="shop-1", service_name="shop"}';
    const at = '1700000000.123456789';
    assert.deepEqual(show(read(reader, encode(request))), [
      [labels, at, 'first', { host_name: 'h', s_a: '1', scope_name: 'lib', scope_version: '1.2', scope_dropped_attributes_count: '3' }],
      [
        labels,
        at,
        'second',
        {
          http_method: 'GET',
          observed_timestamp: '1700000000123456794',
          severity_number: '17',
          severity_text: 'ERROR',
          dropped_attributes_count: '4294967295',
          flags: '1',
          trace_id: '0102030405060708090a0b0c0d0e0fff',
          span_id: 'f102030405060708',
          event_name: 'login',
          host_name: 'h',
        },
      ],
      [labels, at, '', { host_name: 'h' }],
      ['{service_name="other"}', at, 'third', {}],
    ] satisfies Shown[]);
  });

  test(`OTLP in ${encoding}: the field event_name stands before the attribute`, () => {
    const attributes: [string, Plain][] = [
      ['event_name', 'of the attribute'],
      ['event.name', 'other'],
    ];
    assert.deepEqual(one([resource({}, { time: TIME, attributes: attributes.slice(0, 1), eventName: 'of the field' })])[3], {
      event_name: 'of the field',
    });
    assert.deepEqual(one([resource({}, { time: TIME, attributes: attributes.slice(0, 1) })])[3], { event_name: 'of the attribute' });
    const [stream] = read(reader, encode([resource({}, { time: TIME, attributes, eventName: 'of the field' })]));
    assert.deepEqual(stream.entries[0].pairs, ['event_name', 'other', 'event_name', 'of the field']);
  });

  test(`OTLP in ${encoding}: resources of equal labels are one stream`, () => {
    const named = (name: string, body: string, host: string) => resource({ 'service.name': name, host }, { time: TIME, body });
    const seen = read(reader, encode([named('a', '1', 'x'), named('a', '2', 'y'), named('b', '3', 'z'), named('a', '4', 'x')]));
    assert.deepEqual(
      seen.map(({ labels, entries }) => [labels, entries.map(({ line, pairs }) => `${line} ${pairs.join()}`)]),
      [
        ['{service_name="a"}', ['1 host,x', '2 host,y']],
        ['{service_name="b"}', ['3 host,z']],
        ['{service_name="a"}', ['4 host,x']],
      ],
    );
  });

  test(`OTLP in ${encoding}: labels of other types, and without a value`, () => {
    const [labels] = one([resource({ 'service.name': { a: [1], b: 'x' }, 'k8s.pod.name': '' }, { time: TIME })]);
    assert.equal(labels, '{service_name_a="[1]", service_name_b="x"}');
  });

  test(`OTLP in ${encoding}: records without a time keep their order, and none is like another`, () => {
    const shown = show(read(reader, encode([resource({}, {}, {}), resource({}, {})])));
    assert.deepEqual(
      shown.map(([, at]) => at),
      [`${NOW_S}.999000000`, `${NOW_S}.999000001`, `${NOW_S}.999000002`],
    );
  });

  test(`OTLP in ${encoding}: nothing at all`, () => {
    assert.deepEqual(read(reader, encode([])), []);
    assert.equal(show(read(reader, encode([resource({ 'service.name': 'a' }), { scopes: [] }]))).length, 0);
  });

  test(`OTLP in ${encoding}: names without a letter or digit are refused`, () => {
    for (const key of ['', '.', '___', 'é']) {
      assert.throws(() => read(reader, encode([resource({ [key]: 'x' }, {})])), refused(/holds no letter or digit/));
      assert.throws(() => read(reader, encode([resource({}, { attributes: [[key, 'x']] })])), refused(/holds no letter or digit/));
    }
  });

  const nested = (depth: number): Plain => (depth === 0 ? 'x' : depth % 2 === 0 ? [nested(depth - 1)] : { k: nested(depth - 1) });
  test(`OTLP in ${encoding}: values nested 64 deep, and no deeper`, () => {
    for (const field of ['body', 'attributes'] as const) {
      const record = (depth: number) => (field === 'body' ? { body: nested(depth) } : { attributes: [['a', nested(depth)] as const] });
      assert.equal(read(reader, encode([resource({}, record(64))]))[0].entries.length, 1);
      assert.throws(() => read(reader, encode([resource({}, record(65))])), refused(/nested deeper than 64/));
      assert.throws(() => read(reader, encode([resource({}, record(120))])), refused(/nested deeper than 64/));
    }
  });

  test(`OTLP in ${encoding}: values that swell are refused`, () => {
    const refusal = refused(/take more than 16777216 characters/);
    const long = 'k'.repeat(1_000);
    const inner = Object.fromEntries(Array.from({ length: 17_000 }, (_, index) => [`i${index}`, 1]));
    assert.throws(() => read(reader, encode([resource({}, { attributes: [[long, inner]] })])), refusal);
    assert.throws(() => read(reader, encode([resource({}, { body: ['\u0001'.repeat(3_000_000)] })])), refusal);
  });
}

const refused = (pattern: RegExp) => refusedWith(400, pattern);

const record = (...parts: Buffer[]): Buffer => field(1, field(2, field(2, Buffer.concat(parts))));
const jsonBody = (text: string): Buffer => Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${text}]}]}]}`);
const [MAX_PAIRS, MAX_VALUES] = [65_536, 262_144];
const repeated = <T>(what: T, count: number): T[] => new Array<T>(count).fill(what);

// Protobuf alone

/** A request in which one record, scope or resource has that many attributes, or values nested in its body. */
const crowds: [what: string, most: number, reader: Read, request: (count: number) => Buffer][] = [
  ['a record in protobuf', MAX_PAIRS, readOtlpProto, (count) => record(Buffer.concat(repeated(keyValue(6, 'a', 1), count)))],
  ['an event name in protobuf', MAX_PAIRS, readOtlpProto, (count) => record(Buffer.concat(repeated(keyValue(6, 'event_name', 1), count)))],
  [
    'a scope in protobuf',
    MAX_PAIRS,
    readOtlpProto,
    (count) => field(1, field(2, field(1, Buffer.concat(repeated(keyValue(3, 'a', 1), count))))),
  ],
  ['a resource in protobuf', MAX_PAIRS, readOtlpProto, (count) => field(1, field(1, Buffer.concat(repeated(keyValue(1, 'a', 1), count))))],
  ['a record in JSON', MAX_PAIRS, readOtlpJson, (count) => jsonBody(`{"attributes":[${repeated('{"key":"a"}', count)}]}`)],
  ['a body in protobuf', MAX_VALUES, readOtlpProto, (count) => record(field(5, field(5, Buffer.concat(repeated(field(1), count)))))],
  ['a body in JSON', MAX_VALUES, readOtlpJson, (count) => jsonBody(`{"body":{"arrayValue":{"values":[${repeated('{}', count)}]}}}`)],
  ['attributes without pairs', MAX_VALUES, readOtlpProto, (count) => record(Buffer.concat(repeated(keyValue(6, 'a', {}), count)))],
];
for (const [what, most, reader, request] of crowds) {
  test(`OTLP: as much as ${what} may have`, () => {
    const full = request(most);
    read(reader, full);
    if (reader === readOtlpProto) read(reader, Buffer.concat([full, full]));
    const text = most === MAX_PAIRS ? /an entry with more than 65536 pairs/ : /more than 262144 attributes and nested values in one record/;
    assert.throws(() => read(reader, request(most + 1)), refusedWith(most === MAX_PAIRS ? 413 : 400, text));
  });
}

for (const [what, reader, request] of [
  ['protobuf', readOtlpProto, (count: number) => field(1, field(2, Buffer.concat(repeated(field(2), count))))],
  ['JSON', readOtlpJson, (count: number) => jsonBody(repeated('{}', count).join())],
] as const) {
  test(`OTLP in ${what}: as many records without a time as a request may have`, () => {
    const [stream] = read(reader, request(1_048_576));
    const { seconds, nanos } = stream.entries.at(-1)!;
    assert.deepEqual([seconds, nanos], [NOW_S + 1, 48_575]);
    assert.throws(() => read(reader, request(1_048_577)), refused(/more than 1048576 records without a time in one request/));
  });
}

test('OTLP in protobuf: the room asked for holds all records', () => {
  const body = 'x'.repeat(300);
  const [stream] = read(readOtlpProto, protoRequest([{ scopes: [{ records: [{ body }, { body }] }, { records: [{ body }] }] }]));
  assert.equal(stream.rows, 3);
  assert.ok(stream.lineBytes >= 900);
});

test('OTLP in protobuf: fields in another order, unknown ones, the last of equal ones', () => {
  const unknown = Buffer.concat([integer(77, 1), field(78, 'x'), fixed32(79, 1), fixed64(80, 1n)]);
  const bytes = field(
    1,
    unknown,
    field(
      2,
      unknown,
      field(2, unknown, field(5, field(1, 'a')), field(5, unknown, field(1, 'b')), fixed64(1, 1n), fixed64(1, TIME)),
      field(1, field(1, 'lib')),
    ),
    field(1, keyValue(1, 'service.name', 'first')),
    field(1, unknown, keyValue(1, 'service.name', 'second')),
  );
  assert.deepEqual(show(read(readOtlpProto, bytes)), [['{service_name="second"}', '1700000000.123456789', 'b', { scope_name: 'lib' }]]);
});

test('OTLP in protobuf: a value before its key, and the last kind of a value', () => {
  const attribute = field(6, field(2, integer(3, 5), field(1, 'x'), integer(2, 1)), field(1, 'a'));
  assert.deepEqual(show(read(readOtlpProto, record(attribute)))[0][3], { a: 'true' });
});

test('OTLP in protobuf: scopes where clients of before 2022 put them', () => {
  const old = field(1_000, field(1, field(1, 'lib')), field(2, field(5, field(1, 'old'))));
  const now = field(2, field(2, field(5, field(1, 'new'))));
  const bodies = (...parts: Buffer[]) => show(read(readOtlpProto, field(1, ...parts))).map(([, , line]) => line);
  assert.deepEqual([bodies(old), bodies(old, now), bodies(now)], [['old'], ['new'], ['new']]);
});

test('OTLP in protobuf: numbers beyond their field', () => {
  const bytes = record(integer(2, -1n), integer(7, 2n ** 32n + 5n));
  assert.deepEqual(show(read(readOtlpProto, bytes))[0][3], { severity_number: '-1', dropped_attributes_count: '5' });
});

const notUtf8 = Buffer.from([0x61, 0xff, 0xc3, 0x28]);

test('OTLP in protobuf: a body keeps bytes that are not UTF-8', () => {
  assert.deepEqual(read(readOtlpProto, record(field(5, field(1, notUtf8))))[0].entries[0].line, notUtf8);
});

test('OTLP in protobuf: elsewhere such bytes become U+FFFD', () => {
  const bytes = record(field(3, notUtf8), field(6, field(1, 'a'), field(2, field(5, field(1, field(1, notUtf8))))));
  assert.deepEqual(show(read(readOtlpProto, bytes))[0][3], { severity_text: 'a\ufffd\ufffd(', a: '["a\ufffd\ufffd("]' });
});

test('OTLP in protobuf: a label that is not UTF-8 costs its resource, but no other', () => {
  const bad = field(
    1,
    field(1, field(1, field(1, 'service.name'), field(2, field(1, notUtf8)))),
    field(2, field(2, field(5, field(1, 'x')))),
  );
  const other = field(1, field(1, field(1, field(1, 'host'), field(2, field(1, notUtf8)))), field(2, field(2)));
  const replacement = protoRequest([resource({ 'service.name': '\ufffd' }, { time: TIME })]);
  const none = protoRequest([resource({}, { time: TIME })]);
  assert.deepEqual(
    read(readOtlpProto, Buffer.concat([none, bad, other, replacement])).map(({ labels }) => labels),
    ['{}', 'refused: invalid labels: value of resource attribute "service.name" is not valid UTF-8', '{}', '{service_name="\ufffd"}'],
  );
});

const badProtobuf: [what: string, bytes: Buffer, text: RegExp][] = [
  ['a request cut short', protoRequest([resource({ a: 'b' }, { body: 'x' })]).subarray(0, -1), /unexpected end of message/],
  ['a record cut short', record(fixed64(1, 5n).subarray(0, 5)), /unexpected end of message/],
  ['a length beyond its message', record(field(5, Buffer.from([0x0a, 0x7f]))), /unexpected end of message/],
  ['a varint without an end', record(integer(2, 0).subarray(0, 1), Buffer.alloc(11, 0xff)), /integer overflow/],
  ['resource logs that are a number', integer(1, 5), /wrong wire type 0 of field 1 at byte 1/],
  ['scope logs that are a number', field(1, integer(2, 5)), /wrong wire type 0 of field 2/],
  ['an attribute that is a number', field(1, field(1, integer(1, 5))), /wrong wire type 0 of field 1/],
  ['a scope that is a number', field(1, field(2, integer(1, 5))), /wrong wire type 0 of field 1/],
  ['a time that is a varint', record(integer(1, 5)), /wrong wire type 0 of field 1/],
  ['a body that is a varint', record(integer(5, 5)), /wrong wire type 0 of field 5/],
  ['a severity that is a text', record(field(2, 'x')), /wrong wire type 2 of field 2/],
  ['a key that is a number', record(field(6, integer(1, 5))), /wrong wire type 0 of field 1/],
  ['a string that is a number', record(field(5, integer(1, 5))), /wrong wire type 0 of field 1/],
  ['an array of numbers', record(field(5, field(5, integer(1, 5)))), /wrong wire type 0 of field 1/],
  ['keys that are numbers', record(field(5, field(6, integer(1, 5)))), /wrong wire type 0 of field 1/],
  ['a trace id that is too short', record(field(9, Buffer.alloc(8, 1))), /trace_id of 8 bytes instead of 16/],
  ['a span id that is too long', record(field(10, Buffer.alloc(16, 1))), /span_id of 16 bytes instead of 8/],
  ['a group', record(varint((13 << 3) | 3)), /illegal wire type 3/],
  ['field number 0', record(integer(0, 5)), /illegal tag/],
  ['a text', Buffer.from('{"resourceLogs":[]}'), /proto|otlp/],
];
for (const [what, bytes, text] of badProtobuf) {
  test(`OTLP in protobuf: ${what} is refused`, () => {
    assert.throws(() => read(readOtlpProto, bytes), refused(text));
  });
}

test('OTLP in protobuf: whatever is cut off, no other error comes of it', () => {
  const bytes = protoRequest([
    resource({ 'service.name': 'a', l: [1, { k: 'v' }] }, { time: TIME, body: { a: [1.5] }, attributes: [['x', 'y']] }),
  ]);
  for (let length = 1; length < bytes.length; length++) {
    assert.throws(() => read(readOtlpProto, bytes.subarray(0, length)), refused(/unexpected end of message/), `${length} bytes`);
  }
});

// JSON alone

const json = (text: string): Shown[] => show(read(readOtlpJson, Buffer.from(text)));
const jsonRecord = (text: string): Shown => show(read(readOtlpJson, jsonBody(text)))[0];

test('OTLP in JSON: names in snake case, members in another order, unknown ones, the last of equal ones', () => {
  const text = `{"x":[{}],"resource_logs":[{"scope_logs":[{"log_records":[
    {"body":{"string_value":"first"},"time_unix_nano":1,"time_unix_nano":"1700000000123456789","trace_id":"0102030405060708090A0B0C0D0E0FFF","body":{"x":1,"stringValue":"s\\u0065cond"}}],
    "scope":{"dropped_attributes_count":"2","name":"lib","x":1}}],"resource":{"x":1,"attributes":[{"value":{"string_value":"a"},"x":1,"key":"service.name"}]}}]} trailing`;
  assert.deepEqual(json(text), [
    [
      '{service_name="a"}',
      '1700000000.123456789',
      'second',
      { trace_id: '0102030405060708090a0b0c0d0e0fff', scope_name: 'lib', scope_dropped_attributes_count: '2' },
    ],
  ]);
});

test('OTLP in JSON: null is nothing', () => {
  assert.deepEqual(json('null'), []);
  assert.deepEqual(json('{"resourceLogs":null}'), []);
  assert.deepEqual(
    json('{"resourceLogs":[null,{"resource":null,"scopeLogs":null},{"scopeLogs":[null,{"scope":null,"logRecords":null}]}]}'),
    [],
  );
  const record = '{"timeUnixNano":"1","body":null,"attributes":null,"severityText":null,"flags":null,"traceId":null,"severityNumber":null}';
  assert.deepEqual(jsonRecord(record), ['{}', '0.000000001', '', {}]);
  const value = (text: string) => jsonRecord(`{"attributes":[{"key":"a","value":${text}}]}`)[3];
  assert.deepEqual(
    [value('null'), value('{"stringValue":null}'), value('{"arrayValue":null}'), value('{"kvlistValue":{"values":null}}')],
    [{ a: '' }, { a: '' }, { a: '[]' }, {}],
  );
});

test('OTLP in JSON: resource logs that stand twice grow', () => {
  const part = (body: string) => `"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"${body}"}}]}]}]`;
  assert.deepEqual(
    json(`{${part('a')},${part('b')}}`).map(([, , line]) => line),
    ['a', 'b'],
  );
});

test('OTLP in JSON: half of a surrogate pair becomes U+FFFD', () => {
  const halves = String.raw`"\ud83e\udd8a \ud83e\ud83e\udd8a \udd8a\ud83e\u0041\ud83e"`;
  const [, , line, pairs] = jsonRecord(`{"body":{"stringValue":${halves}},"severityText":${halves}}`);
  assert.deepEqual([line, pairs.severity_text], ['🦊 \ufffd🦊 \ufffd\ufffdA\ufffd', line]);
});

const numbers: [text: string, pairs: Record<string, string>][] = [
  ['"severityNumber":"SEVERITY_NUMBER_UNSPECIFIED"', {}],
  ['"severityNumber":"SEVERITY_NUMBER_TRACE"', { severity_number: '1' }],
  ['"severityNumber":"SEVERITY_NUMBER_INFO3"', { severity_number: '11' }],
  ['"severityNumber":"SEVERITY_NUMBER_FATAL4"', { severity_number: '24' }],
  ['"flags":"4294967295"', { flags: '4294967295' }],
  ['"attributes":[{"key":"a","value":{"doubleValue":"1e3"}}]', { a: '1000' }],
  ['"attributes":[{"key":"a","value":{"doubleValue":-0.0}}]', { a: '-0' }],
  ['"attributes":[{"key":"a","value":{"intValue":12}}]', { a: '12' }],
  ['"attributes":[{"key":"a","value":{"bytesValue":""}}]', { a: '' }],
];
for (const [text, pairs] of numbers) {
  test(`OTLP in JSON: ${text}`, () => {
    assert.deepEqual(jsonRecord(`{${text}}`)[3], pairs);
  });
}

test('OTLP in JSON: a body keeps bytes that are not UTF-8, a label may not have them', () => {
  const [head, middle, end] = [
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"',
    '"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"',
    '"}}]}]}]}',
  ];
  const parts = (label: Buffer) => Buffer.concat([Buffer.from(head), label, Buffer.from(middle), notUtf8, Buffer.from(end)]);
  assert.deepEqual(read(readOtlpJson, parts(Buffer.from('a')))[0].entries[0].line, notUtf8);
  assert.match(read(readOtlpJson, parts(notUtf8))[0].labels, /^refused: invalid labels/);
});

const badJson: [what: string, text: string, message: RegExp][] = [
  ['no body', '', /empty body/],
  ['no object', '[]', /the request is not an object/],
  ['resource logs that are no array', '{"resourceLogs":{}}', /resourceLogs is not an array/],
  ['cut short', '{"resourceLogs":[{"scopeLogs":[', /malformed JSON/],
  ['records that stand twice', '{"resourceLogs":[{"scopeLogs":[{"logRecords":[],"logRecords":[]}]}]}', /logRecords stands twice/],
  ['scopes that stand twice', '{"resourceLogs":[{"scopeLogs":[],"scope_logs":[]}]}', /scope_logs stands twice/],
  ['a time below zero', '{"timeUnixNano":-1}', /timeUnixNano is not a whole number from 0 to 18446744073709551615/],
  ['a time beyond 64 bits', '{"timeUnixNano":"18446744073709551616"}', /timeUnixNano is not a whole number/],
  ['a time with a fraction', '{"timeUnixNano":1.5}', /timeUnixNano is not a whole number/],
  ['a time that is true', '{"timeUnixNano":true}', /timeUnixNano is not a number/],
  ['a severity that is none', '{"severityNumber":"WARN"}', /severityNumber is not one/],
  ['a text that is a number', '{"severityText":5}', /severityText is not a string/],
  ['a body that is a string', '{"body":"x"}', /a value is not an object/],
  ['a body that is a number as a string', '{"body":{"stringValue":5}}', /stringValue is not a string/],
  ['an integer beyond 64 bits', '{"body":{"intValue":"9223372036854775808"}}', /intValue is not a whole number/],
  ['an integer that is a text', '{"body":{"intValue":"x"}}', /intValue is not a whole number/],
  ['an integer of a million digits', `{"body":{"intValue":"${'9'.repeat(1_000_000)}"}}`, /intValue is not a whole number/],
  ['a double that is a text', '{"body":{"doubleValue":"x"}}', /doubleValue is not a number/],
  ['a flag that is a text', '{"body":{"boolValue":"true"}}', /boolValue is neither true nor false/],
  ['bytes that are not base64', '{"body":{"bytesValue":"a"}}', /bytesValue is not base64/],
  ['attributes that are an object', '{"attributes":{}}', /attributes is not an array/],
  ['an attribute that is a string', '{"attributes":["x"]}', /an attribute is not an object/],
  ['a trace id that is too short', '{"traceId":"01"}', /traceId is not 32 hexadecimal digits/],
  ['a span id of other characters', '{"spanId":"010203040506070g"}', /spanId is not 16 hexadecimal digits/],
];
for (const [what, text, message] of badJson) {
  test(`OTLP in JSON: ${what} is refused`, () => {
    const run = text.startsWith('{"') && !text.startsWith('{"resourceLogs') ? jsonRecord : json;
    assert.throws(() => run(text), refused(message));
  });
}
