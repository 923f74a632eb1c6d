import { Fault } from '../../ops/base/fault.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const LETTER_U = 0x75;
const COLON = 0x3a;

/** Deeper values are refused: nobody means them. */
const MAX_DEPTH = 512;

/** What a byte after a backslash stands for: itself, 'u', or 0 where there is no such escape. */
const ESCAPES = new Uint8Array(256);
for (const [char, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t', 'uu'])
  ESCAPES[char.charCodeAt(0)] = meaning.charCodeAt(0);

/** Value of a hexadecimal digit; 255 for any other byte. */
const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Bytes that a string holds as they are, the quote and the backslash left out. */
const PLAIN = new Uint8Array(256).fill(1, 0x20);
PLAIN[QUOTE] = 0;
PLAIN[BACKSLASH] = 0;

/** Set in a string's recorded end if it has escapes. Leaves 31 bits for the position, which is more than a Buffer from the network ever has. */
const ESCAPED = 0x8000_0000;

/** Walks JSON text (RFC 8259) byte by byte without making values of it. Strict about the grammar, indifferent to whether strings are UTF-8. `at` is where it stands.
 *  Where strings end is recorded, so that going over a part again, from a `mark`, costs next to nothing for them.
 *  Every method throws Fault bad_request, with the place, on text that is not JSON. */
export class JsonScanner {
  readonly bytes: Buffer;
  at: number;
  /** The string read last: its contents are bytes [stringFrom, stringTo), and `escaped` says whether there is a backslash in them. */
  stringFrom = 0;
  stringTo = 0;
  escaped = false;
  readonly #nesting = new Uint8Array(MAX_DEPTH);
  #ends: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  /** Strings recorded, and the one that comes next: less than that while going over a part again. */
  #recorded = 0;
  #next = 0;
  /** Whether strings are recorded as they are read for the first time. */
  #records = true;

  /** What becomes of half of a surrogate pair in a string. */
  readonly #halves: 'refuse' | 'replace';

  constructor(bytes: Buffer, at = 0, halves: 'refuse' | 'replace' = 'refuse') {
    this.bytes = bytes;
    this.at = at;
    this.#halves = halves;
  }

  /** Skips white space; returns the byte that stands there, -1 at the end. */
  peek(): number {
    const { bytes } = this;
    let at = this.at;
    while (at < bytes.length && (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09)) at++;
    this.at = at;
    return at < bytes.length ? bytes[at] : -1;
  }

  /** Skips white space and `byte`, if that comes next. */
  take(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  expect(byte: number, where: string): void {
    if (!this.take(byte)) throw this.fault(`expected ${quoted(byte)} ${where}`);
  }

  /** Reads the string that starts here. */
  string(where: string): void {
    if (this.peek() !== QUOTE) throw this.fault(`expected a string ${where}`);
    this.stringFrom = this.at + 1;
    const end = this.#next < this.#recorded ? this.#ends[this.#next++] : this.#findEnd();
    this.escaped = end >= ESCAPED;
    this.stringTo = end & ~ESCAPED;
    this.at = this.stringTo + 1;
  }

  /** Where the string ends that starts at stringFrom, with ESCAPED if there are escapes. */
  #findEnd(): number {
    const { bytes } = this;
    const length = bytes.length;
    let at = this.stringFrom;
    let escaped = 0;
    for (;;) {
      while (at < length && PLAIN[bytes[at]] === 1) at++;
      if (at >= length) throw this.fault('string without an end', length);
      if (bytes[at] === QUOTE) break;
      if (bytes[at] !== BACKSLASH) throw this.fault(`control character 0x${bytes[at].toString(16)} in a string`, at);
      if (at + 1 < length && ESCAPES[bytes[at + 1]] === 0) throw this.fault('invalid escape sequence', at);
      if (bytes[at + 1] === LETTER_U) this.#unit(at + 2, length);
      escaped = ESCAPED;
      at += 2;
    }
    if (this.#records) this.#record(at + escaped);
    return at + escaped;
  }

  #record(end: number): void {
    if (this.#recorded === this.#ends.length) this.#ends = new Uint32Array(this.#ends.buffer.transfer(this.#ends.byteLength * 2));
    this.#ends[this.#recorded++] = end;
    this.#next = this.#recorded;
  }

  /** Where the scanner stands, for `goTo`. */
  mark(): ScannerMark {
    return { at: this.at, string: this.#next };
  }

  goTo(mark: ScannerMark): void {
    this.at = mark.at;
    this.#next = mark.string;
  }

  /** Skips a value of any kind that nobody will go over again. */
  forget(): void {
    this.#records = false;
    this.skip();
    this.#records = true;
  }

  /** Skips a value of any kind. */
  skip(): void {
    const nesting = this.#nesting;
    let depth = 0;
    for (;;) {
      const byte = this.peek();
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.at++;
        const close = byte + 2; // true of both kinds of brackets
        if (!this.take(close)) {
          if (depth === MAX_DEPTH) throw this.fault(`nested deeper than ${MAX_DEPTH}`);
          nesting[depth++] = close;
          if (close === CLOSE_OBJECT) this.#name();
          continue;
        }
      } else if (byte === QUOTE) this.string('');
      else this.#literal(byte);
      // A value has ended, and maybe what it stands in.
      for (;;) {
        if (depth === 0) return;
        const close = nesting[depth - 1];
        if (this.take(COMMA)) {
          if (close === CLOSE_OBJECT) this.#name();
          break;
        }
        this.expect(close, close === CLOSE_OBJECT ? 'or "," in an object' : 'or "," in an array');
        depth--;
      }
    }
  }

  #name(): void {
    this.string('as a name');
    this.expect(COLON, 'after a name');
  }

  #literal(first: number): void {
    const { bytes } = this;
    const start = this.at;
    let at = start;
    while (at < bytes.length && isLiteralByte(bytes[at])) at++;
    const text = bytes.toString('latin1', start, at);
    this.at = at;
    if (first === 0x74 ? text !== 'true' : first === 0x66 ? text !== 'false' : first === 0x6e ? text !== 'null' : !NUMBER.test(text)) {
      throw this.fault('expected a value', start);
    }
  }

  /** Calls `member` with the scanner in front of each member's value, its name being the string read last; `member` must go past the value. */
  object(member: () => void): void {
    for (let more = this.firstMember(); more; more = this.nextMember()) member();
  }

  /** Goes into an object: in front of its first member's value, its name being the string read last. False if it has none, and ends. */
  firstMember(): boolean {
    this.expect(OPEN_OBJECT, '');
    if (this.take(CLOSE_OBJECT)) return false;
    this.#name();
    return true;
  }

  /** From behind a member's value to in front of the next; false if the object ends. */
  nextMember(): boolean {
    if (this.take(COMMA)) {
      this.#name();
      return true;
    }
    this.expect(CLOSE_OBJECT, 'or "," in an object');
    return false;
  }

  /** Calls `element` with the scanner in front of each element; `element` must go past it. */
  array(element: () => void): void {
    for (let more = this.firstElement(); more; more = this.nextElement()) element();
  }

  /** Goes into an array: in front of its first element. False if it has none, and ends. */
  firstElement(): boolean {
    this.expect(OPEN_ARRAY, '');
    return !this.take(CLOSE_ARRAY);
  }

  /** From behind an element to in front of the next; false if the array ends. */
  nextElement(): boolean {
    if (this.take(COMMA)) return true;
    this.expect(CLOSE_ARRAY, 'or "," in an array');
    return false;
  }

  /** The text of the string read last. Bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    return this.escaped ? this.rawText(this.stringFrom, this.stringTo) : this.bytes.toString('utf8', this.stringFrom, this.stringTo);
  }

  /** Bytes [from, to) as if they stood in a string; for what Loki reads that way though it is none. */
  rawText(from: number, to: number): string {
    const out = Buffer.allocUnsafe(to - from);
    return out.toString('utf8', 0, this.unescape(from, to, out));
  }

  /** Writes bytes [from, to) without their escapes to the start of `out`; returns how many that are, at most to - from. */
  unescape(from: number, to: number, out: Buffer): number {
    const { bytes } = this;
    let length = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at];
      if (byte !== BACKSLASH) {
        out[length++] = byte;
        continue;
      }
      const meaning = ESCAPES[bytes[++at]];
      if (meaning !== LETTER_U) {
        out[length++] = meaning;
        continue;
      }
      let unit = this.#unit(at + 1, to);
      at += 4;
      if (unit >= 0xd800 && unit < 0xe000) {
        const low = bytes[at + 1] === BACKSLASH && bytes[at + 2] === LETTER_U ? this.#unit(at + 3, to) : 0;
        if (unit < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
          unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        } else if (this.#halves === 'refuse') throw this.fault('half of a surrogate pair', at - 5);
        else unit = 0xfffd;
      }
      length = putUtf8(out, length, unit);
    }
    return length;
  }

  /** Four hexadecimal digits. */
  #unit(at: number, to: number): number {
    const { bytes } = this;
    const [a, b, c, d] = [HEX[bytes[at]], HEX[bytes[at + 1]], HEX[bytes[at + 2]], HEX[bytes[at + 3]]];
    if (at + 4 > to || (a | b | c | d) > 15) throw this.fault('invalid escape sequence', at);
    return (a << 12) | (b << 8) | (c << 4) | d;
  }

  fault(what: string, at = this.at): Fault {
    const around = this.bytes.toString('utf8', Math.max(0, at - 20), at + 10);
    return new Fault('bad_request', `malformed JSON: ${what}, at byte ${at} of ...|${around}|...`);
  }
}

/** A place in the text, and the number of strings before it. */
export interface ScannerMark {
  readonly at: number;
  readonly string: number;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

/** Letters, digits, '+', '-' and '.': all that numbers and names are made of. */
function isLiteralByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x45
  );
}

const quoted = (byte: number): string => `"${String.fromCharCode(byte)}"`;

function putUtf8(out: Buffer, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    out[at] = 0xc0 | (code >> 6);
    out[at + 1] = 0x80 | (code & 63);
    return at + 2;
  }
  if (code < 0x10000) {
    out[at] = 0xe0 | (code >> 12);
    out[at + 1] = 0x80 | ((code >> 6) & 63);
    out[at + 2] = 0x80 | (code & 63);
    return at + 3;
  }
  out[at] = 0xf0 | (code >> 18);
  out[at + 1] = 0x80 | ((code >> 12) & 63);
  out[at + 2] = 0x80 | ((code >> 6) & 63);
  out[at + 3] = 0x80 | (code & 63);
  return at + 4;
}
