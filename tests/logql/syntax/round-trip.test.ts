import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../../logql/syntax/ast.ts';
import { parseExpr } from '../../../logql/syntax/parse.ts';
import { prettyPrint } from '../../../logql/syntax/pretty.ts';
import { print } from '../../../logql/syntax/print.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

/** Everything but spans; NaN and -0 are told apart. */
function meaning(expr: Expr): string {
  return JSON.stringify(expr, (key, value) =>
    key === 'at' ? undefined : typeof value === 'number' ? (Object.is(value, -0) ? '-0' : String(value)) : value,
  );
}

const FIRST = Number(process.env.SEED ?? 1);
const QUERIES = process.env.SOAK === undefined ? 5_000 : 50_000;

test(`what is printed means the same, ${QUERIES} generated queries`, () => {
  for (let seed = FIRST; seed < FIRST + QUERIES; seed++) {
    const query = new QueryGenerator(seed).query();
    const expr = parseExpr(query);
    const printed = print(expr);
    assert.equal(meaning(parseExpr(printed)), meaning(expr), `seed ${seed}: ${query}\n${printed}`);
    assert.equal(print(parseExpr(printed)), printed, `seed ${seed}`);
  }
});

const pretty: [query: string, lines: readonly string[]][] = [
  ['sum(rate({app="x"}[5m]))', ['sum(rate({app="x"}[5m]))']],
  [
    'topk(5, sum by (level)(rate({app="foo", namespace="bar", cluster="prod-eu-west"} |= "error" != "timeout" | json | unwrap latency | __error__="" [5m] offset 1h))) / on(level) sum(rate({app="x"}[5m]))',
    [
      '  topk(',
      '    5,',
      '    sum by (level)(',
      '      rate(',
      '        {app="foo", namespace="bar", cluster="prod-eu-west"} |= "error" != "timeout" | json',
      '          | unwrap latency',
      '          | __error__="" [5m] offset 1h',
      '      )',
      '    )',
      '  )',
      '/ on (level) ',
      '  sum(rate({app="x"}[5m]))',
    ],
  ],
];
for (const [query, lines] of pretty) {
  test(`a query is broken at its parts as Loki does, whatever becomes of its parentheses: ${query}`, () => {
    assert.equal(prettyPrint(parseExpr(query)), lines.join('\n'));
  });
}
