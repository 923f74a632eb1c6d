import {
  CLOSE_BRACE,
  COLON,
  COMMA,
  closingQuote,
  JSON_FAULTS,
  JsonValue,
  OPEN_BRACE,
  skipSpace,
  unescapedText,
  unescapeJson,
  valueText,
} from './json-bytes.ts';
import { sanitiseLabel } from './key-table.ts';
import type { LabelState } from './label-state.ts';
import { PatternCaptures, parseCapturePattern } from './line-pattern.ts';
import { compileRegex, groupNames } from './regex.ts';
import { TextTable } from './text-table.ts';
import type { Wanted } from './wanted.ts';

/** Makes labels of the named groups of a match; false if the entry is to be dropped for one of them. Throws Fault for what is not RE2, Error for a pattern without names or with one twice. */
export function regexpExtractor(pattern: string, wanted: Wanted): (state: LabelState) => boolean {
  const names = regexpLabels(pattern);
  const regex = compileRegex(pattern, { anchored: false, dotNewline: false });
  if (wanted.nothing) return () => true;
  const texts = new TextTable(valueText);
  return (state) => {
    const { bytes, from, to } = state;
    const found = regex.captures(bytes, from, to);
    if (found === undefined) return true;
    for (const [group, name] of names.entries()) {
      if (name === '') continue;
      const start = found[group * 2];
      const kept = state.extractedName(name);
      if (!wanted.has(kept) || state.wasSet(kept)) continue;
      if (!state.extract(kept, start < 0 ? '' : texts.of(bytes, from + start, from + found[group * 2 + 1]))) return false;
    }
    return true;
  };
}

/** The labels of a pattern's groups, by group number, '' for a group without a name. Throws as `regexpExtractor`. */
export function regexpLabels(pattern: string): string[] {
  const names = groupNames(pattern);
  const given = names.filter((name) => name !== '');
  if (given.length === 0) throw new Error('at least one named capture must be supplied');
  const twice = given.find((name, index) => given.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`duplicate extracted label name '${twice}'`);
  return names.map((name) => sanitiseLabel(name, true));
}

/** Makes labels of the captures of `<ip> - <_>`; false if the entry is to be dropped for one of them. Throws Error with the reason for a bad pattern. */
export function patternExtractor(text: string, wanted: Wanted): (state: LabelState) => boolean {
  const pattern = parseCapturePattern(text);
  if (wanted.nothing) return () => true;
  const captures = new PatternCaptures(pattern, (name) => wanted.mayHave(name));
  const texts = new TextTable(valueText);
  return (state) => {
    if (wanted.complete(state)) return true;
    const { bytes } = state;
    return captures.of(bytes, state.from, state.to, (name, from, to) => {
      const kept = state.extractedName(name);
      return !wanted.has(kept) || state.wasSet(kept) || state.extract(kept, texts.of(bytes, from, to));
    });
  };
}

const PACKED_ENTRY = '_entry';

/** Undoes Promtail's pack: the strings of a JSON object become labels and `_entry` the line, if there is one. Where nobody looks at labels it leaves the line
 *  as it is, like Loki. False if the entry is to be dropped for a label. */
export function unpacker(wanted: Wanted): (state: LabelState) => boolean {
  if (wanted.nothing) return () => true;
  const value = new JsonValue();
  return (state) => {
    const { bytes, to: end } = state;
    if (state.from === end || wanted.complete(state)) return true;
    if (bytes[state.from] !== OPEN_BRACE) {
      state.failParser('JSONParserErr', 'expecting json object(6), but it is not');
      return true;
    }
    const fields: [name: string, value: string][] = [];
    let entry: string | undefined;
    const fault = eachField(bytes, state.from, end, value, (key) => {
      if (value.type !== 'string') return;
      const text = unescapedText(bytes, value.from, value.to);
      // The key as it is written tells whether a name is taken or wanted, before it becomes a label's name.
      const name = state.extractedName(key);
      if (key === PACKED_ENTRY) entry = text;
      else if (wanted.has(name) && !state.wasSet(name)) fields.push([sanitiseLabel(name, true), text]);
    });
    if (fault !== undefined) {
      state.failParser('JSONParserErr', fault);
      return true;
    }
    if (entry === undefined) return true;
    for (const [name, text] of fields) if (name !== '' && !state.extract(name, text)) return false;
    state.setLine(Buffer.from(entry));
    return true;
  };
}

/** Calls `visit` for each field of the object at `from`; returns what is wrong with the object, if anything. */
function eachField(bytes: Buffer, from: number, end: number, value: JsonValue, visit: (key: string) => void): string | undefined {
  let at = skipSpace(bytes, from + 1, end);
  if (at < 0) return JSON_FAULTS.malformed;
  if (bytes[at] === CLOSE_BRACE) return undefined;
  for (;;) {
    if (bytes[at] !== 0x22) return bytes[at] === CLOSE_BRACE ? undefined : JSON_FAULTS.object;
    const keyTo = closingQuote(bytes, at + 1, end);
    if (keyTo < 0) return JSON_FAULTS.malformed;
    const key = unescapeJson(bytes.toString('utf8', at + 1, keyTo));
    if (key === undefined) return JSON_FAULTS.escape;
    at = skipSpace(bytes, keyTo + 1, end);
    if (at < 0 || bytes[at] !== COLON) return JSON_FAULTS.malformed;
    const fault = value.read(bytes, at + 1, end);
    if (fault !== undefined) return fault;
    visit(key);
    at = skipSpace(bytes, value.next, end);
    if (at < 0) return JSON_FAULTS.array;
    if (bytes[at] === CLOSE_BRACE) return undefined;
    if (bytes[at] !== COMMA) return JSON_FAULTS.object;
    at = skipSpace(bytes, at + 1, end);
    if (at < 0) return JSON_FAULTS.array;
  }
}
