import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { kept, randomFrom } from './block-of.ts';

const cases: [what: string, query: string, lines: string[], kept: string[]][] = [
  ['keeps lines with the text', '|= "err"', ['err=1', 'ok', 'xerr'], ['err=1', 'xerr']],
  ['drops lines with the text', '!= "err"', ['err=1', 'ok', 'xerr'], ['ok']],
  ['finds no text across lines', '|= "ab"', ['xa', 'bx', 'ab'], ['ab']],
  ['goes on behind a hit across lines', '|= "aa"', ['ba', 'aa', 'a', 'a'], ['aa']],
  ['empty text keeps every line', '|= ""', ['x', ''], ['x', '']],
  ['drops every line that has the empty text', '!= ""', ['x', ''], []],
  ['takes any of several texts', '|= "a" or "b"', ['a', 'b', 'c', 'ab'], ['a', 'b', 'ab']],
  ['drops lines with any of several texts', '!= "a" or "b"', ['a', 'b', 'c', 'ab'], ['c']],
  ['chains', '|= "a" != "b" |~ "^x"', ['xa', 'xab', 'ax', 'xca'], ['xa', 'xca']],
  ['matches expressions line by line', '|~ "^b$"', ['ab', 'b', 'bb'], ['b']],
  ['drops what matches', '!~ "a.c" or "d"', ['abc', 'd', 'ac'], ['ac']],
  ['keeps dots within lines', '|~ "a.b"', ['a\nb', 'axb'], ['axb']],
  [
    'matches patterns to the end',
    '|> "from <_> to <_>"',
    ['from a to b', 'xfrom a to b', 'from a to ', 'from  b'],
    ['from a to b', 'xfrom a to b'],
  ],
  ['leaves out what keeps every line, beside others', '|= "" or "b"', ['ab', 'c'], ['ab']],
  ['leaves out an expression that keeps every line, beside others', '|~ "" or ".*" or "b"', ['ab', 'c'], ['ab']],
  ['takes any line that is not empty', '|~ ".+"', ['\n', '', 'a'], ['\n', 'a']],
  ['leaves out an empty alternative', '|~ "|b"', ['ab', 'c'], ['ab']],
  ['comes before decolorize', '| decolorize |= "ab"', ['a\x1b[31mb', 'ab'], ['ab']],
  ['sees what a parser made of nothing', '| logfmt |= "k=v"', ['k=v', 'k=w'], ['k=v']],
  ['wants something for each blank', '|> "<_>mid<_>"', ['amidb', 'midb', 'amid'], ['amidb']],
  ['drops what a pattern fits', '!> "<_> b"', ['a b', 'b', 'a b c'], ['b', 'a b c']],
  [
    'finds addresses in a range',
    '|= ip("10.0.0.0/8")',
    ['x 10.1.2.3:80', '11.0.0.1', '110.0.0.1', 'a10.9.9.9'],
    ['x 10.1.2.3:80', 'a10.9.9.9'],
  ],
  ['finds v6 addresses', '|= ip("2001:db8::/32")', ['at 2001:db8::1 x', '2001:db9::1', '::1'], ['at 2001:db8::1 x']],
  ['drops addresses', '!= ip("10.0.0.1-10.0.0.9")', ['10.0.0.5', '10.0.0.10', 'none'], ['10.0.0.10', 'none']],
  ['looks at lines as they are once unpacked', '| unpack |= "in" != "_entry"', ['{"_entry":"in"}', '{"_entry":"out"}'], ['in']],
  ['looks at lines as they are after a format', '| line_format "<{{.app}}>" |= "<a>"', ['x'], ['<a>']],
];
for (const [what, stages, lines, expected] of cases) {
  test(`line filter: ${what}`, () => assert.deepEqual(kept(`{app="a"} ${stages}`, lines), expected));
}

test('line filter: rows that an earlier filter dropped stay dropped', () => {
  const random = randomFrom(7);
  const lines = Array.from({ length: 300 }, () =>
    Array.from({ length: Math.floor(random() * 6) }, () => 'abc'[Math.floor(random() * 3)]).join(''),
  );
  for (const [first, second] of [
    ['ab', 'c'],
    ['c', 'ab'],
    ['aa', 'bb'],
    ['b', 'b'],
  ]) {
    const expected = lines.filter((line) => !line.includes(first) && line.includes(second));
    assert.deepEqual(kept(`{app="a"} != "${first}" |= "${second}"`, lines), expected);
  }
});

test('line filter: what every line contains is known, behind parsers too', () => {
  const pipeline = (stages: string) => compilePipeline(parseLogQuery(`{app="a"} ${stages}`).stages, { observed: 'all' });
  assert.deepEqual(pipeline('|= "abc" |~ "x(yz)+" != "no" |= "d" or "e" | json |= "last" | line_format "x" |= "new"').required, [
    'abc',
    'x',
    'yz',
    'last',
  ]);
  assert.equal(pipeline('|= "abc" !~ "x"').columnsOnly, true);
  assert.equal(pipeline('|= "abc" | json').columnsOnly, false);
  assert.equal(pipeline('').empty, true);
});

const refused: [stages: string, message: string][] = [
  ['|= ip("10.0.0.0/99")', `parse error : stage '|= ip("10.0.0.0/99")' : ip: invalid pattern: "10.0.0.0/99"`],
  ['|> "a<_><_>b"', `parse error : stage '|> "a<_><_>b"' : found consecutive capture '<_><_>': invalid expression`],
];
for (const [stages, message] of refused) {
  test(`line filter: ${stages} is refused`, () => {
    assert.throws(() => compilePipeline(parseLogQuery(`{app="a"} ${stages}`).stages, { observed: 'all' }), {
      code: 'parse_error',
      message,
    });
  });
}
