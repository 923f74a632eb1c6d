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
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipSpace,
  unescapedText,
  unescapeJson,
  valueText,
} from './json-bytes.ts';
import { parseJsonPath } from './json-path.ts';
import type { LabelState } from './label-state.ts';
import type { Wanted } from './wanted.ts';

/** Where a label's value is: names of fields, and elements as `[2]`. */
interface Path {
  readonly label: string;
  readonly steps: readonly string[];
}

/** Makes labels of the values at paths. A path that leads nowhere gives '' unless the name is taken. */
export function jsonPathExtractor(extractions: readonly Extraction[], wanted: Wanted): (state: LabelState) => void {
  const paths = extractions.map(({ label, expression }): Path => {
    return { label, steps: parseJsonPath(expression).map((step) => (typeof step === 'number' ? `[${step}]` : step)) };
  });
  if (wanted.nothing) return () => {};
  return (state) => {
    if (state.from === state.to || wanted.complete(state)) return;
    const first = state.bytes[state.from];
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET && first !== QUOTE) {
      state.failParser('JSONParserErr');
      return;
    }
    const search = new PathSearch(state, paths);
    search.run();
    if (search.found === paths.length) return;
    for (const { label } of paths) if (state.get(label) === undefined) state.set(label, '');
  };
}

/** One search of one line, as lenient as Loki's: it goes over brackets and keys and counts levels, whatever stands between them. Only a value that is asked
 *  for can be an error, and the search goes on behind it. */
class PathSearch {
  /** Values that were made labels. */
  found = 0;
  readonly #state: LabelState;
  readonly #paths: readonly Path[];
  readonly #longest: number;
  /** Paths whose end was reached. */
  readonly #done = new Set<Path>();
  /** The last key at each level. */
  readonly #keys: string[] = [];
  readonly #value = new JsonValue();
  #level = 0;

  constructor(state: LabelState, paths: readonly Path[]) {
    this.#state = state;
    this.#paths = paths;
    this.#longest = Math.max(...paths.map(({ steps }) => steps.length));
  }

  run(): void {
    const { bytes, from, to } = this.#state;
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
  }

  /** A string, perhaps a key. Returns where to go on, -1 for nowhere. */
  #string(from: number, end: number): number {
    const { bytes } = this.#state;
    const close = closingQuote(bytes, from, end);
    const at = close < 0 ? -1 : skipSpace(bytes, close + 1, end);
    if (at < 0 || bytes[at] !== COLON) return at;
    const key = unescapeJson(bytes.toString('utf8', from, close));
    if (key === undefined) return -1;
    if (this.#level > this.#longest) return at + 1;
    if (this.#level < 1) return this.#malformed();
    this.#keys[this.#level - 1] = key;
    for (const path of this.#paths) {
      if (path.steps.length !== this.#level || this.#done.has(path) || !this.#leadsHere(path, this.#level)) continue;
      this.#done.add(path);
      this.#keep(path, this.#value.read(bytes, at + 1, end));
    }
    return this.#done.size === this.#paths.length ? -1 : at + 1;
  }

  /** Whether the path begins with the keys of the first `levels` levels. */
  #leadsHere({ steps }: Path, levels: number): boolean {
    for (let level = 0; level < Math.min(steps.length, levels); level++) if (steps[level] !== (this.#keys[level] ?? '')) return false;
    return true;
  }

  /** An array: left out, or looked into for the elements that paths want. Returns where to go on. */
  #array(from: number, end: number): number {
    const { bytes } = this.#state;
    const level = this.#level;
    if (level < 0) return this.#malformed();
    const wanted = this.#paths.filter((path) => {
      const { steps } = path;
      return steps.length > level && steps[level][0] === '[' && !this.#done.has(path) && this.#leadsHere(path, level);
    });
    if (wanted.length === 0) return blockEnd(bytes, from, end);
    this.#level++;
    const next = eachElement(bytes, from, end, this.#value, (index) => {
      const { type, from: valueFrom, to: valueTo } = this.#value;
      for (const path of wanted) {
        if (path.steps[level] !== `[${index}]`) continue;
        this.#done.add(path);
        const at = findPath(bytes, valueFrom, valueTo, path.steps.slice(level + 1));
        if (at < 0) continue;
        if (type === 'string') {
          this.#value.from = at;
          this.#keep(path, undefined);
        } else this.#keep(path, this.#value.read(bytes, at, valueTo));
      }
    });
    return this.#done.size === this.#paths.length ? -1 : next;
  }

  #malformed(): -1 {
    this.#state.failParser('JSONParserErr', JSON_FAULTS.malformed);
    return -1;
  }

  /** Makes the value just read the path's label, unless it is faulty. */
  #keep({ label }: Path, fault: string | undefined): void {
    if (fault !== undefined) {
      this.#state.failParser('JSONParserErr', fault);
      return;
    }
    const { type, from, to } = this.#value;
    const { bytes } = this.#state;
    const text = type === 'null' ? '' : type === 'object' ? valueText(bytes, from, to) : unescapedText(bytes, from, to);
    this.#state.set(this.#state.extractedName(label), text);
    this.found++;
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
