import { isUtf8 } from 'node:buffer';
import { LABEL_NAME, type Label, type Labels, quoteGo, toLabels } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { JsonScanner } from './json-scanner.ts';
import { escapeProblem, quoteRune, tokenAt } from './label-text-faults.ts';
import type { LabelForm } from './push-sink.ts';

const QUOTE = 0x22;
/** A quarter of what Loki takes, and thousands of times what a tenant is let store: reading labels takes many times their bytes. */
const MAX_LABELS_BYTES = 4 * MiB;
/** The same for their number: those with an empty value are no labels in the end, and a body has room for millions. */
const MAX_PAIRS = 4_096;

/** Throws Fault too_large if a stream's labels as a push request has them take more bytes than are read. */
export function checkLabelsSize(sizeBytes: number): void {
  if (sizeBytes > MAX_LABELS_BYTES) {
    throw new Fault('too_large', `request body too large: stream labels of ${sizeBytes} bytes, limit: ${MAX_LABELS_BYTES} bytes`);
  }
}

/** The label pairs that a push request names, in their order; a name may come twice, and values may be empty. No bytes at all are no labels.
 *  Wants what checkLabelsSize lets through. Throws Fault too_large (too many), and bad_request with the text of Prometheus' parser, which is what Loki's clients see. */
export function readLabels(form: LabelForm, bytes: Buffer, from: number, to: number): Label[] {
  if (from === to) return [];
  if (form === 'json') return labelsOfObject(bytes, from);
  if (!isUtf8(bytes.subarray(from, to))) throw new Fault('bad_request', "couldn't parse labels: invalid UTF-8 rune");
  return parseLabelText(bytes.toString('utf8', from, to), MAX_PAIRS);
}

/** The members of a JSON object. A value that is no string counts as its own text, as in Loki. */
function labelsOfObject(bytes: Buffer, from: number): Label[] {
  const byName = new Map<string, string>();
  const scanner = new JsonScanner(bytes, from);
  scanner.object(() => {
    if (byName.size === MAX_PAIRS) throw tooMany();
    const name = scanner.text();
    const first = scanner.peek();
    const start = scanner.at;
    scanner.skip();
    byName.set(name, first === QUOTE ? scanner.text() : scanner.rawText(start, scanner.at));
  });
  const pairs = [...byName];
  if (pairs.every(([name]) => LABEL_NAME.test(name))) return pairs;
  // What is no name is refused, or read otherwise, by what it makes of the text; the position in the message refers to this text.
  const sorted = pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return parseLabelText(`{${sorted.map(([name, value]) => `${name}=${quoteGo(value)}`).join(', ')}}`, MAX_PAIRS);
}

/** The labels whose canonical text `text` is. */
export function parseCanonicalLabels(text: string): Labels {
  return toLabels(parseLabelText(text));
}

/** Reads `{a="b", c='d'}`; a name in front, `name{a="b"}`, or alone in quotes, `{"name", a="b"}`, is `__name__`. */
export function parseLabelText(text: string, maxPairs = Number.POSITIVE_INFINITY): Label[] {
  return new LabelTextParser(text, maxPairs).labels();
}

class LabelTextParser {
  readonly #text: string;
  readonly #maxPairs: number;
  #at = 0;

  constructor(text: string, maxPairs: number) {
    this.#text = text;
    this.#maxPairs = maxPairs;
  }

  labels(): Label[] {
    const pairs: Label[] = [];
    this.#space();
    if (NAME_START.test(this.#char())) pairs.push(['__name__', this.#match(METRIC_NAME)]);
    this.#space();
    if (this.#char() === '{') {
      this.#at++;
      this.#pairs(pairs);
      this.#space();
    }
    if (this.#char() !== '') throw this.#unexpectedOutside();
    return pairs;
  }

  #pairs(pairs: Label[]): void {
    for (;;) {
      this.#space();
      if (this.#take('}')) return;
      if (pairs.length === this.#maxPairs) throw tooMany();
      pairs.push(this.#pair());
      this.#space();
      if (this.#take('}')) return;
      if (!this.#take(',')) throw this.#unexpected('expected "," or "}"');
    }
  }

  #pair(): Label {
    const quoted = QUOTES.includes(this.#char());
    if (!quoted && !NAME_START.test(this.#char())) throw this.#unexpected('expected identifier or "}"');
    const name = quoted ? this.#string() : this.#match(IDENTIFIER);
    this.#space();
    if (name === '') throw this.#fault('invalid label name ""');
    if (quoted && (this.#char() === ',' || this.#char() === '}')) return ['__name__', name];
    if (this.#text[this.#at + 1] === '~' || !this.#take('=')) throw this.#unexpected(quoted ? 'expected "," or "}"' : 'expected "="');
    this.#space();
    if (!QUOTES.includes(this.#char())) throw this.#unexpected('expected string');
    return [name, this.#string()];
  }

  #space(): void {
    for (;;) {
      this.#match(SPACE);
      if (this.#char() !== '#') return;
      this.#match(COMMENT);
    }
  }

  /** The character here, as a code point; '' at the end. */
  #char(): string {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  #take(char: string): boolean {
    if (this.#char() !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #string(): string {
    const start = this.#at;
    const quote = this.#char();
    const text = this.#text;
    if (quote === '`') {
      const end = text.indexOf('`', start + 1);
      if (end < 0) throw this.#faultAt(start, 'unterminated raw string');
      this.#at = end + 1;
      return text.slice(start + 1, end);
    }
    for (let at = start + 1; at < text.length; at++) {
      const char = text[at];
      if (char === '\n') break;
      if (char === '\\') at++;
      else if (char === quote) {
        this.#at = at + 1;
        const inner = text.slice(start + 1, at);
        return inner.includes('\\') ? this.#unquote(inner, quote, start) : inner;
      }
    }
    throw this.#faultAt(start, text.endsWith('\\') ? escapeProblem(text, text.length) : UNTERMINATED);
  }

  /** Go's escapes. Escaped bytes (`\xff`, `\377`) may together be UTF-8, so the value is put together from bytes. */
  #unquote(inner: string, quote: string, start: number): string {
    const out = Buffer.allocUnsafe(Buffer.byteLength(inner)); // no escape is shorter than what it stands for
    let length = 0;
    let at = 0;
    while (at < inner.length) {
      const next = inner.indexOf('\\', at);
      if (next < 0) {
        length += out.write(inner.slice(at), length);
        break;
      }
      if (next > at) length += out.write(inner.slice(at, next), length);
      ESCAPE.lastIndex = next;
      const found = ESCAPE.exec(inner);
      const part = found === null ? undefined : escaped(found, quote);
      if (found === null || part === undefined) {
        throw this.#faultAt(start, escapeProblem(this.#text, start + next + 2));
      }
      length += part.copy(out, length);
      at = next + found[0].length;
    }
    return out.toString('utf8', 0, length);
  }

  #unexpected(expected: string): Fault {
    const char = this.#char();
    if (char === '') return this.#fault('unexpected end of input inside braces');
    if (char === '{') return this.#fault(`unexpected left brace ${quoteRune(char)}`);
    const after = this.#text[this.#at + 1] ?? '\ufffd';
    if (char === '!' && after !== '=' && after !== '~') {
      return this.#fault(`unexpected character after '!' inside braces: ${quoteRune(after)}`);
    }
    if (!EXPECTED_CHAR.test(char)) return this.#fault(`unexpected character inside braces: ${quoteRune(char)}`);
    const token = tokenAt(this.#text, this.#at);
    return token === undefined ? this.#fault(UNTERMINATED) : this.#fault(`unexpected ${token} in label set, ${expected}`);
  }

  #unexpectedOutside(): Fault {
    const char = this.#char();
    const token = char === '}' ? undefined : tokenAt(this.#text, this.#at);
    if (token !== undefined) return this.#fault(`unexpected ${token}`);
    return this.#fault(QUOTES.includes(char) ? UNTERMINATED : `unexpected character: ${quoteRune(char)}`);
  }

  #fault(what: string): Fault {
    return this.#faultAt(this.#at, what);
  }

  /** Lines and columns count from 1, columns in bytes. */
  #faultAt(at: number, what: string): Fault {
    const before = this.#text.slice(0, at);
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = before.split('\n').length;
    return new Fault(
      'bad_request',
      `couldn't parse labels: ${line}:${Buffer.byteLength(before.slice(lineStart)) + 1}: parse error: ${what}`,
    );
  }
}

const QUOTES = ['"', "'", '`'];
const UNTERMINATED = 'unterminated quoted string';
const SPACE = /[ \t\n\r]*/y;
const COMMENT = /#[^\r\n]*/y;
const NAME_START = /^[a-zA-Z_]/;
const IDENTIFIER = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
/** What may begin a token inside braces. */
const EXPECTED_CHAR = /^[a-zA-Z_,=!"'`}]/;
const ESCAPE = /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
const SIMPLE_ESCAPES: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\' };

/** The bytes that an escape stands for; undefined if it stands for none: the other quote, or no code point. */
function escaped([, simple, hex, octal, short, long]: RegExpExecArray, quote: string): Buffer | undefined {
  if (simple !== undefined) {
    if (simple === '"' || simple === "'") return simple === quote ? Buffer.from(simple) : undefined;
    return Buffer.from(SIMPLE_ESCAPES[simple]);
  }
  if (hex !== undefined) return Buffer.of(Number.parseInt(hex, 16));
  if (octal !== undefined) return Buffer.of(Number.parseInt(octal, 8));
  const code = Number.parseInt(short ?? long, 16);
  return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? undefined : Buffer.from(String.fromCodePoint(code));
}

function tooMany(): Fault {
  return new Fault('too_large', `request body too large: a stream with more than ${MAX_PAIRS} labels`);
}
