import {
  blockEnd,
  CLOSE_BRACE,
  COLON,
  COMMA,
  JSON_FAULTS,
  JsonValue,
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
  /** The key that the last line began with. */
  #first: KeyEntry | undefined;
  readonly #strings = new TextTable(unescapedText);
  readonly #scalars = new TextTable(valueText);

  constructor(wanted: Wanted, found: FieldFound | undefined) {
    this.#wanted = wanted;
    this.#found = found;
    this.#keys = new KeyTable(wanted);
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
    let previous: KeyEntry | undefined;
    at = skipSpace(bytes, at + 1, end);
    if (at < 0) return JSON_FAULTS.malformed;
    // `at` is where a key or the end of the object has to be.
    for (;;) {
      if (bytes[at] === CLOSE_BRACE) {
        if (parent === undefined) return undefined;
        this.#path.pop();
        parent = this.#path.at(-1);
        at = skipSpace(bytes, at + 1, end);
      } else {
        if (bytes[at] !== QUOTE) return JSON_FAULTS.object;
        // Lines of a stream are much alike: mostly it is the key that came next in the line before, which needs no look at the table.
        let entry = previous === undefined ? this.#first : previous.follower;
        if (entry !== undefined && entry.parent === parent && entry.literal?.isAt(view, at, end) === true) at += entry.literal.length;
        else {
          const keyFrom = at + 1;
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
          at = skipSpace(bytes, keyTo + 1, end);
          if (at < 0 || bytes[at] !== COLON) return JSON_FAULTS.malformed;
          at++;
          if (skipSpace(bytes, at, end) < 0) return JSON_FAULTS.malformed;
          entry = escaped ? this.#unescapedEntry(bytes, keyFrom, keyTo, parent) : this.#keys.find(bytes, keyFrom, keyTo, hash, parent);
          if (entry === undefined) return JSON_FAULTS.escape;
          if (previous === undefined) this.#first = entry;
          else previous.follower = entry;
        }
        previous = entry;
        at = skipSpace(bytes, at, end);
        if (at < 0) return JSON_FAULTS.malformed;
        if (!entry.wanted && bytes[at] === QUOTE) {
          at = stringEnd(bytes, view, at + 1, end);
          if (at < 0) return JSON_FAULTS.string;
          at++;
        } else if (bytes[at] === OPEN_BRACE && entry.wantedInside && this.#path.length < MOST_DEPTH) {
          // An object that never closes is an error before any of its fields counts.
          if (parent === undefined && blockEnd(bytes, at, end) < 0) return JSON_FAULTS.object;
          this.#path.push(entry);
          parent = entry;
          at = skipSpace(bytes, at + 1, end);
          if (at < 0) return JSON_FAULTS.malformed;
          if (bytes[at] === QUOTE || bytes[at] === CLOSE_BRACE) continue;
          return JSON_FAULTS.object;
        } else if (!entry.wanted && bytes[at] >= 0x30 && bytes[at] <= 0x39) {
          at = tokenEnd(bytes, at, end);
        } else {
          const fault = this.#value.read(bytes, at, end);
          if (fault !== undefined) return fault;
          const kept = entry.wanted ? this.#keep(state, entry) : 'on';
          if (kept !== 'on') return kept === 'drop' ? DROPPED : undefined;
          at = this.#value.next;
        }
        at = skipSpace(bytes, at, end);
      }
      // Behind a value: a comma and another key, or the end of the object.
      if (at < 0) return JSON_FAULTS.array;
      if (bytes[at] === CLOSE_BRACE) continue;
      if (bytes[at] !== COMMA) return JSON_FAULTS.object;
      at = skipSpace(bytes, at + 1, end);
      if (at < 0) return JSON_FAULTS.array;
    }
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
    if (state.extracted.has(name) || !this.#wanted.has(name)) return 'on';
    const admitted = state.extract(name, (type === 'string' ? this.#strings : this.#scalars).of(state.bytes, from, to));
    this.#found?.(name, entry);
    if (this.#wanted.complete(state)) return 'done';
    return admitted ? 'on' : 'drop';
  }
}
