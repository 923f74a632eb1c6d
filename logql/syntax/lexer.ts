import { meaningError, positionedError } from '../errors.ts';
import type { Span } from './ast.ts';
import { unquoteGo } from './go-string.ts';
import { parseBytes, parseCalendarDuration, parseDuration, UnitError } from './units.ts';

/** `kind` is the token's name as error messages give it: a symbol, a keyword, or one of the names below. */
export interface Token {
  readonly kind: string;
  /** As written; of a STRING what it stands for, of a RANGE what is between the brackets. */
  readonly text: string;
  /** Nanoseconds of a DURATION or RANGE, bytes of a BYTES, the number of a NUMBER. */
  readonly value: number;
  readonly at: Span;
}

/** Longer symbols first, so that `|=` is not `|` and `=`. */
const SYMBOLS = [
  '|=',
  '|~',
  '|>',
  '!=',
  '!~',
  '!>',
  '=~',
  '==',
  '>=',
  '<=',
  '|',
  '=',
  '>',
  '<',
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
  ',',
  '.',
  '{',
  '}',
  '(',
  ')',
];

/** Words that are never names. Words are known in any case of letters. */
const KEYWORDS = new Set(
  'by without bool on ignoring group_left group_right or and unless offset unwrap json logfmt regexp unpack pattern line_format label_format decolorize drop keep'.split(
    ' ',
  ),
);

export const RANGE_FUNCTIONS = new Set(
  `rate count_over_time bytes_rate bytes_over_time absent_over_time rate_counter sum_over_time avg_over_time min_over_time max_over_time
  stddev_over_time stdvar_over_time first_over_time last_over_time quantile_over_time`.split(/\s+/),
);
export const VECTOR_FUNCTIONS = new Set('sum avg count max min stddev stdvar topk bottomk sort sort_desc approx_topk'.split(' '));

/** Function names, as error messages give them, that are names unless an opening parenthesis or a grouping follows. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...RANGE_FUNCTIONS, ...VECTOR_FUNCTIONS, 'label_replace', 'vector'].map((name) => [name, name.toUpperCase()])),
  ip: 'ip',
  bytes: 'BYTES_CONV',
  duration: 'DURATION_CONV',
  duration_seconds: 'DURATION_SECONDS_CONV',
};

const IDENTIFIER = /[\p{L}_][\p{L}\p{Nd}_]*/uy;
const NUMBER = /(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?/y;
const WITH_UNIT = /[\d.]+[\p{L}\d.]*/uy;
// What Loki takes for part of a number with a unit: `1kb` is `1k` and a name.
const WITH_TIME = /[\d.]+[nuµmshdwy\d.]*/uy;
const WITH_SIZE = /[\d.]+[BikKMGTP\d.]*/y;
// One way to read any text: with an optional dot between two runs of digits a long text that fails would be tried in exponentially many.
const DURATION = /^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w|y))+$/u;
const NEGATIVE_DURATION = /-(?:(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+|0+)(?![\d.nuµmshdwy])/uy;
const FUNCTION_FOLLOWS = /\s*(?:\(|(?:by|without)\b)/iy;

/** The tokens of `text`, ending with one `$end`. Comments are those of Go, and run from `#` to the end of the line. Throws QueryError. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = skipBlank(text, 0); at < text.length; ) {
    const token = scanToken(text, at);
    tokens.push(token);
    at = skipBlank(text, token.at.to);
  }
  tokens.push({ kind: '$end', text: '', value: 0, at: { from: text.length, to: text.length } });
  return tokens;
}

function skipBlank(text: string, from: number): number {
  const blank = /(?:[ \t\r\n]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
  blank.lastIndex = from;
  blank.test(text);
  const at = blank.lastIndex;
  if (text.startsWith('/*', at)) throw positionedError(text, { from: at, to: text.length }, 'comment not terminated');
  return at;
}

function scanToken(text: string, from: number): Token {
  const char = text[from];
  if (char === '"' || char === '`') return scanString(text, from);
  if (char === '[') return scanRange(text, from);
  if (/\d/.test(char) || (char === '.' && /\d/.test(text[from + 1] ?? ''))) return scanNumber(text, from);
  const word = matchAt(IDENTIFIER, text, from);
  if (word !== undefined) return scanWord(text, from, word);
  if (char === '-') {
    // Go reads `-5m` and, without a unit, `-0` as durations.
    const run = matchAt(NEGATIVE_DURATION, text, from);
    const value = run === undefined ? undefined : durationIn(run);
    if (run !== undefined && value !== undefined) return token('DURATION', run, from, from + run.length, value);
  }
  const flag = /--(?:strict|keep-empty)(?![\w-])/y;
  const option = matchAt(flag, text, from);
  if (option !== undefined) return token('FUNCTION_FLAG', option, from);
  const symbol = SYMBOLS.find((candidate) => text.startsWith(candidate, from));
  if (symbol !== undefined) return token(symbol, symbol, from);
  // What is nothing else is a name to Loki, though none that anything has.
  const literal = char === "'" ? matchAt(/'(?:[^'\\\n]|\\.)'/uy, text, from) : String.fromCodePoint(text.codePointAt(from)!);
  if (literal === undefined) throw positionedError(text, { from, to: from + 1 }, 'invalid char literal');
  return token('IDENTIFIER', literal, from);
}

/** Undefined for what Go does not read as one (`-00`): then it is a sign and a number. */
function durationIn(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof UnitError) return undefined;
    throw error;
  }
}

function matchAt(pattern: RegExp, text: string, from: number): string | undefined {
  pattern.lastIndex = from;
  return pattern.exec(text)?.[0];
}

function token(kind: string, text: string, from: number, to = from + text.length, value = 0): Token {
  return { kind, text, value, at: { from, to } };
}

function scanWord(text: string, from: number, word: string): Token {
  const lower = word.toLowerCase();
  if (KEYWORDS.has(lower)) return token(lower, word, from);
  const isFunction = Object.hasOwn(FUNCTIONS, lower) && matchAt(FUNCTION_FOLLOWS, text, from + word.length) !== undefined;
  return token(isFunction ? FUNCTIONS[lower] : 'IDENTIFIER', word, from);
}

function scanString(text: string, from: number): Token {
  const literal = matchAt(text[from] === '`' ? /`[^`]*`/y : /"(?:[^"\\\n]|\\[^\n])*"/y, text, from);
  if (literal === undefined) throw positionedError(text, { from, to: text.length }, 'literal not terminated');
  const value = unquoteGo(literal);
  if (value === undefined) throw positionedError(text, { from, to: from + literal.length }, 'invalid char escape');
  return token('STRING', value, from, from + literal.length);
}

function scanRange(text: string, from: number): Token {
  const close = text.indexOf(']', from);
  if (close < 0) throw positionedError(text, { from, to: text.length }, "missing closing ']' in duration");
  const inner = text.slice(from + 1, close);
  try {
    return token('RANGE', inner, from, close + 1, parseCalendarDuration(inner));
  } catch (error) {
    if (error instanceof UnitError) throw positionedError(text, { from, to: close + 1 }, error.message);
    throw error;
  }
}

function scanNumber(text: string, from: number): Token {
  const run = matchAt(WITH_UNIT, text, from)!;
  const at = { from, to: from + run.length };
  const octal = /^0\d*?([89])\d*(?![\d.eE])/.exec(run);
  if (octal !== null) throw positionedError(text, at, `invalid digit '${octal[1]}' in octal literal`);
  if (/^0[bB](?![01])/.test(run)) throw positionedError(text, at, 'decimal literal has no digits');
  if (/^0[xXoObB]/.test(run))
    throw meaningError(at, `unable to parse literal as a float: strconv.ParseFloat: parsing "${run}": invalid syntax`);
  const time = matchAt(WITH_TIME, text, from)!;
  if (DURATION.test(time)) {
    try {
      return token('DURATION', time, from, from + time.length, parseDuration(time));
    } catch (error) {
      if (error instanceof UnitError) throw positionedError(text, at, error.message);
      throw error;
    }
  }
  const size = matchAt(WITH_SIZE, text, from)!;
  const bytes = /[a-z]/i.test(size) ? parseBytes(size) : undefined;
  if (bytes !== undefined) return token('BYTES', size, from, from + size.length, bytes);
  const number = matchAt(NUMBER, text, from)!;
  const value = Number(number.replaceAll('_', ''));
  if (!Number.isFinite(value))
    throw meaningError(at, `unable to parse literal as a float: strconv.ParseFloat: parsing "${number}": value out of range`);
  return token('NUMBER', number, from, from + number.length, value);
}
