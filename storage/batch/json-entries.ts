import type { Fault } from '../../ops/base/fault.ts';
import type { JsonScanner } from './json-scanner.ts';
import { type PushSink, pushPair } from './push-sink.ts';

const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const QUOTE = 0x22;
const LETTER_N = 0x6e;
const MINUS = 0x2d;
/** The last nanosecond of an int64. */
const MAX_SECONDS = 9_223_372_036;
const MAX_NANOS = 854_775_807;
const NOTHING: readonly string[] = [];
const RFC3339 = /^(\d{4}-\d\d-(\d\d)T(?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/** Tells `sink` the entries of a JSON push, each read where the scanner stands in front of it. Throws Fault bad_request on one that is not what it must be. */
export class JsonEntryReader {
  readonly #scanner: JsonScanner;
  readonly #sink: PushSink;
  readonly #pairs: string[] = [];
  #field = 0;
  #seconds = 0;
  #nanos = 0;
  #lineFrom = 0;
  #lineTo = 0;
  /** Holds the line: the body, or the scratch where it is without its escapes. */
  #lineBytes: Buffer;
  #scratch = Buffer.allocUnsafeSlow(1024);

  constructor(scanner: JsonScanner, sink: PushSink) {
    this.#scanner = scanner;
    this.#sink = sink;
    this.#lineBytes = scanner.bytes;
  }

  /** `[ns as a string, line, {name: value}]`, further elements ignored. Null is no entry. */
  readonly readArray = (): void => {
    const scanner = this.#scanner;
    if (scanner.peek() === LETTER_N) {
      scanner.skip();
      return;
    }
    if (scanner.peek() !== OPEN_ARRAY) throw scanner.fault('an entry is not an array');
    const start = scanner.at;
    this.#field = 0;
    this.#lineFrom = 0;
    this.#lineTo = 0;
    this.#lineBytes = scanner.bytes;
    if (this.#pairs.length > 0) this.#pairs.length = 0;
    scanner.array(this.#readField);
    if (this.#field === 0) throw scanner.fault('an entry without a timestamp', start);
    const pairs = this.#field > 2 ? this.#pairs : NOTHING;
    this.#sink.entry(this.#seconds, this.#nanos, this.#lineBytes, this.#lineFrom, this.#lineTo, pairs);
  };

  /** `{"ts": RFC 3339, "line": line, "structuredMetadata": {name: value}}`. A member that is null counts as absent, as in Go; only `ts` must be there. */
  readonly readObject = (): void => {
    const scanner = this.#scanner;
    if (scanner.peek() !== OPEN_OBJECT) throw scanner.fault('an entry is not an object');
    const start = scanner.at;
    this.#seconds = Number.NaN;
    this.#lineFrom = 0;
    this.#lineTo = 0;
    this.#lineBytes = scanner.bytes;
    if (this.#pairs.length > 0) this.#pairs.length = 0;
    scanner.object(this.#readMember);
    if (Number.isNaN(this.#seconds)) throw scanner.fault('an entry without ts', start);
    this.#sink.entry(this.#seconds, this.#nanos, this.#lineBytes, this.#lineFrom, this.#lineTo, this.#pairs);
  };

  readonly #readField = (): void => {
    const scanner = this.#scanner;
    switch (this.#field++) {
      case 0:
        if (scanner.peek() !== QUOTE) throw scanner.fault('the timestamp is not a string');
        scanner.string('');
        this.#timestamp(scanner.stringFrom, scanner.stringTo);
        return;
      case 1:
        if (scanner.peek() !== QUOTE) throw scanner.fault('the line is not a string');
        scanner.string('');
        this.#line();
        return;
      case 2:
        if (scanner.peek() !== OPEN_OBJECT) throw scanner.fault('structured metadata is not an object');
        scanner.object(this.#readPair);
        return;
      default:
        scanner.skip();
    }
  };

  readonly #readMember = (): void => {
    const scanner = this.#scanner;
    const name = scanner.text();
    const first = scanner.peek();
    if (first === LETTER_N) scanner.skip();
    else if (name === 'ts') {
      if (first !== QUOTE) throw scanner.fault('ts is not a string');
      scanner.string('');
      this.#calendarTime(scanner.text());
    } else if (name === 'line') {
      if (first !== QUOTE) throw scanner.fault('the line is not a string');
      scanner.string('');
      this.#line();
    } else if (name === 'structuredMetadata') {
      if (first !== OPEN_OBJECT) throw scanner.fault('structured metadata is not an object');
      this.#pairs.length = 0;
      scanner.object(this.#readPair);
    } else scanner.skip();
  };

  readonly #readPair = (): void => {
    const scanner = this.#scanner;
    const name = scanner.text();
    if (scanner.peek() !== QUOTE) throw scanner.fault('a value of structured metadata is not a string');
    scanner.string('');
    pushPair(this.#pairs, name, scanner.text());
  };

  #line(): void {
    const { stringFrom, stringTo, escaped, bytes } = this.#scanner;
    this.#lineBytes = escaped ? this.#scratch : bytes;
    this.#lineFrom = stringFrom;
    this.#lineTo = stringTo;
    if (!escaped) return;
    if (this.#scratch.length < stringTo - stringFrom) {
      this.#scratch = Buffer.allocUnsafeSlow((stringTo - stringFrom) * 2);
      this.#lineBytes = this.#scratch;
    }
    this.#lineFrom = 0;
    this.#lineTo = this.#scanner.unescape(stringFrom, stringTo, this.#scratch);
  }

  /** Nanoseconds as decimal digits, split at the second so that no number exceeds 2^53. */
  #timestamp(from: number, to: number): void {
    const { bytes } = this.#scanner;
    const negative = bytes[from] === MINUS;
    const digitsFrom = negative ? from + 1 : from;
    if (digitsFrom === to) throw this.#badTimestamp(from);
    let seconds = 0;
    let nanos = 0;
    for (let at = digitsFrom; at < to; at++) {
      const digit = bytes[at] - 0x30;
      if (digit < 0 || digit > 9) throw this.#badTimestamp(from);
      if (at < to - 9) seconds = seconds * 10 + digit;
      else nanos = nanos * 10 + digit;
    }
    if (seconds > MAX_SECONDS || (seconds === MAX_SECONDS && nanos > MAX_NANOS)) throw this.#badTimestamp(from);
    // Every time before 1970 is too old, whichever it is.
    this.#seconds = negative ? Number.NEGATIVE_INFINITY : seconds;
    this.#nanos = negative ? 0 : nanos;
  }

  #calendarTime(text: string): void {
    const match = RFC3339.exec(text);
    const ms = match === null ? Number.NaN : Date.parse(`${match[1]}Z`);
    // Date.parse takes February 30 for March 2.
    if (match === null || new Date(ms).getUTCDate() !== Number(match[2])) {
      throw this.#scanner.fault('ts is not a time as in RFC 3339', this.#scanner.stringFrom);
    }
    const [, , , fraction = '', sign, hours = '0', minutes = '0'] = match;
    const offset = Number(hours) * 3_600 + Number(minutes) * 60;
    this.#seconds = ms / 1_000 - (sign === '-' ? -offset : offset);
    this.#nanos = Number(fraction.padEnd(9, '0'));
  }

  #badTimestamp(at: number): Fault {
    return this.#scanner.fault('the timestamp is not a number of nanoseconds', at);
  }
}
