import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLabels, type Label } from '../../../logql/model.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { parseCanonicalLabels, parseLabelText, readLabels } from '../../../storage/batch/labels-text.ts';

const cases: [text: string, pairs: Label[]][] = [
  ['', []],
  ['{}', []],
  [' { } ', []],
  ['{a="b"}', [['a', 'b']]],
  [
    '{a="b",c="d"}',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  [
    '{ a = "b" ,\n c = \'d\' , }',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  ['{a="b"} # said', [['a', 'b']]],
  ['{a=`r\\n"`}', [['a', 'r\\n"']]],
  [
    'up{a="b"}',
    [
      ['__name__', 'up'],
      ['a', 'b'],
    ],
  ],
  ['{"a.b"="c"}', [['a.b', 'c']]],
  [
    '{"up", a="b"}',
    [
      ['__name__', 'up'],
      ['a', 'b'],
    ],
  ],
  ['{"up"}', [['__name__', 'up']]],
  ['{a="b" # said\r}', [['a', 'b']]],
  [
    '{b="1",a="2",b="3"}',
    [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ],
  ],
  ['{_A9="\\n\\t\\"\\\\ \\x41\\101\\u00e9\\U0001F600 é"}', [['_A9', '\n\t"\\ AAé😀 é']]],
  ['{a="\\xc3\\xa9"}', [['a', 'é']]],
];
for (const [text, pairs] of cases) test(`label text: ${JSON.stringify(text)}`, () => assert.deepEqual(parseLabelText(text), pairs));

const bad: [text: string, message: string][] = [
  ['{px-dash="v"}', "1:4: parse error: unexpected character inside braces: '-'"],
  ['{1px="v"}', "1:2: parse error: unexpected character inside braces: '1'"],
  ['{px ü="v"}', "1:5: parse error: unexpected character inside braces: 'ü'"],
  ['{é="v"}', "1:2: parse error: unexpected character inside braces: 'é'"],
  ['{a="b"\n-}', "2:1: parse error: unexpected character inside braces: '-'"],
  ['{a="b"', '1:7: parse error: unexpected end of input inside braces'],
  ['{a="b" cd="e"}', '1:8: parse error: unexpected identifier "cd" in label set, expected "," or "}"'],
  ['{a="b" "c"}', String.raw`1:8: parse error: unexpected string "\"c\"" in label set, expected "," or "}"`],
  ['{a="b"="c"}', '1:7: parse error: unexpected "=" in label set, expected "," or "}"'],
  ['{a=bc1 }', '1:4: parse error: unexpected identifier "bc1" in label set, expected string'],
  ['{a b="c"}', '1:4: parse error: unexpected identifier "b" in label set, expected "="'],
  ['{a!="b"}', '1:3: parse error: unexpected <op:!=> in label set, expected "="'],
  ['{a=~"b"}', '1:3: parse error: unexpected <op:=~> in label set, expected "="'],
  ['{a!~"b"}', '1:3: parse error: unexpected <op:!~> in label set, expected "="'],
  ['{a!b}', "1:3: parse error: unexpected character after '!' inside braces: 'b'"],
  ['{a!', "1:3: parse error: unexpected character after '!' inside braces: '\ufffd'"],
  ['{"a" "b"}', String.raw`1:6: parse error: unexpected string "\"b\"" in label set, expected "," or "}"`],
  ['{"a"b}', '1:5: parse error: unexpected identifier "b" in label set, expected "," or "}"'],
  ['{a="b" "c}', '1:8: parse error: unterminated quoted string'],
  ['{a=}', '1:4: parse error: unexpected "}" in label set, expected string'],
  ['{""="b"}', '1:4: parse error: invalid label name ""'],
  ['{="b"}', '1:2: parse error: unexpected "=" in label set, expected identifier or "}"'],
  ['{a="b}', '1:4: parse error: unterminated quoted string'],
  ['{a=`b}', '1:4: parse error: unterminated raw string'],
  ['{a="\\q"}', "1:4: parse error: unknown escape sequence U+0071 'q'"],
  ['{a="x\\8"}', "1:4: parse error: unknown escape sequence U+0038 '8'"],
  ['{a="\\ud83e"}', '1:4: parse error: escape sequence is an invalid Unicode code point'],
  ['{a="\\U00110000"}', '1:4: parse error: escape sequence is an invalid Unicode code point'],
  ['{a="\\400"}', '1:4: parse error: escape sequence is an invalid Unicode code point'],
  ['{a="\\x4"}', `1:4: parse error: illegal character U+0022 '"' in escape sequence`],
  ['{a="b\\', '1:4: parse error: escape sequence not terminated'],
  ['{a="b"}}', "1:8: parse error: unexpected character: '}'"],
  ['{a="b"}xyz ', '1:8: parse error: unexpected identifier "xyz"'],
  ['{a="b"}\n\nx:y', '3:1: parse error: unexpected metric identifier "x:y"'],
  ['{a="b"}1.5', '1:8: parse error: unexpected number "1.5"'],
  ['{a="b"}"x"', String.raw`1:8: parse error: unexpected string "\"x\""`],
  ['{a="b"}{', '1:8: parse error: unexpected "{"'],
  ['{a="b"},', '1:8: parse error: unexpected ","'],
  ['{a="b"}!=', '1:8: parse error: unexpected <op:!=>'],
  ['{a="b"};', "1:8: parse error: unexpected character: ';'"],
  ['a="b"}', '1:2: parse error: unexpected "="'],
  ['a b', '1:3: parse error: unexpected identifier "b"'],
  ['"', '1:1: parse error: unterminated quoted string'],
  ['{{', "1:2: parse error: unexpected left brace '{'"],
  ['-', '1:1: parse error: unexpected <op:->'],
];
for (const [text, message] of bad) {
  test(`label text: ${JSON.stringify(text)} is refused`, () =>
    assert.throws(
      () => parseLabelText(text),
      (error: unknown) => error instanceof Fault && error.status === 400 && error.message === `couldn't parse labels: ${message}`,
    ));
}

function ofJson(text: string): readonly Label[] {
  const bytes = Buffer.from(`x${text}y`);
  return readLabels('json', bytes, 1, bytes.length - 1);
}

test('JSON labels: the last of equal names counts, and a value that is no string is its text', () => {
  assert.deepEqual(ofJson('{"b":"x","a":5,"n":null,"o":{"k": [1]},"b":"y\\n"}'), [
    ['b', 'y\n'],
    ['a', '5'],
    ['n', 'null'],
    ['o', '{"k": [1]}'],
  ]);
});

test('JSON labels: the place of a bad name is one in the label text', () => {
  assert.throws(() => ofJson('{"zz":"v","a-b":"v"}'), {
    message: "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'",
  });
});

for (const form of ['text', 'json'] as const) {
  test(`more labels than anybody means are refused, as ${form}`, () => {
    const labels = (count: number): Buffer => {
      const pairs = Array.from({ length: count }, (_, n) => (form === 'text' ? `l${n}=""` : `"l${n}":""`));
      return Buffer.from(`{${pairs.join()}}`);
    };
    const read = (bytes: Buffer): readonly Label[] => readLabels(form, bytes, 0, bytes.length);
    assert.equal(read(labels(4_096)).length, 4_096);
    assert.throws(() => read(labels(4_097)), { code: 'too_large', message: 'request body too large: a stream with more than 4096 labels' });
  });
}

test('label text that is not UTF-8 is refused', () => {
  const bytes = Buffer.from([0x7b, 0x61, 0x3d, 0x22, 0xff, 0x22, 0x7d]);
  assert.throws(() => readLabels('text', bytes, 0, bytes.length), { message: "couldn't parse labels: invalid UTF-8 rune" });
});

test('canonical text reads back as the labels it was made from', () => {
  const labels: Label[] = [
    ['1" \\ b', 'name'],
    ['a', 'quote " back \\ tab \t bell \x07 nul \0 nbsp \u00a0 é 😀'],
    ['b', '{x="y"}'],
    ['b.c é', 'name'],
  ];
  assert.deepEqual(parseCanonicalLabels(formatLabels(labels)), labels);
});
