import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parser } from '@grafana/lezer-logql';
import { parseExpr } from '../../../logql/syntax/parse.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

const FIRST = Number(process.env.SEED ?? 1);
const QUERIES = process.env.SOAK === undefined ? 5_000 : 50_000;

/** Where Grafana's grammar, which colours and completes queries in its editor, is narrower than the language: what stands before and at the first
 *  place that it does not understand. */
const NARROWER: readonly [reason: string, before: RegExp, at: RegExp][] = [
  ['words are known in any case of letters', /(?:^|[\s(,])$/, /^[A-Z_]+[\s(]/],
  ['a name may have letters beyond ASCII', /[\w{(,\s]$/, /^\P{ASCII}/u],
  ['a name of a function is a name where no parenthesis follows', /[\s{(,=]$/, /^(?:sort|vector)(?!\s*\()/],
  ['an offset may follow the range of a label that is converted or filtered', /\| unwrap [\s\S]*\]\s*$/, /^offset /],
  ['group_left needs no list of labels, also in front of a parenthesis', /group_(?:left|right) \([\w\s,]*$/, /^\S/],
  ['a log expression in parentheses can be unwrapped', /\)\s*$/, /^\| unwrap /],
  ['units of bytes are known without the B', /\d$/, /^[KG]\b/],
  ['texts may follow addresses in a line filter', /ip\([^)]*\) or $/, /^["`]/],
  ['label filters may stand side by side', /[\w"`)] +$/, /^[\w(]/],
];

/** Offset of the first place that Grafana's grammar does not understand, or -1. */
function firstError(query: string): number {
  let first = -1;
  parser.parse(query).iterate({
    enter: ({ type, from }) => {
      if (type.isError && first < 0) first = from;
    },
  });
  return first;
}

test(`Grafana's grammar accepts ${QUERIES} generated queries, but for what it is known to lack`, () => {
  const used = new Map(NARROWER.map(([reason]) => [reason, 0]));
  let accepted = 0;
  for (let seed = FIRST; seed < FIRST + QUERIES; seed++) {
    const query = new QueryGenerator(seed).query();
    parseExpr(query);
    const at = firstError(query);
    if (at < 0) {
      accepted++;
      continue;
    }
    const known = NARROWER.find(([, before, after]) => before.test(query.slice(0, at)) && after.test(query.slice(at)));
    assert.ok(known, `not understood from "${query.slice(at)}" on\n${query}`);
    used.set(known[0], used.get(known[0])! + 1);
  }
  assert.ok(accepted > QUERIES / 2, `only ${accepted} accepted`);
  for (const [reason, times] of used) assert.ok(times > 0, `no query shows that ${reason}`);
});

const refused: readonly string[] = ['{app="x"} |', '{app="x"', 'sum(', 'rate({app="x"})', '{app="x"} | json | | json'];
for (const query of refused) {
  test(`what we refuse Grafana's grammar marks too: ${query}`, () => {
    assert.throws(() => parseExpr(query));
    assert.ok(firstError(query) >= 0);
  });
}
