import {
  blockEnd,
  CLOSE_BRACE,
  COLON,
  COMMA,
  JSON_FAULTS,
  JsonValue,
  OPEN_BRACE,
  skipSpace,
  unescapedText,
  unescapeJson,
  valueText,
} from './json-bytes.ts';
import { hashByte, type KeyEntry, KeyTable } from './key-table.ts';
import type { LabelState } from './label-state.ts';
import type { Wanted } from './wanted.ts';

/** Objects deeper than this are passed over, so that names cannot grow with the square of the line. */
const MOST_DEPTH = 128;

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

  constructor(wanted: Wanted, found: FieldFound | undefined) {
    this.#wanted = wanted;
    this.#found = found;
    this.#keys = new KeyTable(wanted);
  }

  /** Returns what is wrong with the line, if anything. */
  run(state: LabelState): string | typeof DROPPED | undefined {
    const { bytes, to: end } = state;
    let at = skipSpace(bytes, state.from, end);
    if (at < 0 || bytes[at] !== OPEN_BRACE) return JSON_FAULTS.object;
    this.#path.length = 0;
    at = skipSpace(bytes, at + 1, end);
    if (at < 0) return JSON_FAULTS.malformed;
    // `at` is where a key or the end of the object has to be.
    for (;;) {
      if (bytes[at] === CLOSE_BRACE) {
        if (this.#path.length === 0) return undefined;
        this.#path.pop();
        at = skipSpace(bytes, at + 1, end);
      } else {
        const keyFrom = at + 1;
        if (bytes[at] !== 0x22) return JSON_FAULTS.object;
        let hash = 0;
        let escaped = false;
        let keyTo = keyFrom;
        for (; keyTo < end && bytes[keyTo] !== 0x22; keyTo++) {
          if (bytes[keyTo] === 0x5c) {
            escaped = true;
            keyTo++;
          } else hash = hashByte(hash, bytes[keyTo]);
        }
        if (keyTo >= end) return JSON_FAULTS.malformed;
        at = skipSpace(bytes, keyTo + 1, end);
        if (at < 0 || bytes[at] !== COLON) return JSON_FAULTS.malformed;
        at = skipSpace(bytes, at + 1, end);
        if (at < 0) return JSON_FAULTS.malformed;
        const parent = this.#path.at(-1);
        const entry = escaped ? this.#unescapedEntry(bytes, keyFrom, keyTo, parent) : this.#keys.find(bytes, keyFrom, keyTo, hash, parent);
        if (entry === undefined) return JSON_FAULTS.escape;
        if (bytes[at] === OPEN_BRACE && entry.wantedInside && this.#path.length < MOST_DEPTH) {
          // An object that never closes is an error before any of its fields counts.
          if (parent === undefined && blockEnd(bytes, at, end) < 0) return JSON_FAULTS.object;
          this.#path.push(entry);
          at = skipSpace(bytes, at + 1, end);
          if (at < 0) return JSON_FAULTS.malformed;
          if (bytes[at] === 0x22 || bytes[at] === CLOSE_BRACE) continue;
          return JSON_FAULTS.object;
        }
        const fault = this.#value.read(bytes, at, end);
        if (fault !== undefined) return fault;
        const kept = entry.wanted ? this.#keep(state, entry) : 'on';
        if (kept !== 'on') return kept === 'drop' ? DROPPED : undefined;
        at = skipSpace(bytes, this.#value.next, end);
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
    const admitted = state.extract(name, type === 'string' ? unescapedText(state.bytes, from, to) : valueText(state.bytes, from, to));
    this.#found?.(name, entry);
    if (this.#wanted.complete(state)) return 'done';
    return admitted ? 'on' : 'drop';
  }
}
