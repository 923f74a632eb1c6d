import type { Extraction } from '../syntax/ast.ts';
import {
  CLOSE_BRACE,
  COLON,
  COMMA,
  closingQuote,
  JsonValue,
  OPEN_BRACE,
  OPEN_BRACKET,
  skipSpace,
  unescapedText,
  unescapeJson,
  valueText,
} from './json-bytes.ts';
import type { LabelState } from './label-state.ts';
import type { Wanted } from './wanted.ts';

/** What is inside a value: by name in an object, by number in an array. */
interface PathNode {
  /** Labels that want this value. */
  readonly labels: string[];
  readonly inside: Map<string | number, PathNode>;
}

/** The steps of `a.b[0]["c d"]`. Throws Error with the reason. */
export function parseJsonPath(expression: string): (string | number)[] {
  const steps: (string | number)[] = [];
  const step = /(\.?)([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]/y;
  while (step.lastIndex < expression.length) {
    const from = step.lastIndex;
    const match = step.exec(expression);
    const misplaced = match?.[2] !== undefined && (match[1] === '.') === (from === 0);
    if (match === null || misplaced)
      throw new Error(`cannot parse expression [${expression}]: syntax error: ${whatIsWrong(expression, from)}`);
    if (match[2] !== undefined) steps.push(match[2]);
    else if (match[3] !== undefined) steps.push(Number(match[3]));
    else steps.push(unescapeJson(match[4]) ?? match[4]);
  }
  if (steps.length === 0) throw new Error(`cannot parse expression [${expression}]: syntax error: unexpected $end`);
  return steps;
}

function whatIsWrong(expression: string, from: number): string {
  const rest = expression.slice(from);
  if (rest.startsWith('..') || (from === 0 && rest.startsWith('.'))) return 'unexpected DOT, expecting FIELD';
  if (rest.startsWith('[')) return 'unexpected $end, expecting STRING or INDEX';
  return `unexpected ${/^[A-Za-z_]/.test(rest) ? 'FIELD' : rest === '.' ? '$end, expecting FIELD' : rest[0]}`;
}

/** Makes labels of the values at paths. A path that leads nowhere gives '' unless the name is taken. */
export function jsonPathExtractor(extractions: readonly Extraction[], wanted: Wanted): (state: LabelState) => void {
  const root: PathNode = { labels: [], inside: new Map() };
  for (const { label, expression } of extractions) {
    let node = root;
    for (const step of parseJsonPath(expression)) {
      const next = node.inside.get(step) ?? { labels: [], inside: new Map() };
      node.inside.set(step, next);
      node = next;
    }
    node.labels.push(label);
  }
  if (wanted.nothing) return () => {};
  return (state) => {
    if (state.from === state.to) return;
    const first = state.bytes[state.from];
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET && first !== 0x22) {
      state.fail('JSONParserErr', '');
      return;
    }
    const search = new PathSearch(state, extractions.length);
    search.inside(root, state.from, state.to);
    if (search.open === 0) return;
    for (const { label } of extractions) if (state.get(label) === undefined) state.set(label, '');
  };
}

/** One search of one line. It stops quietly at what is malformed; only a value that is asked for can be an error. */
class PathSearch {
  /** Labels still to be found. */
  open: number;
  readonly #state: LabelState;
  readonly #found = new Set<PathNode>();

  constructor(state: LabelState, labels: number) {
    this.#state = state;
    this.open = labels;
  }

  /** Looks into the object or array at `from`. False: look no further. */
  inside(node: PathNode, from: number, end: number): boolean {
    if (node.inside.size === 0) return true;
    const { bytes } = this.#state;
    const value = new JsonValue();
    const isObject = bytes[from] === OPEN_BRACE;
    if (!isObject && bytes[from] !== OPEN_BRACKET) return true;
    let at = skipSpace(bytes, from + 1, end);
    for (let index = 0; at >= 0; index++) {
      let step: string | number = index;
      if (isObject) {
        if (bytes[at] !== 0x22) return bytes[at] === CLOSE_BRACE;
        const keyTo = closingQuote(bytes, at + 1, end);
        if (keyTo < 0) return false;
        const key = bytes.toString('utf8', at + 1, keyTo);
        step = key.includes('\\') ? (unescapeJson(key) ?? key) : key;
        at = skipSpace(bytes, keyTo + 1, end);
        if (at < 0 || bytes[at] !== COLON) return false;
        at++;
      } else if (bytes[at] === 0x5d) return true;
      const next = node.inside.get(step);
      const wanted = next !== undefined && !this.#found.has(next) ? next : undefined;
      const fault = value.read(bytes, at, end);
      if (fault !== undefined) {
        if (wanted !== undefined && wanted.labels.length > 0) this.#state.fail('JSONParserErr', fault);
        return false;
      }
      if (wanted !== undefined) {
        this.#found.add(wanted);
        this.#keep(wanted, value);
        if (this.open === 0 || !this.inside(wanted, value.from, value.to)) return false;
      }
      at = skipSpace(bytes, value.next, end);
      if (at < 0 || bytes[at] !== COMMA) return at >= 0;
      at = skipSpace(bytes, at + 1, end);
    }
    return false;
  }

  #keep(node: PathNode, { type, from, to }: JsonValue): void {
    for (const label of node.labels) {
      const { bytes } = this.#state;
      const text = type === 'null' ? '' : type === 'object' ? valueText(bytes, from, to) : unescapedText(bytes, from, to);
      const name = this.#state.extractedName(label);
      this.#state.set(name, text);
      this.#state.extracted.add(name);
      this.open--;
    }
  }
}
