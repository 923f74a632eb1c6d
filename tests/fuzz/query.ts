import assert from 'node:assert/strict';
import { planQuery } from '../../logql/plan.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { prettyPrint } from '../../logql/syntax/pretty.ts';
import { print } from '../../logql/syntax/print.ts';
import type { Target } from './fuzzer.ts';

export const queryTargets: readonly Target[] = [
  {
    name: 'query text',
    corpus: 'query',
    run(bytes) {
      const expr = parseExpr(bytes.toString());
      // What was understood can be said again, and is then understood as the same.
      const text = print(expr);
      assert.equal(print(parseExpr(text)), text);
      const pretty = prettyPrint(expr);
      assert.equal(print(parseExpr(pretty)), text);
      assert.equal(prettyPrint(parseExpr(pretty)), pretty);
      planQuery(expr);
    },
  },
];
