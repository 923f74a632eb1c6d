import { sameBytes } from '../../ops/base/bytes.ts';
import type { Extraction } from '../syntax/ast.ts';
import {
  blockEnd,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  closingQuote,
  JSON_FAULTS,
  JsonValue,
  keyLiteral,
  OPEN_BRACE,
  OPEN_BRACKET,
  plainEnd,
  QUOTE,
  skipSpace,
  stringEnd,
  unescapedText,
  unescapeJson,
  valueText,
  viewOf,
} from './json-bytes.ts';
import { parseJsonPath } from './json-path.ts';
import type { KeyLiteral } from './key-table.ts';
import type { LabelState } from './label-state.ts';
import { TextTable } from './text-table.ts';
import type { Wanted } from './wanted.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Where a label's value is: names of fields, and elements as `[2]`. */
interface Path {
  readonly label: string;
  readonly steps: readonly string[];
  /** The steps' bytes, where bytes of a key that are others cannot stand for the same text: where all are ASCII. */
  readonly bytes: readonly (Buffer | undefined)[];
}

function pathOf({ label, expression }: Extraction): Path {
  const steps = parseJsonPath(expression).map((step) => (typeof step === 'number' ? `[${step}]` : step));
  return { label, steps, bytes: steps.map((step) => (/^[\0-\x7f]*$/.test(step) ? Buffer.from(step) : undefined)) };
}

/** Makes labels of the values at paths. A path that leads nowhere gives '' unless the name is taken. */
export function jsonPathExtractor(extractions: readonly Extraction[], wanted: Wanted): (state: LabelState) => void {
  const paths = extractions.map(pathOf);
  if (wanted.nothing) return () => {};
  const search = new PathSearch(paths);
  return (state) => {
    if (state.from === state.to || wanted.complete(state)) return;
    const first = state.bytes[state.from];
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET && first !== QUOTE) {
      state.failParser('JSONParserErr');
      return;
    }
    if (search.run(state) === paths.length) return;
    for (const { label } of paths) if (state.get(label) === undefined) state.set(label, '');
  };
}

/** A key of the outermost object that is no step of a path, and the one of those that came next when it was met last. */
interface PassedKey {
  readonly literal: KeyLiteral;
  next: PassedKey | undefined;
}

/** Keys that are remembered. */
const MOST_PASSED = 1_024;

/** Searches of lines, as lenient as Loki's: they go over brackets and keys and count levels, whatever stands between them. Only a value that is asked
 *  for can be an error, and the search goes on behind it. */
class PathSearch {
  readonly #paths: readonly Path[];
  readonly #longest: number;
  readonly #value = new JsonValue();
  readonly #strings = new TextTable(unescapedText);
  /** For each path and each of `#longest` levels, whether the last key at that level is the path's step; 1 from the start if the step is ''. */
  readonly #agrees: Uint8Array;
  readonly #agreesAtFirst: Uint8Array;
  /** By path: 1 once its end was reached. */
  readonly #done: Uint8Array;
  readonly #passed = new Map<string, PassedKey>();
  /** The first of them in the last line. */
  #firstPassed: PassedKey | undefined;
  /** The last of them in this line. */
  #lastPassed: PassedKey | undefined;
  #left = 0;
  /** Values that were made labels. */
  #found = 0;
  #level = 0;
  #state: LabelState | undefined;
  #bytes = NO_BYTES;
  #view = viewOf(NO_BYTES);

  constructor(paths: readonly Path[]) {
    this.#paths = paths;
    const longest = Math.max(...paths.map(({ steps }) => steps.length));
    this.#longest = longest;
    this.#agreesAtFirst = Uint8Array.from({ length: paths.length * longest }, (_, at) =>
      Number(paths[Math.floor(at / longest)].steps[at % longest] === ''),
    );
    this.#agrees = this.#agreesAtFirst.slice();
    this.#done = new Uint8Array(paths.length);
  }

  /** Returns how many values were made labels. */
  run(state: LabelState): number {
    const { bytes, from, to } = state;
    this.#state = state;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    for (let at = 0; at < this.#agrees.length; at++) this.#agrees[at] = this.#agreesAtFirst[at];
    for (let path = 0; path < this.#done.length; path++) this.#done[path] = 0;
    this.#left = this.#paths.length;
    this.#found = 0;
    this.#level = 0;
    this.#lastPassed = undefined;
    for (let at = from; at >= 0 && at < to; ) {
      switch (bytes[at]) {
        case QUOTE:
          at = this.#string(at + 1, to);
          break;
        case OPEN_BRACKET:
          at = this.#array(at, to);
          break;
        case OPEN_BRACE:
          this.#level++;
          at++;
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          this.#level--;
          at++;
          break;
        default:
          at++;
      }
    }
    return this.#found;
  }

  /** A string, perhaps a key. Returns where to go on, -1 for nowhere. */
  #string(from: number, end: number): number {
    const bytes = this.#bytes;
    if (this.#level === 1) {
      const behind = this.#passOver(from - 1, end);
      if (behind >= from) return behind;
    }
    let close = plainEnd(this.#view, from, end);
    const escaped = close < end && bytes[close] !== QUOTE;
    if (escaped) close = closingQuote(bytes, close, end);
    else if (close === end) return -1;
    const at = close < 0 ? -1 : skipSpace(bytes, close + 1, end);
    if (at < 0 || bytes[at] !== COLON) return at;
    const unescaped = escaped ? unescapeJson(bytes.toString('utf8', from, close)) : '';
    if (unescaped === undefined) return -1;
    const level = this.#level;
    const longest = this.#longest;
    if (level > longest) return at + 1;
    if (level < 1) return this.#malformed();
    let passed = true;
    for (let number = 0; number < this.#paths.length; number++) {
      const { steps, bytes: stepBytes } = this.#paths[number];
      if (steps.length < level) continue;
      const step = stepBytes[level - 1];
      const agrees = escaped
        ? unescaped === steps[level - 1]
        : step === undefined
          ? bytes.toString('utf8', from, close) === steps[level - 1]
          : sameBytes(bytes, from, close, step);
      this.#agrees[number * longest + level - 1] = Number(agrees);
      if (agrees) passed = false;
      if (steps.length !== level || this.#done[number] === 1 || !this.#leadsHere(number, level)) continue;
      this.#finish(number);
      this.#keep(number, this.#value.read(bytes, at + 1, end));
    }
    if (passed && level === 1) this.#remember(bytes.toString('latin1', from, close));
    return this.#left === 0 ? -1 : at + 1;
  }

  /** Passes over the fields from the quote at `from` on as long as their keys are those that came there in the line before. Returns where to go on: `from` if the
   *  first is another already. */
  #passOver(from: number, end: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    let at = from;
    for (;;) {
      const expected: PassedKey | undefined = this.#lastPassed === undefined ? this.#firstPassed : this.#lastPassed.next;
      if (expected === undefined || !expected.literal.isAt(view, at, end)) break;
      this.#lastPassed = expected;
      at += expected.literal.length;
      const value = at;
      if (at < end && bytes[at] === QUOTE) {
        at = stringEnd(bytes, view, at + 1, end) + 1;
        if (at === 0) return this.#disagree(value);
      } else while (at < end && bytes[at] >= 0x30 && bytes[at] <= 0x39) at++;
      // A value that a colon follows would be a key too.
      if (at + 1 >= end || bytes[at] !== COMMA || bytes[at + 1] !== QUOTE) return this.#disagree(value);
      at++;
    }
    return at === from ? from : this.#disagree(at);
  }

  /** Notes that the last key of the outermost object is no path's step. Returns `at`. */
  #disagree(at: number): number {
    for (let number = 0; number < this.#paths.length; number++) this.#agrees[number * this.#longest] = 0;
    return at;
  }

  #remember(key: string): void {
    let passed = this.#passed.get(key);
    if (passed === undefined) {
      const literal = /^[ -~]+$/.test(key) ? keyLiteral(key) : undefined;
      if (literal === undefined) return;
      if (this.#passed.size >= MOST_PASSED) {
        for (const forgotten of this.#passed.values()) forgotten.next = undefined; // or each would keep the next alive
        this.#passed.clear();
      }
      passed = { literal, next: undefined };
      this.#passed.set(key, passed);
    }
    if (this.#lastPassed === undefined) this.#firstPassed = passed;
    else this.#lastPassed.next = passed;
    this.#lastPassed = passed;
  }

  #finish(number: number): void {
    if (this.#done[number] === 1) return;
    this.#done[number] = 1;
    this.#left--;
  }

  /** Whether the path begins with the keys of the first `levels` levels. */
  #leadsHere(number: number, levels: number): boolean {
    const to = Math.min(this.#paths[number].steps.length, levels);
    for (let level = 0; level < to; level++) if (this.#agrees[number * this.#longest + level] === 0) return false;
    return true;
  }

  /** An array: left out, or looked into for the elements that paths want. Returns where to go on. */
  #array(from: number, end: number): number {
    const bytes = this.#bytes;
    const level = this.#level;
    if (level < 0) return this.#malformed();
    const wanted = level < this.#longest ? this.#wantInside(level) : [];
    if (wanted.length === 0) return blockEnd(bytes, from, end);
    this.#level++;
    const next = eachElement(bytes, from, end, this.#value, (index) => {
      const { type, from: valueFrom, to: valueTo } = this.#value;
      for (const number of wanted) {
        const { steps } = this.#paths[number];
        if (steps[level] !== `[${index}]`) continue;
        this.#finish(number);
        const at = findPath(bytes, valueFrom, valueTo, steps.slice(level + 1));
        if (at < 0) continue;
        if (type === 'string') {
          this.#value.from = at;
          this.#keep(number, undefined);
        } else this.#keep(number, this.#value.read(bytes, at, valueTo));
      }
    });
    return this.#left === 0 ? -1 : next;
  }

  /** The paths that want an element of an array at this level. */
  #wantInside(level: number): number[] {
    const wanted: number[] = [];
    for (const [number, { steps }] of this.#paths.entries()) {
      if (steps.length > level && steps[level][0] === '[' && this.#done[number] === 0 && this.#leadsHere(number, level))
        wanted.push(number);
    }
    return wanted;
  }

  #malformed(): -1 {
    this.#state!.failParser('JSONParserErr', JSON_FAULTS.malformed);
    return -1;
  }

  /** Makes the value just read the path's label, unless it is faulty. */
  #keep(number: number, fault: string | undefined): void {
    const state = this.#state!;
    if (fault !== undefined) {
      state.failParser('JSONParserErr', fault);
      return;
    }
    const { type, from, to } = this.#value;
    const text = type === 'null' ? '' : type === 'object' ? valueText(this.#bytes, from, to) : this.#strings.of(this.#bytes, from, to);
    state.set(state.extractedName(this.#paths[number].label), text);
    this.#found++;
  }
}

/** Calls `visit` for each element of the array at `from`, which is in `value`, up to the first fault. Returns where its end or the fault is. */
function eachElement(bytes: Buffer, from: number, end: number, value: JsonValue, visit: (index: number) => void): number {
  let at = skipSpace(bytes, from + 1, end);
  if (at < 0) return from + 1;
  if (bytes[at] === CLOSE_BRACKET) return at;
  for (let index = 0; ; index++) {
    if (value.read(bytes, at, end) !== undefined) return at;
    const { next } = value;
    visit(index);
    at = skipSpace(bytes, next, end);
    if (at < 0) return next;
    if (bytes[at] !== COMMA) return at;
    at++;
  }
}

/** Where the value at `steps` within the value at bytes [from, end) starts, -1 if there is none. */
function findPath(bytes: Buffer, from: number, end: number, steps: readonly string[]): number {
  if (steps.length === 0) return from;
  let level = 0;
  let matched = 0;
  let descends = true;
  for (let at = from; at < end; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const close = closingQuote(bytes, at + 1, end);
        const next = close < 0 ? -1 : skipSpace(bytes, close + 1, end);
        if (next < 0) return -1;
        if (bytes[next] !== COLON) {
          at = next - 1;
          break;
        }
        const key = unescapeJson(bytes.toString('utf8', at + 1, close));
        if (key === undefined || level < 1 || level > steps.length) return -1;
        descends = key === steps[level - 1];
        if (descends && matched === level - 1 && ++matched === steps.length) return next + 1;
        at = next;
        break;
      }
      case OPEN_BRACE:
        if (descends) level++;
        else {
          const close = blockEnd(bytes, at, end);
          if (close < 0) return -1;
          at = close - 1;
        }
        break;
      case CLOSE_BRACE:
        if (--level === matched) matched--;
        break;
      case OPEN_BRACKET: {
        if (matched === level && steps[level][0] === '[') return findElement(bytes, at, end, steps.slice(level));
        const close = blockEnd(bytes, at, end);
        if (close < 0) return -1;
        at = close - 1;
        break;
      }
      case COLON:
        return -1;
    }
  }
  return -1;
}

/** As `findPath`, for an array at `from`; the first step is an element's number. */
function findElement(bytes: Buffer, from: number, end: number, [step, ...rest]: readonly string[]): number {
  const value = new JsonValue();
  let found = -1;
  eachElement(bytes, from, end, value, (index) => {
    if (step !== `[${index}]`) return;
    const isString = value.type === 'string';
    found = findPath(bytes, value.from - Number(isString), value.to + Number(isString), rest);
  });
  return found;
}
