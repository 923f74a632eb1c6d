import { Fault } from '../../ops/base/fault.ts';
import { meaningError } from '../errors.ts';
import type { Matcher, MatchOp } from '../model.ts';
import { compileMatcher, validateRegex } from '../pipeline/regex.ts';
import type { Span } from './ast.ts';
import type { Cursor } from './cursor.ts';

const MATCH_OPS: readonly MatchOp[] = ['=', '!=', '=~', '!~'];

/** `{a="x", b!="y"}`; `{}` is no matcher at all. */
export function parseMatchers(cursor: Cursor): Matcher[] {
  cursor.expect('{');
  const matchers: Matcher[] = [];
  if (cursor.accept('}')) return matchers;
  for (;;) {
    const name = cursor.expect('IDENTIFIER', matchers.length === 0 ? ['IDENTIFIER', '}'] : ['IDENTIFIER']).text;
    matchers.push(parseMatch(cursor, name));
    if (cursor.accept('}')) return matchers;
    cursor.expect(',', ['}', ',']);
  }
}

/** What follows the name in `name="value"`. */
export function parseMatch(cursor: Cursor, name: string): Matcher {
  const from = cursor.next.at.from;
  const op = MATCH_OPS.find((candidate) => cursor.accept(candidate)) ?? cursor.fail('=', '=~', '!~', '!=');
  const value = cursor.expect('STRING').text;
  if (op === '=~' || op === '!~') checkRegex(cursor, value, cursor.spanFrom(from));
  return { name, op, value };
}

/** Throws QueryError with Go's words if `pattern` is no RE2. */
export function checkRegex(cursor: Cursor, pattern: string, at: Span): void {
  try {
    cursor.spendOnRegex(validateRegex(pattern), at);
  } catch (error) {
    if (error instanceof Fault && error.code === 'parse_error') throw meaningError(at, error.message, { cause: error });
    throw error;
  }
}

/** Refuses a selector that a stream without any of its labels would fit: it selects everything. */
export function requireNarrowMatcher(matchers: readonly Matcher[], at: Span): void {
  if (matchers.some((matcher) => !fitsEmpty(matcher))) return;
  throw meaningError(at, NO_NARROW_MATCHER);
}

export const NO_NARROW_MATCHER =
  'queries require at least one regexp or equality matcher that does not have an empty-compatible value. ' +
  'For instance, app=~".*" does not meet this requirement, but app=~".+" will';

/** Whether a stream that lacks the label fits. */
function fitsEmpty(matcher: Matcher): boolean {
  return compileMatcher(matcher)('');
}
