import {
  blockEnd,
  CLOSE_BRACE,
  COLON,
  COMMA,
  JSON_FAULTS,
  JsonValue,
  keyLiteral,
  OPEN_BRACE,
  QUOTE,
  skipSpace,
  stringEnd,
  tokenEnd,
  unescapedText,
  unescapeJson,
  valueText,
  viewOf,
} from './json-bytes.ts';
import { hashByte, type KeyEntry, KeyTable } from './key-table.ts';
import type { LabelState } from './label-state.ts';
import { TextTable } from './text-table.ts';
import type { Wanted } from './wanted.ts';

/** Objects deeper than this are passed over, so that names cannot grow with the square of the line. */
const MOST_DEPTH = 128;

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Told of each label that is made, and of the key that it is made from. */
export type FieldFound = (name: string, key: KeyEntry) => void;

/** What became of a line: whatever else is a fault's text. */
const DROPPED = Symbol('dropped');

/** Makes a label of each scalar field of the line; false if the entry is to be dropped for one of them; fields of nested objects are joined by `_`, arrays and null are passed over.
 *  Stops reading once every wanted label is found, so what is wrong behind goes unnoticed. */
export function jsonExtractor(wanted: Wanted, found?: FieldFound): (state: LabelState) => boolean {
  if (wanted.nothing) return () => true;
  const walker = new JsonWalker(wanted, found);
  return (state) => {
    if (wanted.complete(state)) return true;
    const fault = walker.run(state);
    if (fault === DROPPED) return false;
    if (fault !== undefined) state.failParser('JSONParserErr', fault);
    return true;
  };
}

class JsonWalker {
  readonly #wanted: Wanted;
  readonly #keys: KeyTable;
  readonly #found: FieldFound | undefined;
  readonly #value = new JsonValue();
  /** The objects that the walk is inside of. */
  readonly #path: KeyEntry[] = [];
  /** What the line is in: mostly the same from line to line. */
  #bytes = NO_BYTES;
  #view = viewOf(NO_BYTES);
  /** Where the value of the key read last is. */
  #behindKey = 0;
  /** The key that the last line began with. */
  #first: KeyEntry | undefined;
  readonly #strings = new TextTable(unescapedText);
  readonly #scalars = new TextTable(valueText);

  constructor(wanted: Wanted, found: FieldFound | undefined) {
    this.#wanted = wanted;
    this.#found = found;
    this.#keys = new KeyTable(wanted, keyLiteral);
  }

  /** Returns what is wrong with the line, if anything. */
  run(state: LabelState): string | typeof DROPPED | undefined {
    const { bytes, to: end } = state;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    const view = this.#view;
    let at = skipSpace(bytes, state.from, end);
    if (at < 0 || bytes[at] !== OPEN_BRACE) return JSON_FAULTS.object;
    this.#path.length = 0;
    let parent: KeyEntry | undefined;
    let entry: KeyEntry | undefined;
    at = skipSpace(bytes, at + 1, end);
    if (at < 0) return JSON_FAULTS.malformed;
    // `at` is where a key or the end of the object has to be.
    for (;;) {
      if (bytes[at] === CLOSE_BRACE) {
        if (parent === undefined) return undefined;
        this.#path.pop();
        parent = this.#path.at(-1);
        at++;
      } else {
        if (bytes[at] !== QUOTE) return JSON_FAULTS.object;
        const expected: KeyEntry | undefined = entry === undefined ? this.#first : entry.follower;
        if (expected !== undefined && expected.parent === parent && expected.literal?.isAt(view, at, end) === true) {
          entry = expected;
          at += expected.literal.length;
        } else {
          const key = this.#key(bytes, at, end, parent);
          if (typeof key === 'string') return key;
          if (entry === undefined) this.#first = key;
          else entry.follower = key;
          entry = key;
          at = this.#behindKey;
        }
        // `at` is behind the colon.
        let opens = false;
        for (;;) {
          if (at >= end || bytes[at] <= 0x20) {
            at = skipSpace(bytes, at, end);
            if (at < 0) return JSON_FAULTS.malformed;
          }
          const first = bytes[at];
          if (!entry.wanted && first === QUOTE) {
            at = stringEnd(bytes, view, at + 1, end);
            if (at < 0) return JSON_FAULTS.string;
            at++;
          } else if (!entry.wanted && first >= 0x30 && first <= 0x39) at = tokenEnd(bytes, at, end);
          else if (first === OPEN_BRACE && entry.wantedInside && this.#path.length < MOST_DEPTH) {
            opens = true;
            break;
          } else {
            const fault = this.#value.read(bytes, at, end);
            if (fault !== undefined) return fault;
            const kept = entry.wanted ? this.#keep(state, entry) : 'on';
            if (kept !== 'on') return kept === 'drop' ? DROPPED : undefined;
            at = this.#value.next;
          }
          // Lines of a stream are much alike: mostly the key comes that came next in the line before, which needs no look at the table.
          const next: KeyEntry | undefined = entry.follower;
          if (next === undefined || next.parent !== parent || next.literal === undefined) break;
          if (at >= end || bytes[at] !== COMMA || !next.literal.isAt(view, at + 1, end)) break;
          at += 1 + next.literal.length;
          entry = next;
        }
        if (opens) {
          // An object that never closes is an error before any of its fields counts.
          if (parent === undefined && blockEnd(bytes, at, end) < 0) return JSON_FAULTS.object;
          this.#path.push(entry);
          parent = entry;
          at = skipSpace(bytes, at + 1, end);
          if (at < 0) return JSON_FAULTS.malformed;
          if (bytes[at] === QUOTE || bytes[at] === CLOSE_BRACE) continue;
          return JSON_FAULTS.object;
        }
      }
      // Behind a value: a comma and another key, or the end of the object.
      at = skipSpace(bytes, at, end);
      if (at < 0) return JSON_FAULTS.array;
      if (bytes[at] === CLOSE_BRACE) continue;
      if (bytes[at] !== COMMA) return JSON_FAULTS.object;
      at = skipSpace(bytes, at + 1, end);
      if (at < 0) return JSON_FAULTS.array;
    }
  }

  /** Reads the key at `from` and the colon behind it; returns what is wrong, if anything. */
  #key(bytes: Buffer, from: number, end: number, parent: KeyEntry | undefined): KeyEntry | string {
    const keyFrom = from + 1;
    let hash = 0;
    let escaped = false;
    let keyTo = keyFrom;
    for (; keyTo < end && bytes[keyTo] !== QUOTE; keyTo++) {
      if (bytes[keyTo] === 0x5c) {
        escaped = true;
        keyTo++;
      } else hash = hashByte(hash, bytes[keyTo]);
    }
    if (keyTo >= end) return JSON_FAULTS.malformed;
    const colon = skipSpace(bytes, keyTo + 1, end);
    if (colon < 0 || bytes[colon] !== COLON) return JSON_FAULTS.malformed;
    this.#behindKey = skipSpace(bytes, colon + 1, end);
    if (this.#behindKey < 0) return JSON_FAULTS.malformed;
    if (!escaped) return this.#keys.find(bytes, keyFrom, keyTo, hash, parent);
    return this.#unescapedEntry(bytes, keyFrom, keyTo, parent) ?? JSON_FAULTS.escape;
  }

  #unescapedEntry(bytes: Buffer, from: number, to: number, parent: KeyEntry | undefined): KeyEntry | undefined {
    const key = unescapeJson(bytes.toString('utf8', from, to));
    if (key === undefined) return undefined;
    const plain = Buffer.from(key);
    return this.#keys.find(plain, 0, plain.length, plain.reduce(hashByte, 0), parent);
  }

  /** Sets the label of the value just read; 'done' once nothing else is wanted. */
  #keep(state: LabelState, entry: KeyEntry): 'on' | 'done' | 'drop' {
    const { type, from, to } = this.#value;
    if (type === 'object' || type === 'array' || type === 'null') return 'on';
    const name = state.extractedName(entry.name);
    if (state.wasSet(name) || !this.#wanted.has(name)) return 'on';
    const admitted = state.extract(name, (type === 'string' ? this.#strings : this.#scalars).of(state.bytes, from, to));
    this.#found?.(name, entry);
    if (this.#wanted.complete(state)) return 'done';
    return admitted ? 'on' : 'drop';
  }
}
