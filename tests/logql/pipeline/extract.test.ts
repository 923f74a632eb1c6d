import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { labelsOf, randomFrom, run } from './block-of.ts';

const failed = (error: string, details: string) => ({ __error__: error, ...(details === '' ? {} : { __error_details__: details }) });
const NO_OBJECT = failed('JSONParserErr', "Value looks like object, but can't find closing '}' symbol");

const cases: [stages: string, line: string, labels: Record<string, string>][] = [
  ['| json', '{"a":"x","b":{"c":1,"d.e":true},"n":null,"l":[1]}', { a: 'x', b_c: '1', b_d_e: 'true' }],
  ['| json', '{"a":"1","a":"2","a b":"3","a_b":"4","3x":"5","":"6"}', { a: '1', a_b: '3', _3x: '5' }],
  ['| json', '{"app":"x"}', { app_extracted: 'x' }],
  ['| json', '{"a":"t\\tq\\"u\\u00e9\\ud83e\\udd8a","b":"\\ud800","e":""}', { a: 't\tq"ué🦊', b: '', e: '' }],
  ['| json', ' { "a" : 1e21 , "b" : -0.5 } trailing', { a: '1e21', b: '-0.5' }],
  ['| json', '{"\\u0061":"x"}', { a: 'x' }],
  ['| json', '{"a":1\\u0041,"b":"1\\u0041"}', { a: '1\\u0041', b: '1A' }],
  ['| json', '{"a":1}{"b":2}', { a: '1' }],
  ['| json', '{}', {}],
  ['| json', '{"o":{}}', {}],
  ['| json', '[1]', NO_OBJECT],
  ['| json', '', NO_OBJECT],
  ['| json', '{', failed('JSONParserErr', 'Malformed JSON error')],
  ['| json', '{"a":"x","b":"y', { a: 'x', ...failed('JSONParserErr', `Value is string, but can't find closing '"' symbol`) }],
  ['| json', '{"a":broken}', failed('JSONParserErr', 'Unknown value type')],
  ['| json', '{"a":1,"o":{"b":2', { a: '1', ...NO_OBJECT }],
  ['| json', '{"a":1 "b":2}', { a: '1', ...NO_OBJECT }],
  ['| json | json', '{"a":1,"app":2}', { a: '1', app_extracted: '2' }],
  ['| json x="a.b[1]", y="c[\\"d e\\"]", z="q"', '{"a":{"b":[1,{"k":2}]},"c":{"d e":"v"}}', { x: '{"k":2}', y: 'v', z: '' }],
  ['| json a, n', '{"n":null,"a":[1,"\\"x"]}', { a: '[1,""x"]', n: '' }],
  ['| json app="a"', '{"a":1}', { app_extracted: '1' }],
  ['| json a', '{"b":broken,"a":1}', { a: '1' }],
  ['| json a', '{"a":broken}', { a: '', ...failed('JSONParserErr', 'Unknown value type') }],
  ['| json a', 'plain', failed('JSONParserErr', '')],
  ['| logfmt', 'a=1 b="two words" c= d e="q\\"q" a=2 f.g=3 9=9', { a: '1', b: 'two words', e: 'q"q', f_g: '3', _9: '9' }],
  ['| logfmt --keep-empty', 'c= d', { c: '', d: '' }],
  ['| logfmt', 'a=1 =x b"=2 c=d=e f="open', { a: '1' }],
  ['| logfmt --strict', 'a=1 =x b=2', { a: '1', ...failed('LogfmtParserErr', "logfmt syntax error at pos 5 : unexpected '='") }],
  ['| logfmt --strict', 'a="open', failed('LogfmtParserErr', 'logfmt syntax error at pos 8 : unterminated quoted value')],
  ['| logfmt x="a", y="b", z', 'a=1 a=2', { x: '2', y: '', z: '' }],
  ['| logfmt app="a"', 'a=1 a=2', { app_extracted: '1' }],
  ['| regexp "(?P<a>\\\\w)(?P<b>\\\\d)?"', 'é x', { a: 'x', b: '' }],
  ['| regexp "(?P<a>z)"', 'x', {}],
  ['| pattern "<a> - <_> <b>"', '1 - 2 3 4', { a: '1', b: '3 4' }],
  ['| pattern "<a>=<b>"', 'none', { a: 'none' }],
  ['| pattern "x<a>"', 'yx1', {}],
  ['| pattern "<app> <b>"', '1 2', { app_extracted: '1', b: '2' }],
  ['| unpack', '{"a":"1","n":2,"_entry":"x"}', { a: '1' }],
  ['| unpack', '{"a":"1"}', {}],
  ['| unpack', 'x', failed('JSONParserErr', 'expecting json object(6), but it is not')],
  ['| json x="a.b"', '{"c":{"a":{"b":1}},"a":{"b":2}}', { x: '2' }],
  ['| json x="a"', '{"b":[{"a":1}],"a":2', { x: '2' }],
  ['| logfmt x="a"', "a='single quoted' b=1", { x: "'single" }],
  ['| logfmt', 'a="open b=1', {}],
  ['| logfmt', 'a:1 b,c=2', { b_c: '2' }],
  ['| label_format b="x" | logfmt', 'a=1 b=2', { a: '1', b: 'x' }], // what a stage set, parsers leave alone
  ['| logfmt | label_format a="x" | json', '{"a":"y","b":"z"} a=1', { a: 'x', b: 'z' }],
  ['| logfmt | drop a | logfmt', 'a=1 b=2', { b: '2' }],
];
for (const [stages, line, labels] of cases) {
  test(`extract: ${stages} of ${line}`, () => assert.deepEqual(labelsOf(`{app="a"} ${stages}`, line), labels));
}

test('extract: what is not UTF-8 becomes a space', () => {
  const line = Buffer.concat([Buffer.from('{"a":"x'), Buffer.from([0xff]), Buffer.from('y"}')]);
  assert.deepEqual(labelsOf('{app="a"} | json', line), { a: 'x y' });
});

test('extract: unpack gives the line that was packed', () => {
  assert.equal(run('{app="a"} | unpack', ['{"_entry":"in\\nside","b":"c"}'])[0].line, 'in\nside');
});

test('extract: names that the metadata of the row has are taken', () => {
  const rows = run('{app="a"} | logfmt', ['pod=x', 'pod=y'], { metadata: [{ pod: 'm' }, {}] });
  assert.deepEqual(
    rows.map(({ labels }) => labels),
    [{ pod: 'm', pod_extracted: 'x' }, { pod: 'y' }],
  );
});

test('extract: what nobody looks at is not read, and then not wrong', () => {
  const error = (stages: string, observed: string[]) =>
    run(`{app="a"} ${stages}`, ['{"a":1,"b":'], { observed: new Set(observed) })[0].error;
  assert.equal(error('| json', []), '');
  assert.equal(error('| json', ['a']), '');
  assert.equal(error('| json', ['b']), 'JSONParserErr');
  assert.equal(error('| json | a = 1', []), '');
  assert.equal(error('| json | line_format "{{.c}}"', []), 'JSONParserErr');
});

test('extract: reading goes on until every wanted label is there, whatever else was found', () => {
  const labels = labelsOf('{app="a"} | json z="q" | json', '{"q":1,"a":2,"c":3}', { observed: new Set(['a', 'c']) });
  assert.deepEqual(labels, { a: '2', c: '3' });
});

test('extract: deep nesting neither overflows nor multiplies', () => {
  const depth = 20_000;
  const line = `${'{"k":'.repeat(depth)}1${'}'.repeat(depth)}`;
  assert.deepEqual(labelsOf('{app="a"} | json', line), {});
  assert.deepEqual(labelsOf('{app="a"} | json', `{"a":1,"l":${'['.repeat(depth)}${']'.repeat(depth)},"b":2}`), { a: '1', b: '2' });
});

test('extract: json finds what JSON.parse finds', () => {
  const random = randomFrom(3);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)];
  const scalar = () => pick<unknown>([1, -2.5, true, false, 'x', 'a"b', 'é☕', '\n', '', null, [1, 'y]'], 'br{ace']);
  const object = (depth: number): Record<string, unknown> =>
    Object.fromEntries(
      Array.from({ length: Math.floor(random() * 4) }, () => [
        pick(['a', 'b', 'cé', 'd-e', '"q']),
        depth > 0 && random() < 0.4 ? object(depth - 1) : scalar(),
      ]),
    );
  const flatten = (from: Record<string, unknown>, prefix: string, into: Record<string, string>): Record<string, string> => {
    for (const [key, value] of Object.entries(from)) {
      const name = prefix + key.replace(/[^a-z]/g, '_');
      if (typeof value === 'object') {
        if (value !== null && !Array.isArray(value)) flatten(value as Record<string, unknown>, `${name}_`, into);
      } else if (!Object.hasOwn(into, name)) into[name] = String(value);
    }
    return into;
  };
  for (let count = 0; count < 400; count++) {
    const value = object(3);
    assert.deepEqual(labelsOf('{app="a"} | json', JSON.stringify(value, null, pick([0, 1]))), flatten(value, '', {}));
  }
});

for (let seed = 1; seed <= 20; seed++) {
  test(`extract: what the lines before had does not matter to logfmt, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)];
    const keys = ['abc', 'level', 'x', 'trace.id', 'app', 'é', 'long_key_name', 'abcd', 'lev'];
    const values = [
      '1',
      '',
      '"two words"',
      '"q\\"q"',
      '"bad \\x"',
      'a=b',
      'q"q',
      '"open',
      'error',
      '"\\u00e9"',
      '""',
      '"a"b=2',
      '\xe9\xff',
      'é',
    ];
    const order = keys.filter(() => random() < 0.8);
    const line = (): Buffer => {
      const pairs = order.map((key) => {
        if (random() < 0.05) return Buffer.from(pick(['word', '=x', 'k"=2', pick(keys), '\t', `${pick(keys)}=again`]));
        const value = random() < 0.7 ? 'plain' : pick(values);
        return Buffer.concat([Buffer.from(`${key}=`), Buffer.from(value, value.includes('\xff') ? 'latin1' : 'utf8')]);
      });
      if (random() < 0.1) pairs.reverse();
      const whole = Buffer.concat(pairs.flatMap((pair) => [pair, Buffer.from(pick([' ', ' ', ' ', '  ', '\t']))]));
      return random() < 0.1 ? whole.subarray(0, Math.floor(random() * whole.length)) : whole;
    };
    const lines = Array.from({ length: 100 }, line);
    const stages = ['', ' --strict', ' --keep-empty', ' --strict --keep-empty', ' abc, y="long_key_name"', ' --strict level, app="x"'];
    for (const stage of stages) {
      for (const observed of ['all' as const, new Set(['level', 'app_extracted']), new Set(['x', 'abc', 'y', '__error__'])]) {
        const query = `{app="a"} | logfmt${stage}`;
        const alone = lines.flatMap((one) => run(query, [one], { observed }));
        const shown = ({ line, labels, error }: (typeof alone)[number]) => ({ line, labels, error });
        assert.deepEqual(run(query, lines, { observed }).map(shown), alone.map(shown), query);
      }
    }
  });
}

const refused: [stages: string, message: string][] = [
  ['| regexp "none"', 'parse error : invalid regexp parser: at least one named capture must be supplied'],
  ['| regexp "(?P<a>x)(?P<a>y)"', "parse error : invalid regexp parser: duplicate extracted label name 'a'"],
  ['| regexp "(?P<a"', 'parse error : invalid regexp parser: error parsing regexp: invalid named capture: `(?P<a`'],
  ['| pattern "<a><b>"', "parse error : invalid pattern parser: found consecutive capture '<a><b>': invalid expression"],
  ['| pattern "<a> <a>"', 'parse error : invalid pattern parser: duplicate capture name (a): invalid expression'],
  [
    '| json a="b..c"',
    `parse error : stage '| json a="b..c"' : cannot parse expression [b..c]: syntax error: unexpected DOT, expecting FIELD`,
  ],
  ['| logfmt a="b.c"', `parse error : stage '| logfmt a="b.c"' : cannot parse expression [b.c]: unexpected char .`],
];
for (const [stages, message] of refused) {
  test(`extract: ${stages} is refused`, () => {
    assert.throws(() => compilePipeline(parseLogQuery(`{app="a"} ${stages}`).stages, { observed: 'all' }), {
      code: 'parse_error',
      message,
    });
  });
}
