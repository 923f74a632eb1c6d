import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryError } from '../../../logql/errors.ts';
import type { Expr } from '../../../logql/syntax/ast.ts';
import { parseExpr, parseLogQuery, parseSelector } from '../../../logql/syntax/parse.ts';
import { print } from '../../../logql/syntax/print.ts';
import { Fault } from '../../../ops/base/fault.ts';

const canonical: [what: string, query: string, printed: string][] = [
  ['a selector', '{ app = "x" , b!~`z.*` }', '{app="x", b!~"z.*"}'],
  ['comments and line breaks', '{app="x"} # first\n |= "a" # second', '{app="x"} |= "a"'],
  [
    'chains of line filters',
    '{app="x"}|="a" or "b" !="c"|~"d"!~"e"|>"<_>f"!>"g"',
    '{app="x"} |= "a" or "b" != "c" |~ "d" !~ "e" |> "<_>f" !> "g"',
  ],
  ['addresses in line filters', '{app="x"} |= ip("10.0.0.0/8") or "b"', '{app="x"} |= ip("10.0.0.0/8") or "b"'],
  ['parentheses around a log query', '({app="x"} | json)', '{app="x"} | json'],
  [
    'extractions',
    '{app="x"} | json a="b.c[0]", d | logfmt --keep-empty e',
    '{app="x"} | json a="b.c[0]",d="d" | logfmt --keep-empty e="e"',
  ],
  [
    'other stages',
    '{app="x"} | regexp "(?P<a>.)" | pattern "<a>" | unpack | decolorize',
    '{app="x"} | regexp "(?P<a>.)" | pattern "<a>" | unpack | decolorize',
  ],
  [
    'formats',
    '{app="x"} | line_format "{{.a}}" | label_format a=b, c="{{.d}}"',
    '{app="x"} | line_format "{{.a}}" | label_format a=b,c="{{.d}}"',
  ],
  ['drop and keep', '{app="x"} | drop a, b=~"c" | keep d', '{app="x"} | drop a,b=~"c" | keep d'],
  ['`and` before `or`', '{app="x"} | a=1 or b=2 and c=3', '{app="x"} | ( a=1 or ( b=2 , c=3 ) )'],
  ['`and` on the left of `or`', '{app="x"} | a=1 and b=2 or c=3', '{app="x"} | ( ( a=1 , b=2 ) or c=3 )'],
  ['`or` from the left', '{app="x"} | a=1 or b=2 or c=3', '{app="x"} | ( ( a=1 or b=2 ) or c=3 )'],
  ['what follows a comma belongs together', '{app="x"} | a=1, b=2 or c=3', '{app="x"} | ( a=1 , ( b=2 or c=3 ) )'],
  ['what follows nothing belongs together', '{app="x"} | a=1 b=2 or c=3', '{app="x"} | ( a=1 , ( b=2 or c=3 ) )'],
  [
    'values of label filters',
    '{app="x"} | a>-1.5 | b<=1h | c==10KB | d!=ip("::1") | e!~"f"',
    '{app="x"} | a>-1.5 | b<=1h0m0s | c==10kB | d!=ip("::1") | e!~"f"',
  ],
  ['function names as labels', '{count="x"} | bytes > 5 | ip = "y"', '{count="x"} | bytes>5 | ip="y"'],
  ['function names in capitals', 'SUM(Rate({app="x"}[5m]))', 'sum(rate({app="x"}[5m]))'],
  ['grouping before and behind', 'sum by(a,b)(sum(rate({app="x"}[60s])) without(c))', 'sum by (a,b)(sum without (c)(rate({app="x"}[1m])))'],
  ['a range before the stages', 'rate({app="x"}[5m] offset -1h |= "a" | json)', 'rate({app="x"} |= "a" | json[5m] offset -1h0m0s)'],
  ['parentheses in a range', 'rate((({app="x"} |= "a")[5m]))', 'rate({app="x"} |= "a"[5m])'],
  [
    'unwrap',
    'quantile_over_time(0.9,{app="x"}|logfmt|unwrap bytes(s)|a="b"[1h])by(c)',
    'quantile_over_time(0.9,{app="x"} | logfmt | unwrap bytes(s) | a="b"[1h]) by (c)',
  ],
  ['unwrap behind the range', 'sum_over_time({app="x"}[5m] | unwrap duration(d))', 'sum_over_time({app="x"} | unwrap duration(d)[5m])'],
  ['topk', 'topk by (a) (3, rate({app="x"}[5m]))', 'topk by (a)(3,rate({app="x"}[5m]))'],
  [
    'operators by precedence',
    'vector(1) or vector(2) and vector(3) == vector(4) + vector(5) * vector(6) ^ vector(7)',
    '(vector(1.000000) or (vector(2.000000) and (vector(3.000000) == (vector(4.000000) + (vector(5.000000) * (vector(6.000000) ^ vector(7.000000)))))))',
  ],
  ['operators from the left', 'vector(1) - vector(2) - vector(3)', '((vector(1.000000) - vector(2.000000)) - vector(3.000000))'],
  ['powers from the right', 'vector(1) ^ vector(2) ^ vector(3)', '(vector(1.000000) ^ (vector(2.000000) ^ vector(3.000000)))'],
  ['matching', 'vector(1) > bool on(a) group_right(b,c) vector(2)', '(vector(1.000000) > bool on (a) group_right (b,c) vector(2.000000))'],
  [
    'a group without labels before a parenthesis',
    'vector(1) * ignoring() group_left (vector(2))',
    '(vector(1.000000) * ignoring () group_left vector(2.000000))',
  ],
  ['label_replace', 'label_replace(vector(1), "a", "$1", "b", "(.*)")', 'label_replace(vector(1.000000),"a","$1","b","(.*)")'],
  ['folding', '1 + 2 * 3 - -2 ^ 2', '3'],
  ['folding of comparisons', '1 + 2 > bool 2', '1'],
  ['division by zero', '-1 / 0', '(0 / 0)'],
  ['infinity', '10 ^ 400', '(2 ^ 1025)'],
  ['minus infinity', '-10 ^ 401', '(-2 ^ 1025)'],
];
for (const [what, query, printed] of canonical) {
  test(`parse: ${what}`, () => {
    const expr = parseExpr(query);
    assert.equal(print(expr), printed);
    assert.deepEqual(withoutSpans(parseExpr(printed)), withoutSpans(expr));
  });
}

const refused: [query: string, message: string][] = [
  ['', 'parse error : syntax error: unexpected $end'],
  ['  # nothing', 'parse error : syntax error: unexpected $end'],
  ['{app}', 'parse error at line 1, col 5: syntax error: unexpected }, expecting = or =~ or !~ or !='],
  ['{app="x"', 'parse error at line 1, col 9: syntax error: unexpected $end, expecting } or ,'],
  ['{app="x",}', 'parse error at line 1, col 10: syntax error: unexpected }, expecting IDENTIFIER'],
  ['{1a="x"}', 'parse error at line 1, col 2: syntax error: unexpected NUMBER, expecting IDENTIFIER or }'],
  ['{app="x"}\n  |= foo', 'parse error at line 2, col 6: syntax error: unexpected IDENTIFIER, expecting STRING or ip'],
  ['{app="x"} |= "é" or', 'parse error at line 1, col 20: syntax error: unexpected $end, expecting STRING or ip'],
  ['{app="x"} | jsonn', 'parse error at line 1, col 18: syntax error: unexpected $end'],
  ['{app="x"} | unwrap a', 'parse error at line 1, col 13: syntax error: unexpected unwrap'],
  ['{app="x"} |= "unclosed', 'parse error at line 1, col 14: literal not terminated'],
  ['{app="x"} |= "\\d"', 'parse error at line 1, col 14: invalid char escape'],
  ["{app='x'}", 'parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING'],
  ['{app="x"} | a > 1kb', 'parse error at line 1, col 20: syntax error: unexpected $end'],
  ["{app='xy'}", 'parse error at line 1, col 6: invalid char literal'],
  ['1 /* two', 'parse error at line 1, col 3: comment not terminated'],
  ['rate({app="x"}[1us])', 'parse error at line 1, col 15: unknown unit "us" in duration "1us"'],
  ['08', "parse error at line 1, col 1: invalid digit '8' in octal literal"],
  ['topk(1e2, rate({app="x"}[5m]))', 'parse error : invalid parameter topk(1e2,'],
  ['{app="x"} | a > ip("1.1.1.1")', 'parse error at line 1, col 17: syntax error: unexpected ip'],
  ['{app=~"("}', 'parse error : error parsing regexp: missing closing ): `(`'],
  ['{app="x"} | size = 0B', 'parse error at line 1, col 20: decimal literal has no digits'],
  ['0x1F', 'parse error : unable to parse literal as a float: strconv.ParseFloat: parsing "0x1F": invalid syntax'],
  ['rate({app="x"}[5q])', 'parse error at line 1, col 15: unknown unit "q" in duration "5q"'],
  ['rate({app="x"}[5m] offset 5)', 'parse error at line 1, col 27: syntax error: unexpected NUMBER, expecting DURATION'],
  ['rate({app="x"}[5m]) by (a)', 'parse error : grouping not allowed for rate aggregation'],
  ['avg_over_time({app="x"}[5m])', 'parse error : invalid aggregation avg_over_time without unwrap'],
  ['bytes_rate({app="x"} | unwrap a [5m])', 'parse error : invalid aggregation bytes_rate with unwrap'],
  ['quantile_over_time({app="x"} | unwrap a [5m])', 'parse error : parameter required for operation quantile_over_time'],
  ['rate(1, {app="x"}[5m])', 'parse error : parameter 1 not supported for operation rate'],
  ['topk(rate({app="x"}[5m]))', 'parse error : parameter required for operation topk'],
  ['topk(0, rate({app="x"}[5m]))', 'parse error : invalid parameter (must be greater than 0) topk(0'],
  ['topk(-1, rate({app="x"}[5m]))', 'parse error at line 1, col 8: syntax error: unexpected ,'],
  ['sum(1, rate({app="x"}[5m]))', 'parse error : unsupported parameter for operation sum(1,'],
  ['sort(rate({app="x"}[5m])) by (a)', 'parse error : grouping not allowed for sort aggregation'],
  ['sum by (a) (rate({app="x"}[5m])) by (b)', 'parse error at line 1, col 34: syntax error: unexpected by'],
  ['-rate({app="x"}[5m])', 'parse error at line 1, col 2: syntax error: unexpected RATE, expecting NUMBER'],
  ['rate({app="x"}[5m]) + {app="x"}', 'parse error : unexpected type for right leg of binary operation (+): *syntax.MatchersExpr'],
  ['1 and rate({app="x"}[5m])', 'parse error : unexpected literal for left leg of logical/set binary operation (and): 1.000000'],
  [
    'label_replace(vector(1), "a", "b", "c", "(")',
    'parse error : invalid regex in label_replace: error parsing regexp: missing closing ): `^(?:()$`',
  ],
  ['vector(-1)', 'parse error at line 1, col 8: syntax error: unexpected -, expecting NUMBER'],
  ['"text"', 'parse error at line 1, col 1: syntax error: unexpected STRING'],
  ['{app="x"}[5m]', 'parse error at line 1, col 10: syntax error: unexpected RANGE'],
];
for (const [query, message] of refused) {
  test(`refused: ${query}`, () => {
    assert.throws(
      () => parseExpr(query),
      (error: unknown) => {
        assert.ok(error instanceof QueryError);
        assert.deepEqual([error.code, error.status, error.message], ['parse_error', 400, message]);
        assert.ok(error.at.from <= error.at.to && error.at.to <= query.length);
        return true;
      },
    );
  });
}

const BROAD = /^parse error : queries require at least one regexp or equality matcher/;
for (const query of ['{}', '{app=""}', '{app=~".*"}', '{app=~"|a"}', '{app!="x"}', '{app!~".+"}', 'count_over_time({}[5m])']) {
  test(`too broad: ${query}`, () => assert.throws(() => parseExpr(query), { code: 'parse_error', message: BROAD }));
}

test('a selector alone gives its matchers', () => {
  assert.deepEqual(parseSelector('({a="x", b=~"y"})'), [
    { name: 'a', op: '=', value: 'x' },
    { name: 'b', op: '=~', value: 'y' },
  ]);
  assert.throws(() => parseSelector('{}'), { message: BROAD });
  assert.deepEqual(parseSelector(' { } ', { allowAll: true }), []);
  assert.throws(() => parseSelector('{a=~".*"}', { allowAll: true }), { message: BROAD });
  for (const query of ['{a="x"} |= "y"', 'rate({a="x"}[5m])']) {
    assert.throws(() => parseSelector(query), new Fault('bad_request', 'only label matchers are supported'));
  }
});

test('a metric query is no log query', () => {
  assert.equal(parseLogQuery('{a="x"} | json').stages.length, 1);
  assert.throws(() => parseLogQuery('rate({a="x"}[5m])'), { code: 'parse_error' });
});

test('a query cannot exhaust the stack', () => {
  for (const query of [
    `${'('.repeat(30_000)}1`,
    `{a="x"} | ${'('.repeat(30_000)}`,
    `1${'^1'.repeat(20_000)}`,
    `{a="x"} | b=1${',b=1'.repeat(20_000)}`,
    `vector(1)${'+vector(1)'.repeat(10_000)}`,
    `{a="${'x'.repeat(200_000)}"}`,
  ]) {
    assert.throws(() => parseExpr(query), { code: 'parse_error', message: /too long|nests deeper/ });
  }
  assert.equal(print(parseExpr(`1${'^1'.repeat(2_900)}`)), '1');
  print(parseExpr(`{a="x"} | b=1${',b=1'.repeat(1_400)}`));
  print(parseExpr(`${'sum('.repeat(499)}vector(1)${')'.repeat(499)}`));
});

function withoutSpans(expr: Expr): unknown {
  return JSON.parse(JSON.stringify(expr, (key, value) => (key === 'at' ? undefined : typeof value === 'number' ? String(value) : value)));
}
