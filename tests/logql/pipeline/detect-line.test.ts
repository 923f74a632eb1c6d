import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineReader } from '../../../logql/pipeline/detect-line.ts';

type Fields = Record<string, string>;
const cases: [what: string, line: string, parser: 'json' | 'logfmt', fields: Fields, paths?: Record<string, string[]>][] = [
  ['a JSON object', '{"a":"x","n":5}', 'json', { a: 'x', n: '5' }, { a: ['a'], n: ['n'] }],
  [
    'nested objects',
    '{"u":{"id":1,"x.y":{"z":true}},"l":[1],"v":null}',
    'json',
    { u_id: '1', u_x_y_z: 'true' },
    { u_id: ['u', 'id'], u_x_y_z: ['u', 'x.y', 'z'] },
  ],
  ['odd keys', '{"3xx":1,"ü":2,"a\\tb":3}', 'json', { _3xx: '1', _: '2', a_b: '3' }, { _3xx: ['3xx'], _: ['ü'], a_b: ['a\tb'] }],
  ['the first of equal names', '{"a b":1,"a.b":2}', 'json', { a_b: '1' }, { a_b: ['a b'] }],
  ['a name of the stream', '{"app":1,"b":2}', 'json', { app_extracted: '1', b: '2' }, { app_extracted: ['app'], b: ['b'] }],
  ['an empty object', '{}', 'json', {}, {}],
  ['logfmt', 'level=info msg="a b" app=x empty= flag', 'logfmt', { level: 'info', msg: 'a b', app_extracted: 'x' }],
  ['words', 'nothing to see', 'logfmt', {}],
  ['JSON that is cut off: nothing of it counts', '{"a":"x","b=c', 'logfmt', {}],
  ['JSON that is no object', '[{"a":1}]', 'logfmt', {}],
  ['nothing', '', 'logfmt', {}],
];
for (const [what, line, parser, fields, paths = {}] of cases) {
  test(`fields of ${what}`, () => {
    const read = new LineReader().read(Buffer.from(line), [['app', 'web']]);
    assert.equal(read.parser, parser);
    assert.deepEqual(Object.fromEntries(read.fields), fields);
    assert.deepEqual(Object.fromEntries(read.paths), paths);
  });
}

test('what was read stays when the next line is', () => {
  const reader = new LineReader();
  const first = reader.read(Buffer.from('{"a":{"b":1}}'), []);
  const second = reader.read(Buffer.from('{"a_b":2}'), []);
  assert.deepEqual([...first.paths], [['a_b', ['a', 'b']]]);
  assert.deepEqual([...second.paths], [['a_b', ['a_b']]]);
  assert.deepEqual([first.fields, second.fields], [[['a_b', '1']], [['a_b', '2']]]);
});
