import type { Comparison, LabelPredicate } from '../syntax/ast.ts';
import { ConversionError, parseGoDuration, parseGoFloat, parseHumanBytes } from './go-parse.ts';
import { hasIpIn, type IpRange, parseIpRange } from './ip.ts';
import { ERROR, type LabelState } from './label-state.ts';
import { compileFilterMatcher } from './regex.ts';

export type Predicate = (state: LabelState) => boolean;

/** The test of a label filter. Where a value cannot be compared the entry is kept and gets an error, unless it has one. Throws Error for an address that is none, Fault as `compileMatcher`. */
export function compilePredicate(predicate: LabelPredicate): Predicate {
  switch (predicate.kind) {
    case 'and':
    case 'or': {
      const left = compilePredicate(predicate.left);
      const right = compilePredicate(predicate.right);
      if (predicate.kind === 'or') return (state) => left(state) || right(state);
      return (state) => {
        const holds = left(state); // the right side is asked in any case: it may note an error
        return right(state) && holds;
      };
    }
    case 'string': {
      const { name } = predicate.matcher;
      const test = compileFilterMatcher(predicate.matcher);
      // The details of an error can be shown, not selected by.
      if (name === ERROR) return (state) => test(state.error);
      return (state) => test(state.get(name) ?? '');
    }
    case 'number':
      return compileComparison(predicate.name, predicate.op, predicate.value, parseGoFloat);
    case 'duration':
      return compileComparison(predicate.name, predicate.op, predicate.valueNs, parseGoDuration);
    case 'bytes':
      return compileComparison(predicate.name, predicate.op, predicate.value, parseHumanBytes);
    case 'ip':
      return compileIp(predicate.name, predicate.op === '!=', requireIpRange(predicate.text));
  }
}

/** Throws Error unless `text` is an address, a range of them or a prefix. */
export function requireIpRange(text: string): IpRange {
  const range = parseIpRange(text);
  if (range === undefined) throw new Error(`ip: invalid pattern: "${text}"`);
  return range;
}

const COMPARISONS: Readonly<Record<Comparison, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '==': (value, bound) => value === bound,
  '!=': (value, bound) => value !== bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
};

/** Texts of which a comparison remembers the numbers. */
const MOST_NUMBERS = 1_024;
const LONGEST_NUMBER = 32;

/** As `convert`, which throws for what is no number; texts that recur are converted once. */
function remembering(convert: (text: string) => number): (text: string) => number {
  const known = new Map<string, number>();
  return (text) => {
    let value = known.get(text);
    if (value !== undefined) return value;
    value = convert(text);
    if (text.length > LONGEST_NUMBER) return value;
    if (known.size >= MOST_NUMBERS) known.clear();
    known.set(text, value);
    return value;
  };
}

function compileComparison(name: string, op: Comparison, bound: number, parse: (text: string) => number): Predicate {
  const compare = COMPARISONS[op];
  const convert = remembering(parse);
  return (state) => {
    const text = state.get(name);
    if (text === undefined) return false;
    try {
      return compare(convert(text), bound);
    } catch (error) {
      if (!(error instanceof ConversionError)) throw error;
      if (state.error === '') state.fail('LabelFilterErr', error.message);
      return true;
    }
  };
}

function compileIp(name: string, negate: boolean, range: IpRange): Predicate {
  return (state) => {
    if (state.error !== '') return true; // unlike a comparison, as in Loki
    const text = state.get(name);
    if (text === undefined) return false;
    const bytes = Buffer.from(text);
    return hasIpIn(range, bytes, 0, bytes.length) !== negate;
  };
}
