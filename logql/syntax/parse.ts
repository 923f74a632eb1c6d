import { Fault } from '../../ops/base/fault.ts';
import { meaningError } from '../errors.ts';
import type { Matcher } from '../model.ts';
import type { Expr, LogExpr } from './ast.ts';
import { Cursor } from './cursor.ts';
import { parseOperations } from './parse-metric.ts';
import { parseMatchers, requireNarrowMatcher } from './parse-selector.ts';

/** A query has fewer bytes of UTF-8, as in Loki. */
const MAX_BYTES = 128 * 1024;

/** Reads a LogQL query. Throws QueryError. */
export function parseExpr(text: string): Expr {
  const cursor = open(text);
  const expr = parseOperations(cursor);
  refuseRest(cursor);
  return expr;
}

/** Reads a log query: streams, for tails and deletes. Throws QueryError. */
export function parseLogQuery(text: string): LogExpr {
  const expr = parseExpr(text);
  if (expr.kind !== 'log') throw meaningError(expr.at, 'only log selector is supported');
  return expr;
}

/** Reads a bare selector, `{app="x"}`: what the series, label, volume and stats endpoints take. Throws QueryError, or bad_request if it is a
 *  query of another kind. With `allowAll`, `{}` selects every stream. */
export function parseSelector(text: string, { allowAll = false } = {}): Matcher[] {
  if (allowAll) {
    const cursor = open(text);
    if (cursor.next.kind === '{' && cursor.second.kind === '}') {
      const matchers = parseMatchers(cursor);
      refuseRest(cursor);
      return matchers;
    }
  }
  const expr = parseExpr(text);
  if (expr.kind !== 'log' || expr.stages.length > 0) throw new Fault('bad_request', 'only label matchers are supported');
  requireNarrowMatcher(expr.matchers, expr.at);
  return [...expr.matchers];
}

function open(text: string): Cursor {
  const bytes = Buffer.byteLength(text);
  if (bytes >= MAX_BYTES) throw meaningError({ from: 0, to: text.length }, `input size too long (${bytes} > ${MAX_BYTES})`);
  const cursor = new Cursor(text);
  if (cursor.next.kind === '$end') throw meaningError({ from: 0, to: text.length }, 'syntax error: unexpected $end');
  return cursor;
}

function refuseRest(cursor: Cursor): void {
  if (cursor.next.kind === '|' && cursor.second.kind === 'unwrap') cursor.take(); // a log query has no samples: say so at the word, not at the pipe
  if (cursor.next.kind !== '$end') cursor.fail();
}
