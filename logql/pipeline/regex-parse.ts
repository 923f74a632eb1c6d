import { Fault } from '../../ops/base/fault.ts';
import {
  ANY,
  ANY_BUT_NEWLINE,
  DIGIT,
  foldCase,
  MAX_CODE_POINT,
  negate,
  normalise,
  POSIX_CLASSES,
  type Ranges,
  SPACE,
  unicodeClass,
  WORD,
} from './regex-classes.ts';

/** What a pattern in RE2 syntax means. Flags are resolved: case folding is in the classes, greediness in the repeats. */
export type Regex =
  | { readonly kind: 'class'; readonly ranges: Ranges }
  | { readonly kind: 'concat' | 'alternate'; readonly items: readonly Regex[] }
  | { readonly kind: 'repeat'; readonly item: Regex; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly kind: 'group'; readonly index: number; readonly name: string; readonly item: Regex }
  | { readonly kind: 'assert'; readonly what: Assertion };

export type Assertion = 'text_start' | 'text_end' | 'line_start' | 'line_end' | 'word' | 'not_word';

export const EMPTY: Regex = { kind: 'concat', items: [] };

export interface ParsedRegex {
  readonly root: Regex;
  /** Names by group number; [0] is the whole match, '' a group without a name. */
  readonly names: readonly string[];
  /** Nodes and ranges of classes that it took to read: what a pattern costs, where a query has many. */
  readonly cost: number;
}

export interface RegexFlags {
  ignoreCase: boolean;
  /** `.` matches a newline. */
  dotNewline: boolean;
  /** `^` and `$` match at lines. */
  multiline: boolean;
  /** Lazy and greedy trade places. */
  swapGreed: boolean;
}

const MAX_REPEAT = 1000;
const MAX_DEPTH = 1000;
/** A few characters of a pattern can stand for a thousand ranges. */
const MAX_COST = 1_000_000;

/** Parses RE2 syntax; throws Fault parse_error with the text that Go's regexp gives. */
export function parseRegex(pattern: string, { dotNewline = false } = {}): ParsedRegex {
  return new RegexParser(pattern, { ignoreCase: false, dotNewline, multiline: false, swapGreed: false }).parse();
}

function regexFault(what: string, excerpt: string): Fault {
  return new Fault('parse_error', `error parsing regexp: ${what}: \`${excerpt}\``);
}

class RegexParser {
  readonly #text: string;
  #at = 0;
  #flags: RegexFlags;
  #depth = 0;
  readonly #names: string[] = [''];
  #cost = 0;

  constructor(text: string, flags: RegexFlags) {
    this.#text = text;
    this.#flags = flags;
  }

  parse(): ParsedRegex {
    const root = this.#alternation();
    if (this.#at < this.#text.length) throw regexFault('unexpected )', this.#text);
    return { root, names: this.#names, cost: this.#cost };
  }

  #spend(cost: number): void {
    this.#cost += cost;
    if (this.#cost > MAX_COST)
      throw new Fault('limit_exceeded', `regular expression too large: its classes have more than ${MAX_COST} ranges`);
  }

  #alternation(): Regex {
    if (++this.#depth > MAX_DEPTH) throw regexFault('expression nests too deeply', this.#text);
    const branches = [this.#concatenation()];
    while (this.#text[this.#at] === '|') {
      this.#at++;
      branches.push(this.#concatenation());
    }
    this.#depth--;
    return branches.length === 1 ? branches[0] : { kind: 'alternate', items: branches };
  }

  #concatenation(): Regex {
    const items: Regex[] = [];
    let repeatFrom = -1; // where the repetition operator in front of #at starts
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at];
      if (char === '|' || char === ')') break;
      const from = this.#at;
      const counts = this.#repetition();
      if (counts === undefined) {
        repeatFrom = -1;
        this.#atom(items);
        continue;
      }
      if (repeatFrom >= 0) throw regexFault('invalid nested repetition operator', this.#text.slice(repeatFrom, this.#at));
      const item = items.pop();
      if (item === undefined) throw regexFault('missing argument to repetition operator', this.#text.slice(from, this.#at));
      const repeat: Regex = { kind: 'repeat', item, ...counts };
      if (repeatCost(repeat) > MAX_REPEAT) throw regexFault('invalid repeat count', this.#text.slice(from, this.#at));
      items.push(repeat);
      repeatFrom = from;
    }
    return items.length === 1 ? items[0] : { kind: 'concat', items };
  }

  /** Takes `*`, `+`, `?` or `{n,m}` and a `?` after it; takes nothing if none is there, or the brace is a literal one. */
  #repetition(): { min: number; max: number; lazy: boolean } | undefined {
    const from = this.#at;
    const simple = { '*': [0, Infinity], '+': [1, Infinity], '?': [0, 1] }[this.#text[from]];
    let [min, max] = simple ?? [0, 0];
    if (simple !== undefined) this.#at++;
    else {
      const counted = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(from, from + 32));
      if (counted === null || /^0\d/.test(counted[1]) || /^0\d/.test(counted[3] ?? '')) return undefined;
      min = Number(counted[1]);
      max = counted[2] === undefined ? min : counted[3] === '' ? Infinity : Number(counted[3]);
      this.#at += counted[0].length;
      if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Infinity) || max < min)
        throw regexFault('invalid repeat count', this.#text.slice(from, this.#at));
    }
    const lazy = this.#text[this.#at] === '?';
    if (lazy) this.#at++;
    return { min, max, lazy: lazy !== this.#flags.swapGreed };
  }

  #atom(items: Regex[]): void {
    this.#spend(1);
    const char = this.#text[this.#at];
    if (char === '(') this.#group(items);
    else if (char === '[') items.push({ kind: 'class', ranges: this.#class() });
    else if (char === '\\') this.#escape(items);
    else if (char === '.') {
      this.#at++;
      items.push({ kind: 'class', ranges: this.#flags.dotNewline ? ANY : ANY_BUT_NEWLINE });
    } else if (char === '^') {
      this.#at++;
      items.push({ kind: 'assert', what: this.#flags.multiline ? 'line_start' : 'text_start' });
    } else if (char === '$') {
      this.#at++;
      items.push({ kind: 'assert', what: this.#flags.multiline ? 'line_end' : 'text_end' });
    } else items.push(this.#literal(this.#rune()));
  }

  #rune(): number {
    const code = this.#text.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #literal(code: number): Regex {
    return { kind: 'class', ranges: this.#folded([code, code]) };
  }

  #folded(ranges: Ranges): Ranges {
    return this.#flags.ignoreCase ? folded(ranges) : ranges;
  }

  #group(items: Regex[]): void {
    const from = this.#at;
    const outer = this.#flags;
    let capture: { index: number; name: string } | undefined;
    if (!this.#text.startsWith('(?', from)) {
      this.#at++;
      capture = { index: this.#names.push('') - 1, name: '' };
    } else if (this.#text.startsWith('(?P<', from) || this.#text.startsWith('(?<', from)) {
      const close = this.#text.indexOf('>', from);
      if (close < 0) throw regexFault('invalid named capture', this.#text.slice(from));
      const name = this.#text.slice(this.#text.indexOf('<', from) + 1, close);
      if (!/^[A-Za-z0-9_]+$/.test(name)) throw regexFault('invalid named capture', this.#text.slice(from, close + 1));
      this.#at = close + 1;
      capture = { index: this.#names.push(name) - 1, name };
    } else {
      this.#flags = this.#groupFlags();
      if (this.#text[this.#at++] === ')') return; // (?i): for the rest of the group around it
    }
    const item = this.#alternation();
    if (this.#text[this.#at] !== ')') throw regexFault('missing closing )', this.#text);
    this.#at++;
    this.#flags = outer;
    items.push(capture === undefined ? item : { kind: 'group', ...capture, item });
  }

  /** Reads `(?flags` up to its `:` or `)`. */
  #groupFlags(): RegexFlags {
    const from = this.#at;
    this.#at += 2;
    const flags = { ...this.#flags };
    let on = true;
    let any = true; // a '-' wants a flag after it
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if ((char === ':' || char === ')') && any) return flags;
      if (char === '-' && on) {
        on = false;
        any = false;
        continue;
      }
      const flag = GROUP_FLAGS[char];
      if (flag === undefined) throw regexFault('invalid or unsupported Perl syntax', this.#text.slice(from, this.#at + 1));
      flags[flag] = on;
      any = true;
    }
    throw regexFault('missing closing )', this.#text);
  }

  #escape(items: Regex[]): void {
    const next = this.#text[this.#at + 1];
    const assertion = ESCAPED_ASSERTIONS[next];
    if (assertion !== undefined) {
      this.#at += 2;
      items.push({ kind: 'assert', what: assertion });
    } else if (next === 'Q') {
      const end = this.#text.indexOf('\\E', this.#at + 2);
      const quoted = this.#text.slice(this.#at + 2, end < 0 ? this.#text.length : end);
      this.#at = end < 0 ? this.#text.length : end + 2;
      for (const char of quoted) items.push(this.#literal(char.codePointAt(0)!));
    } else {
      const named = this.#namedClass();
      items.push(named === undefined ? this.#literal(this.#escapedRune()) : { kind: 'class', ranges: named });
    }
  }

  /** Takes `\d`, `\pL` and their like, if one is there. */
  #namedClass(): Ranges | undefined {
    const from = this.#at;
    const next = this.#text[from + 1];
    const perl = PERL_CLASSES[next?.toLowerCase()];
    if (perl !== undefined) {
      this.#at += 2;
      const ranges = this.#folded(perl);
      return next === next.toLowerCase() ? ranges : negated(ranges);
    }
    if (next !== 'p' && next !== 'P') return undefined;
    this.#at += 2;
    let name = '';
    if (this.#text[this.#at] === '{') {
      const close = this.#text.indexOf('}', this.#at);
      if (close < 0) throw regexFault('invalid character class range', this.#text.slice(from));
      name = this.#text.slice(this.#at + 1, close);
      this.#at = close + 1;
    } else if (this.#at < this.#text.length) name = String.fromCodePoint(this.#rune());
    const inverted = name.startsWith('^');
    const ranges = unicodeClass(inverted ? name.slice(1) : name);
    if (ranges === undefined) throw regexFault('invalid character class range', this.#text.slice(from, this.#at));
    return (next === 'P') !== inverted ? negated(this.#folded(ranges)) : this.#folded(ranges);
  }

  #escapedRune(): number {
    const from = this.#at;
    this.#at++;
    if (this.#at === this.#text.length) throw regexFault('trailing backslash at end of expression', '');
    const rest = this.#text.slice(this.#at);
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest)?.[0]; // one digit from 1 on would be a back-reference
    const hex = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})/.exec(rest);
    const digits = hex?.[1] ?? hex?.[2];
    if (octal !== undefined) {
      this.#at += octal.length;
      return Number.parseInt(octal, 8);
    }
    if (hex !== null && digits !== undefined && Number.parseInt(digits, 16) <= MAX_CODE_POINT) {
      this.#at += hex[0].length;
      return Number.parseInt(digits, 16);
    }
    const code = this.#rune();
    const control = CONTROL_ESCAPES[String.fromCodePoint(code)];
    if (control !== undefined) return control;
    if (code < 0x80 && !/[0-9A-Za-z]/.test(String.fromCharCode(code))) return code;
    throw regexFault('invalid escape sequence', this.#text.slice(from, this.#at));
  }

  #class(): Ranges {
    const from = this.#at++;
    const inverted = this.#text[this.#at] === '^';
    if (inverted) this.#at++;
    const pairs: number[] = [];
    for (let first = true; first || this.#text[this.#at] !== ']'; first = false) {
      if (this.#at >= this.#text.length) throw regexFault('missing closing ]', this.#text.slice(from));
      const named = this.#posixClass() ?? (this.#text[this.#at] === '\\' ? this.#namedClass() : undefined);
      if (named !== undefined) {
        this.#spend(named.length);
        for (const bound of named) pairs.push(bound);
        continue;
      }
      const rangeFrom = this.#at;
      const lo = this.#classRune(from);
      let hi = lo;
      if (this.#text[this.#at] === '-' && this.#at + 1 < this.#text.length && this.#text[this.#at + 1] !== ']') {
        this.#at++;
        hi = this.#classRune(from);
        if (hi < lo) throw regexFault('invalid character class range', this.#text.slice(rangeFrom, this.#at));
      }
      const ranges = this.#folded([lo, hi]);
      this.#spend(ranges.length);
      for (const bound of ranges) pairs.push(bound);
    }
    this.#at++;
    return inverted ? negate(normalise(pairs)) : normalise(pairs);
  }

  #classRune(classFrom: number): number {
    if (this.#at >= this.#text.length) throw regexFault('missing closing ]', this.#text.slice(classFrom));
    return this.#text[this.#at] === '\\' ? this.#escapedRune() : this.#rune();
  }

  /** Takes `[:name:]` or `[:^name:]`, if one is there. */
  #posixClass(): Ranges | undefined {
    if (!this.#text.startsWith('[:', this.#at)) return undefined;
    const end = this.#text.indexOf(':]', this.#at + 2);
    if (end < 0) return undefined;
    const name = this.#text.slice(this.#at + 2, end);
    const inverted = name.startsWith('^');
    const ranges = POSIX_CLASSES[inverted ? name.slice(1) : name];
    if (ranges === undefined) throw regexFault('invalid character class range', this.#text.slice(this.#at, end + 2));
    this.#at = end + 2;
    return inverted ? negate(this.#folded(ranges)) : this.#folded(ranges);
  }
}

/** What was made of named classes, which are the same objects every time, by what it was made of. */
const negatedClasses = new WeakMap<Ranges, Ranges>();
const foldedClasses = new WeakMap<Ranges, Ranges>();

const negated = (ranges: Ranges): Ranges => remembered(negatedClasses, ranges, negate);
const folded = (ranges: Ranges): Ranges => (ranges.length === 2 ? foldCase(ranges) : remembered(foldedClasses, ranges, foldCase));

function remembered(made: WeakMap<Ranges, Ranges>, of: Ranges, make: (ranges: Ranges) => Ranges): Ranges {
  let ranges = made.get(of);
  if (ranges === undefined) {
    ranges = make(of);
    made.set(of, ranges);
  }
  return ranges;
}

/** The product of nested counts, which Go bounds so that expanding them stays small. */
function repeatCost(node: Regex): number {
  switch (node.kind) {
    case 'repeat': {
      const times = node.max === Infinity ? node.min : node.max;
      const plain = (node.min === 0 && node.max === 1) || (node.min <= 1 && node.max === Infinity);
      return repeatCost(node.item) * (plain ? 1 : Math.max(times, 1));
    }
    case 'group':
      return repeatCost(node.item);
    case 'concat':
    case 'alternate':
      return node.items.reduce((most, item) => Math.max(most, repeatCost(item)), 1);
    default:
      return 1;
  }
}

const GROUP_FLAGS: Readonly<Record<string, keyof RegexFlags>> = { i: 'ignoreCase', m: 'multiline', s: 'dotNewline', U: 'swapGreed' };
const ESCAPED_ASSERTIONS: Readonly<Record<string, Assertion>> = { A: 'text_start', z: 'text_end', b: 'word', B: 'not_word' };
const PERL_CLASSES: Readonly<Record<string, Ranges>> = { d: DIGIT, s: SPACE, w: WORD };
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
