import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { readPushJson } from '../../../storage/batch/from-json.ts';
import { SeenPush, type SeenStream } from '../../support/seen-push.ts';

function read(text: string | Buffer): SeenStream[] {
  const seen = new SeenPush();
  assert.ok(readPushJson(Buffer.from(text as string), seen) >= seen.streams.length);
  return seen.streams;
}

test('JSON push: streams that name and hold nothing are counted, and nobody is told', () => {
  const seen = new SeenPush();
  assert.equal(readPushJson(Buffer.from('{"streams":[{},{"stream":{}},{"values":null},{"stream":{"a":"b"}},{"values":[]}]}'), seen), 5);
  assert.deepEqual(
    seen.streams.map(({ labels }) => labels),
    ['{"a":"b"}', ''],
  );
});

const withValues = (values: string): string => `{"streams":[{"stream":{"a":"b"},"values":${values}}]}`;
const withEntries = (entries: string, labels = '"{a=\\"b\\"}"'): string => `{"streams":[{"labels":${labels},"entries":${entries}}]}`;
const at = (ts: string, rest = ''): string => `{"ts":"${ts}","line":"x"${rest}}`;
const TS = '2026-01-15T10:00:00Z';
const lines = (text: string | Buffer): string[] => read(text).flatMap(({ entries }) => entries.map(({ line }) => line.toString()));

test('JSON push: streams, entries, metadata', () => {
  const [stream] = read(withValues('[["1700000000123456789","one",{"k":"v","e":"\\u00e9"}],["7",""]]'));
  assert.equal(stream.labels, '{"a":"b"}');
  assert.deepEqual(stream.entries, [
    { seconds: 1_700_000_000, nanos: 123_456_789, line: Buffer.from('one'), pairs: ['k', 'v', 'e', 'é'] },
    { seconds: 0, nanos: 7, line: Buffer.from(''), pairs: [] },
  ]);
});

test('JSON push: the legacy shape', () => {
  const entries =
    '[{"ts":"2026-01-15T10:00:00.123456789Z","line":"a\\tb","structuredMetadata":{"k":"v","e":"\\u00e9"}},{"line":"y","ts":"1970-01-01T00:00:07Z"}]';
  const [stream] = read(withEntries(entries));
  assert.equal(stream.labels, '{a="b"}');
  assert.deepEqual(stream.entries, [
    { seconds: 1_768_471_200, nanos: 123_456_789, line: Buffer.from('a\tb'), pairs: ['k', 'v', 'e', 'é'] },
    { seconds: 7, nanos: 0, line: Buffer.from('y'), pairs: [] },
  ]);
});

test('JSON push: both shapes in one body, each stream by its own members', () => {
  const value = '[["1","x"]]';
  const entries = `[${at(TS)}]`;
  const streams = [
    `{"stream":{"a":"1"},"values":${value}}`,
    `{"entries":${entries},"labels":"{a=\\"2\\"}"}`,
    `{"stream":{"a":"3"},"values":${value},"labels":5,"entries":"more"}`,
    `{"stream":"stdout","values":null,"labels":"{a=\\u00224\\u0022}","entries":${entries}}`,
    `{"stream":{"a":"5"},"entries":${entries}}`,
    `{"stream":{"a":"no"},"labels":"{a=\\"6\\"}","entries":${entries}}`,
    `{"entries":${entries}}`,
  ];
  assert.deepEqual(
    read(`{"streams":[${streams}]}`).map((stream) => [stream.labels, stream.entries.map(({ seconds }) => seconds)]),
    [
      ['{"a":"1"}', [0]],
      ['{a="2"}', [1_768_471_200]],
      ['{"a":"3"}', [0]],
      ['{a="4"}', [1_768_471_200]],
      ['{"a":"5"}', [1_768_471_200]],
      ['{a="6"}', [1_768_471_200]],
      ['', [1_768_471_200]],
    ],
  );
});

const times: [ts: string, iso: string, nanos: number][] = [
  ['2026-01-15T10:00:00.5Z', '2026-01-15T10:00:00.000Z', 500_000_000],
  ['2026-01-15T10:00:00.000000001Z', '2026-01-15T10:00:00.000Z', 1],
  ['2026-01-15T10:00:00.12+05:30', '2026-01-15T04:30:00.000Z', 120_000_000],
  ['2026-01-15T10:00:00\\u002b01:00', '2026-01-15T09:00:00.000Z', 0],
  ['2025-12-31T23:59:59.999999999-23:59', '2026-01-01T23:58:59.000Z', 999_999_999],
  ['2024-02-29T00:00:00-00:00', '2024-02-29T00:00:00.000Z', 0],
  ['1969-12-31T23:59:59.9Z', '1969-12-31T23:59:59.000Z', 900_000_000],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z', 0],
  ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.000Z', 0],
];
for (const [ts, iso, nanos] of times) {
  test(`JSON push: ts ${ts}`, () => {
    const [entry] = read(withEntries(`[${at(ts)}]`))[0].entries;
    assert.deepEqual([entry.seconds, entry.nanos], [Date.parse(iso) / 1_000, nanos]);
  });
}

const kept: [what: string, text: string, kept: string[]][] = [
  ['white space everywhere', ' { "streams" :\n[ { "values" : [ [ "1" , "x" ] , ["2","y"] ] , "stream" : { } } ] } ', ['x', 'y']],
  ['values before labels', '{"streams":[{"values":[["1","x"]],"stream":{"a":"b"}}]}', ['x']],
  ['streams in any case', '{"StReams":[{"stream":{},"values":[["1","x"]]}]}', ['x']],
  ['an escaped name', '{"stream\\u0073":[{"stream":{},"values":[["1","x"]]}]}', ['x']],
  ['text after the object', `${withValues('[["1","x"]]')} and more }`, ['x']],
  [
    'unknown members',
    '{"z":{"y":[1,-2.5e+3,null,true,false,"\\"]"]},"streams":[{"more":[[]],"stream":{},"values":[["1","x"]],"last":{}}],"q":"s"}',
    ['x'],
  ],
  ['brackets 500 deep', `{"a":${'['.repeat(500)}${']'.repeat(500)},"streams":[{"stream":{},"values":[["1","x"]]}]}`, ['x']],
  ['the last of equal names', '{"streams":[{"stream":{},"values":[["1","a"]],"values":[["1","b"]]}]}', ['b']],
  ['the last streams', '{"streams":[{"stream":{},"values":[["1","a"]]}],"streams":[{"stream":{},"values":[["1","b"]]}]}', ['b']],
  ['an entry without a line', withValues('[["1"]]'), ['']],
  ['further fields of an entry', withValues('[["1","x",{},5,["y"]]]'), ['x']],
  ['null as an entry', withValues('[null,["1","x"]]'), ['x']],
  ['null as values', withValues('null'), []],
  ['no values', withValues('[]'), []],
  ['null as streams', '{"streams":null}', []],
  ['null', 'null', []],
  ['escapes', withValues('[["1","\\"\\\\\\/\\b\\f\\n\\r\\t \\u0000 \\ud83d\\ude00 \\u20AC"]]'), ['"\\/\b\f\n\r\t \0 😀 €']],
  ['legacy: unknown members', withEntries(`[${at(TS, ',"timestamp":5,"more":[{"ts":1}]')}]`), ['x']],
  ['legacy: no line', withEntries(`[{"ts":"${TS}"}]`), ['']],
  ['legacy: null for what is absent', withEntries(`[{"ts":"${TS}","line":null,"structuredMetadata":null}]`, 'null'), ['']],
  ['legacy: the last of equal names', withEntries(`[{"ts":"${TS}","line":"a\\n","line":"b"}]`), ['b']],
  ['legacy: a line is not kept for the next entry', withEntries(`[${at(TS)},{"ts":"${TS}"}]`), ['x', '']],
  ['legacy: no entries', withEntries('[]'), []],
  ['legacy: null as entries', withEntries('null'), []],
  ['an escaped line and then metadata', withValues('[["1","a\\tb",{"k\\n":"v\\n"}]]'), ['a\tb']],
];
for (const [what, text, expected] of kept) test(`JSON push: takes ${what}`, () => assert.deepEqual(lines(text), expected));

test('JSON push: a line keeps bytes that are not UTF-8', () => {
  const [before, after] = withValues('[["1","|"]]').split('|');
  const line = Buffer.from([0x61, 0xff, 0xc3, 0x28]);
  const [stream] = read(Buffer.concat([Buffer.from(before), line, Buffer.from(after)]));
  assert.deepEqual(stream.entries[0].line, line);
});

const bad: [what: string, text: string][] = [
  ['an empty body', ''],
  ['an array', '[]'],
  ['a string', '"x"'],
  ['single quotes', "{'streams':[]}"],
  ['an object as streams', '{"streams":{}}'],
  ['a number as a stream', '{"streams":[5]}'],
  ['null as a stream', '{"streams":[null]}'],
  ['a string as labels', '{"streams":[{"stream":"{a=1}","values":[]}]}'],
  ['null as labels', '{"streams":[{"stream":null,"values":[]}]}'],
  ['a string as values', withValues('"x"')],
  ['an object as an entry', withValues('[{}]')],
  ['an empty entry', withValues('[[]]')],
  ['a number as time', withValues('[[1,"x"]]')],
  ['a word as time', withValues('[["soon","x"]]')],
  ['an empty time', withValues('[["","x"]]')],
  ['a time beyond int64', withValues('[["9223372036854775808","x"]]')],
  ['a time with a million digits', withValues(`[["${'9'.repeat(1_000_000)}","x"]]`)],
  ['null as a line', withValues('[["1",null]]')],
  ['a number as a line', withValues('[["1",5]]')],
  ['null as metadata', withValues('[["1","x",null]]')],
  ['a string as metadata', withValues('[["1","x","y"]]')],
  ['a number as a metadata value', withValues('[["1","x",{"n":5}]]')],
  ['legacy: an object as labels', withEntries('[]', '{"a":"b"}')],
  ['legacy: a string as stream and no labels', `{"streams":[{"stream":"{a=1}","entries":[]}]}`],
  ['legacy: an object as entries', withEntries('{}')],
  ['legacy: half a surrogate pair in labels', withEntries('[]', '"{a=\\ud83d}"')],
  ['legacy: an array as an entry', withEntries('[["1","x"]]')],
  ['legacy: null as an entry', withEntries('[null]')],
  ['legacy: no ts', withEntries('[{"line":"x"}]')],
  ['legacy: no ts after an entry with one', withEntries(`[${at(TS)},{"line":"x"}]`)],
  ['legacy: timestamp for ts', withEntries(`[{"timestamp":"${TS}","line":"x"}]`)],
  ['legacy: null as ts', withEntries('[{"ts":null,"line":"x"}]')],
  ['legacy: a number as ts', withEntries('[{"ts":1,"line":"x"}]')],
  ['legacy: a number as a line', withEntries(`[{"ts":"${TS}","line":1}]`)],
  ['legacy: a list as metadata', withEntries(`[${at(TS, ',"structuredMetadata":[]')}]`)],
  ['legacy: a number as a metadata value', withEntries(`[${at(TS, ',"structuredMetadata":{"n":5}')}]`)],
  ...[
    '',
    '1700000000000000000',
    '2026-01-15',
    '2026-01-15 10:00:00Z',
    '2026-01-15T10:00:00',
    '2026-01-15T10:00Z',
    '2026-01-15T10:00:00.Z',
    '2026-01-15T10:00:00.1234567891Z',
    '2026-01-15T10:00:00,5Z',
    '2026-01-15T10:00:00+0100',
    '2026-01-15T10:00:00+24:00',
    '2026-01-15T10:00:00+01:60',
    '2026-01-15T24:00:00Z',
    '2026-01-15T10:60:00Z',
    '2026-01-15T10:00:60Z',
    '2026-02-29T10:00:00Z',
    '2026-13-01T10:00:00Z',
    '2026-00-01T10:00:00Z',
    '2026-01-00T10:00:00Z',
    '2026-01-15T10:00:00Z ',
    '2026-01-15T10:00:00Z\\n',
  ].map((ts): [string, string] => [`legacy: ts ${JSON.stringify(ts)}`, withEntries(`[${at(ts)}]`)]),
  ['half a surrogate pair', withValues('[["1","\\ud83d!"]]')],
  ['an unknown escape', withValues('[["1","\\x41"]]')],
  ['a short escape', withValues('[["1","\\u12"]]')],
  ['a control character', withValues('[["1","a\nb"]]')],
  ['a missing comma', withValues('[["1" "x"]]')],
  ['a comma too many', withValues('[["1","x"],]')],
  ['a number that is none', '{"a":01,"streams":[]}'],
  ['a word that is none', '{"a":nul,"streams":[]}'],
  ['an end too early', withValues('[["1","x"]]').slice(0, -3)],
  ['a string without an end', '{"streams":[{"stream":{"a":"b'],
  ['a bracket of the wrong kind', '{"a":[}],"streams":[]}'],
  ['brackets 600 deep', `{"a":${'['.repeat(600)}${']'.repeat(600)},"streams":[]}`],
  ['brackets 100,000 deep', `{"a":${'['.repeat(100_000)}`],
];
for (const [what, text] of bad) {
  test(`JSON push: refuses ${what}`, () =>
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof Fault && error.status === 400 && error.message.length < 200,
    ));
}

test('JSON push: the end of int64 is a time', () => {
  const [{ seconds, nanos }] = read(withValues('[["9223372036854775807","x"]]'))[0].entries;
  assert.deepEqual([seconds, nanos], [9_223_372_036, 854_775_807]);
});

test('JSON push: nothing is told of a body that is no JSON', () => {
  const seen = new SeenPush();
  for (const text of [withValues('[["1","x"]]'), withEntries(`[${at(TS)}]`)])
    assert.throws(() => readPushJson(Buffer.from(text.slice(0, -1)), seen));
  assert.deepEqual(seen.streams, []);
});
