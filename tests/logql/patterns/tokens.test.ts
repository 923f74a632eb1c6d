import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenizerFor, VARIABLE } from '../../../logql/patterns/tokens.ts';

const FIELDS = ['log', 'message', 'msg'];

const cases: [what: string, line: string, tokens: string[]][] = [
  ['words', 'cache miss for key', ['cache', 'miss', 'for', 'key']],
  ['names, times and paths stay whole', '12:30:01 GET /a/b-c_d.txt', ['12:30:01', 'GET', '/a/b-c_d.txt']],
  ['marks stand alone', 'took (3ms), "ok"', ['took', '(', '3ms', ')', ',', '"', 'ok', '"']],
  ['an equals sign too', 'a=1 b', ['a', '=', '1', 'b']],
  ['symbols are part of a token', 'a+b <c> $d', ['a+b', '<c>', '$d']],
  ['other alphabets', 'größe überschritten：東京', ['größe', 'überschritten', '：', '東京']],
  ['logfmt: keys and values', 'level=info msg="all is well" n=3', ['level', 'info', 'msg', 'all is well', 'n', '3']],
  [
    'logfmt: times and traces are variable',
    'ts=1 traceID=ab t=2 time=3 x=4',
    ['ts', VARIABLE, 'traceID', VARIABLE, 't', VARIABLE, 'time', VARIABLE, 'x', '4'],
  ],
  ['JSON: its message', '{"level":"info","msg":"user 7 in","log":5}', ['user', '7', 'in']],
];
for (const [what, line, tokens] of cases) {
  test(`tokens: ${what}`, () => assert.deepEqual(tokenizerFor(line, FIELDS)(line)?.tokens, tokens));
}

const written: [what: string, line: string, change: Record<number, string>, text: string][] = [
  ['spaces as they were', 'cache  miss for key 7 ', { 4: VARIABLE }, 'cache  miss for key <_> '],
  ['spaces in front', '  at a b c', { 1: VARIABLE }, '  at <_> b c'],
  ['variables side by side are one', 'took (3ms)', { 1: VARIABLE, 2: VARIABLE }, 'took <_>)'],
  ['logfmt quotes what needs it', 'level=info msg="all is well" n=3', { 5: VARIABLE }, 'level=info msg="all is well" n=<_>'],
  ['JSON: anything around the message', '{"a":1,"msg":"user 7 in"}', { 1: VARIABLE }, '<_>user <_> in<_>'],
];
for (const [what, line, change, text] of written) {
  test(`a template is written: ${what}`, () => {
    const { tokens, write } = tokenizerFor(line, FIELDS)(line)!;
    assert.equal(write(tokens.map((token, index) => change[index] ?? token)), text);
  });
}

for (const [what, first, line] of [
  ['a line too long', 'plain', 'x '.repeat(2_000)],
  ['JSON that is broken', '{"msg":"x"}', '{"msg":"x"'],
  ['JSON without a message', '{"msg":"x"}', '{"other":"x"}'],
  ['JSON that is no object', '{"msg":"x"}', 'null'],
  ['logfmt that is broken', 'a=1 b=2', 'a=1 b="2'],
] as const) {
  test(`no tokens: ${what}`, () => assert.equal(tokenizerFor(first, FIELDS)(line), undefined));
}
