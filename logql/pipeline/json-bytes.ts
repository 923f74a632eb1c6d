/** Scanning JSON in a line's bytes as leniently as Loki does: what is wrong is an error only where a value is asked for. Ends are exclusive
 *  bounds of the line; -1 means that what is looked for does not come. */

import { KeyLiteral } from './key-table.ts';

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const COMMA = 0x2c;
export const COLON = 0x3a;

export type JsonType = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array';

/** What is wrong with a line; the texts reach __error_details__. */
export const JSON_FAULTS = {
  malformed: 'Malformed JSON error',
  string: `Value is string, but can't find closing '"' symbol`,
  array: `Value is array, but can't find closing ']' symbol`,
  object: `Value looks like object, but can't find closing '}' symbol`,
  type: 'Unknown value type',
  escape: 'Encountered an invalid escape sequence in a string',
} as const;

/** The next byte that is not white space. */
export function skipSpace(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const byte = bytes[at];
    if (byte > 0x20) return at;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
  }
  return -1;
}

/** Where the string's closing quote is; `from` is behind the opening one. */
export function closingQuote(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH) at++;
  }
  return -1;
}

/** The first quote or backslash at or behind `from`; `end` if there is none. Four bytes at a time: this is where most of a JSON line is read. */
export function plainEnd(view: DataView, from: number, end: number): number {
  let at = from;
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at, true);
    const quotes = word ^ 0x22222222;
    const escapes = word ^ 0x5c5c5c5c;
    // The lowest bit that is left stands in the first byte that became 0; bits above it may stand where there is none.
    const hits = (((quotes - 0x01010101) & ~quotes) | ((escapes - 0x01010101) & ~escapes)) & 0x80808080;
    if (hits !== 0) return at + ((31 - Math.clz32(hits & -hits)) >> 3);
  }
  for (; at < end; at++) {
    const byte = view.getUint8(at);
    if (byte === QUOTE || byte === BACKSLASH) return at;
  }
  return end;
}

/** As `closingQuote`, faster where no backslash stands in the string. */
export function stringEnd(bytes: Buffer, view: DataView, from: number, end: number): number {
  const at = plainEnd(view, from, end);
  if (at === end) return -1;
  return bytes[at] === QUOTE ? at : closingQuote(bytes, at, end);
}

/** The key with its quotes and the colon; undefined if it cannot stand in a line as it is, or is ''. */
export function keyLiteral(key: string): KeyLiteral | undefined {
  return key === '' || /["\\]/.test(key) ? undefined : new KeyLiteral(`"${key}":`);
}

/** The same bytes. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Behind the bracket that closes the one at `from`. */
export function blockEnd(bytes: Buffer, from: number, end: number): number {
  const open = bytes[from];
  const close = open === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET;
  let depth = 0;
  for (let at = from; at < end; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = closingQuote(bytes, at + 1, end);
      if (at < 0) return -1;
    } else if (byte === open) depth++;
    else if (byte === close && --depth === 0) return at + 1;
  }
  return -1;
}

/** By byte: 1 for what ends a number or a word. */
const ENDS_TOKEN = Uint8Array.from({ length: 256 }, (_, byte) => Number(' \n\r\t,}]'.includes(String.fromCharCode(byte))));

/** Where a number or a word ends. */
export function tokenEnd(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && ENDS_TOKEN[bytes[at]] === 0) at++;
  return at;
}

/** A value: reused, read it before the next `readValue`. Strings without their quotes. */
export class JsonValue {
  type: JsonType = 'null';
  from = 0;
  to = 0;
  /** Behind the value. */
  next = 0;

  /** Reads the value that starts after white space at `from`; the fault's text if there is none. Of an object only the bounds. */
  read(bytes: Buffer, from: number, end: number): string | undefined {
    const at = skipSpace(bytes, from, end);
    if (at < 0) return JSON_FAULTS.malformed;
    this.from = at;
    const first = bytes[at];
    if (first === QUOTE) {
      this.type = 'string';
      this.from = at + 1;
      this.to = closingQuote(bytes, at + 1, end);
      this.next = this.to + 1;
      return this.to < 0 ? JSON_FAULTS.string : undefined;
    }
    if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      this.type = first === OPEN_BRACE ? 'object' : 'array';
      this.to = blockEnd(bytes, at, end);
      this.next = this.to;
      return this.to < 0 ? JSON_FAULTS[this.type] : undefined;
    }
    this.to = tokenEnd(bytes, at, end);
    this.next = this.to;
    if ((first >= 0x30 && first <= 0x39) || first === 0x2d) this.type = 'number';
    else if (isWord(bytes, at, this.to, TRUE) || isWord(bytes, at, this.to, FALSE)) this.type = 'boolean';
    else if (isWord(bytes, at, this.to, NULL)) this.type = 'null';
    else return JSON_FAULTS.type;
    return undefined;
  }
}

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

function isWord(bytes: Buffer, from: number, to: number, word: Buffer): boolean {
  if (to - from !== word.length) return false;
  for (let at = 0; at < word.length; at++) if (bytes[from + at] !== word[at]) return false;
  return true;
}

/** The text of bytes [from, to), with spaces for what is not UTF-8: no label value may contain it. */
export function valueText(bytes: Buffer, from: number, to: number): string {
  let high = 0;
  for (let at = from; at < to; at++) high |= bytes[at];
  if (high < 0x80) return bytes.toString('latin1', from, to);
  return withoutReplacements(bytes.toString('utf8', from, to));
}

/** Spaces for U+FFFD, which stands for what is not UTF-8. */
export function withoutReplacements(text: string): string {
  return text.includes('\ufffd') ? text.replaceAll('\ufffd', ' ') : text;
}

/** As `valueText`, with JSON's escapes resolved; '' if one is wrong. */
export function unescapedText(bytes: Buffer, from: number, to: number): string {
  const text = valueText(bytes, from, to);
  return text.includes('\\') ? withoutReplacements(unescapeJson(text) ?? '') : text;
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** undefined if an escape is wrong. */
export function unescapeJson(text: string): string | undefined {
  let out = '';
  let done = 0;
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', done)) {
    out += text.slice(done, at);
    const plain = ESCAPES[text[at + 1]];
    if (plain !== undefined) {
      out += plain;
      done = at + 2;
      continue;
    }
    const unit = codeUnit(text, at);
    if (unit === undefined) return undefined;
    out += String.fromCharCode(unit);
    done = at + 6;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const low = codeUnit(text, done);
    if (unit > 0xdbff || low === undefined || low < 0xdc00 || low > 0xdfff) return undefined;
    out += String.fromCharCode(low);
    done += 6;
  }
  return out + text.slice(done);
}

function codeUnit(text: string, at: number): number | undefined {
  const written = text.slice(at, at + 6);
  return /^\\u[\da-fA-F]{4}$/.test(written) ? Number.parseInt(written.slice(2), 16) : undefined;
}
