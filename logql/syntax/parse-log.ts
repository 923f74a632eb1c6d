import { Fault } from '../../ops/base/fault.ts';
import { meaningError } from '../errors.ts';
import { regexpLabels } from '../pipeline/extract-pattern.ts';
import { parseCapturePattern } from '../pipeline/line-pattern.ts';
import { validateRegex } from '../pipeline/regex.ts';
import type {
  DropKeepItem,
  Extraction,
  LabelAssignment,
  LineFilter,
  LineFilterOp,
  LineFilterTerm,
  LogExpr,
  Span,
  Stage,
  Unwrap,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseIp, parseLabelPredicate, startsPredicate } from './parse-label-filter.ts';
import { parseMatch, parseMatchers, requireNarrowMatcher } from './parse-selector.ts';

const LINE_FILTER_OPS: readonly LineFilterOp[] = ['|=', '|~', '|>', '!=', '!~', '!>'];

/** A selector and what stands behind it, `{app="x"} |= "y" | json`, with any parentheses around it. */
export function parseLog(cursor: Cursor): LogExpr {
  const from = cursor.next.at.from;
  if (cursor.accept('(')) {
    const inner = parseLog(cursor);
    cursor.expect(')');
    return { ...inner, at: cursor.spanFrom(from) };
  }
  const matchers = parseMatchers(cursor);
  requireNarrowMatcher(matchers, cursor.spanFrom(from));
  const stages = parseStages(cursor);
  return { kind: 'log', matchers, stages, at: cursor.spanFrom(from) };
}

/** Stages up to something that is none, an unwrap for example. */
export function parseStages(cursor: Cursor): Stage[] {
  const stages: Stage[] = [];
  for (;;) {
    const from = cursor.next.at.from;
    const op = LINE_FILTER_OPS.find((candidate) => cursor.next.kind === candidate);
    if (op !== undefined) stages.push(...parseLineFilter(cursor, op));
    else if (cursor.next.kind === '|' && cursor.second.kind !== 'unwrap') {
      cursor.take();
      stages.push(parseStage(cursor, from));
    } else return stages;
  }
}

/** One filter; of a negated one with alternatives, which no line may contain any of, one for each. */
function parseLineFilter(cursor: Cursor, op: LineFilterOp): LineFilter[] {
  const from = cursor.take().at.from;
  const terms: LineFilterTerm[] = [];
  do {
    if (cursor.next.kind === 'ip') terms.push({ kind: 'ip', text: parseIp(cursor) });
    else terms.push({ kind: 'text', text: cursor.expect('STRING', ['STRING', 'ip']).text });
  } while (cursor.accept('or'));
  const at = cursor.spanFrom(from);
  if (op === '|~' || op === '!~') for (const { text } of terms) countRegex(cursor, text, at);
  const alternatives = op.startsWith('!') ? terms.map((term) => [term]) : [terms];
  return alternatives.map((some) => ({ kind: 'line_filter', op, terms: some, at }));
}

/** What is wrong with the pattern of a line filter is told when the query is planned. */
function countRegex(cursor: Cursor, pattern: string, at: Span): void {
  let cost = 0;
  try {
    cost = validateRegex(pattern);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'parse_error') throw error;
  }
  cursor.spendOnRegex(cost, at);
}

type StageParser = (cursor: Cursor, from: number) => Stage;

const STAGE_PARSERS: Readonly<Record<string, StageParser>> = {
  json: (cursor, from) => ({ kind: 'json', expressions: parseExtractions(cursor), at: cursor.spanFrom(from) }),
  logfmt: (cursor, from) => {
    const flags = new Set<string>();
    while (cursor.next.kind === 'FUNCTION_FLAG') flags.add(cursor.take().text);
    const expressions = parseExtractions(cursor);
    return { kind: 'logfmt', strict: flags.has('--strict'), keepEmpty: flags.has('--keep-empty'), expressions, at: cursor.spanFrom(from) };
  },
  regexp: (cursor, from) => {
    const pattern = checked(cursor, 'regexp', regexpLabels);
    return { kind: 'regexp', pattern, at: cursor.spanFrom(from) };
  },
  pattern: (cursor, from) => {
    const pattern = checked(cursor, 'pattern', parseCapturePattern);
    return { kind: 'pattern', pattern, at: cursor.spanFrom(from) };
  },
  unpack: (cursor, from) => ({ kind: 'unpack', at: cursor.spanFrom(from) }),
  line_format: (cursor, from) => ({ kind: 'line_format', template: cursor.expect('STRING').text, at: cursor.spanFrom(from) }),
  label_format: (cursor, from) => ({ kind: 'label_format', assignments: listOf(cursor, parseAssignment), at: cursor.spanFrom(from) }),
  decolorize: (cursor, from) => ({ kind: 'decolorize', at: cursor.spanFrom(from) }),
  drop: (cursor, from) => ({ kind: 'drop', items: listOf(cursor, parseItem), at: cursor.spanFrom(from) }),
  keep: (cursor, from) => ({ kind: 'keep', items: listOf(cursor, parseItem), at: cursor.spanFrom(from) }),
};

/** The pattern of a parser, which `check` throws for if it is none. */
function checked(cursor: Cursor, parser: string, check: (pattern: string) => unknown): string {
  const { text, at } = cursor.expect('STRING');
  try {
    check(text);
  } catch (error) {
    throw meaningError(at, `invalid ${parser} parser: ${(error as Error).message}`, { cause: error });
  }
  return text;
}

/** What follows a pipe. `from`: where the pipe is. */
function parseStage(cursor: Cursor, from: number): Stage {
  if (startsPredicate(cursor)) return { kind: 'label_filter', predicate: parseLabelPredicate(cursor), at: cursor.spanFrom(from) };
  if (!Object.hasOwn(STAGE_PARSERS, cursor.next.kind)) cursor.fail();
  return STAGE_PARSERS[cursor.take().kind](cursor, from);
}

function listOf<T>(cursor: Cursor, parse: (cursor: Cursor) => T): T[] {
  const items = [parse(cursor)];
  while (cursor.accept(',')) items.push(parse(cursor));
  return items;
}

function parseExtractions(cursor: Cursor): Extraction[] {
  return cursor.next.kind === 'IDENTIFIER' ? listOf(cursor, parseExtraction) : [];
}

function parseExtraction(cursor: Cursor): Extraction {
  const label = cursor.expect('IDENTIFIER').text;
  return { label, expression: cursor.accept('=') ? cursor.expect('STRING').text : label };
}

function parseAssignment(cursor: Cursor): LabelAssignment {
  const label = cursor.expect('IDENTIFIER').text;
  cursor.expect('=');
  const template = cursor.accept('STRING');
  if (template !== undefined) return { kind: 'template', label, template: template.text };
  return { kind: 'rename', label, from: cursor.expect('IDENTIFIER', ['IDENTIFIER', 'STRING']).text };
}

function parseItem(cursor: Cursor): DropKeepItem {
  const name = cursor.expect('IDENTIFIER').text;
  const { kind } = cursor.next;
  const isMatch = kind === '=' || kind === '!=' || kind === '=~' || kind === '!~';
  return isMatch ? { name, matcher: parseMatch(cursor, name) } : { name };
}

/** `| unwrap x`, `| unwrap bytes(x)` and the label filters behind it; undefined if there is none. */
export function parseUnwrap(cursor: Cursor): Unwrap | undefined {
  if (cursor.next.kind !== '|' || cursor.second.kind !== 'unwrap') return undefined;
  cursor.take();
  cursor.take();
  const conversions: Readonly<Record<string, Unwrap['conversion']>> = {
    BYTES_CONV: 'bytes',
    DURATION_CONV: 'duration',
    DURATION_SECONDS_CONV: 'duration_seconds',
  };
  const conversion = conversions[cursor.next.kind];
  let label: string;
  if (conversion === undefined) label = cursor.expect('IDENTIFIER', ['IDENTIFIER', ...Object.keys(conversions)]).text;
  else {
    cursor.take();
    cursor.expect('(');
    label = cursor.expect('IDENTIFIER').text;
    cursor.expect(')');
  }
  const filters = [];
  while (cursor.accept('|')) {
    if (!startsPredicate(cursor)) cursor.fail('IDENTIFIER', '(');
    filters.push(parseLabelPredicate(cursor));
  }
  return { label, ...(conversion === undefined ? {} : { conversion }), filters };
}
