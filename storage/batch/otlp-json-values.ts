import { isUtf8 } from 'node:buffer';
import type { JsonScanner } from './json-scanner.ts';
import type { OtlpRecords } from './otlp-records.ts';
import type { OtlpValue } from './otlp-value.ts';
import { safeInteger } from './proto-scanner.ts';

const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const QUOTE = 0x22;
const LETTER_N = 0x6e;
const MAX_UINT32 = 2n ** 32n - 1n;
const [MIN_INT32, MAX_INT32] = [-(2n ** 31n), 2n ** 31n - 1n];
const [MIN_INT64, MAX_INT64] = [-(2n ** 63n), 2n ** 63n - 1n];
const INTEGER = /^-?\d+$/;
const DECIMAL = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const SPECIAL_NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};
const NO_ID = /^0*$/;
/** Names of severities, from which their numbers follow: four of each in this order. */
const SEVERITY = /^SEVERITY_NUMBER_(?:UNSPECIFIED|(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)([234]?))$/;
const SEVERITIES = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

/** Reads the values of OTLP's messages in protobuf's JSON: numbers may be strings, null is the default. Each method wants the scanner in front of a value and goes
 *  past it. Throws Fault bad_request on what does not fit, or is more than an OtlpRoom. */
export class OtlpJsonValues {
  readonly #scanner: JsonScanner;
  readonly #records: OtlpRecords;
  /** Of the attribute read last. */
  key = '';
  value: OtlpValue = null;

  constructor(scanner: JsonScanner, records: OtlpRecords) {
    this.#scanner = scanner;
    this.#records = records;
  }

  /** Goes past null; false where something else stands. */
  #isNull(): boolean {
    if (this.#scanner.peek() !== LETTER_N) return false;
    this.#scanner.skip();
    return true;
  }

  /** Whether an object begins here, rather than null. */
  isObject(what: string): boolean {
    if (this.#isNull()) return false;
    if (this.#scanner.peek() !== OPEN_OBJECT) throw this.#scanner.fault(`${what} is not an object`);
    return true;
  }

  isArray(what: string): boolean {
    if (this.#isNull()) return false;
    if (this.#scanner.peek() !== OPEN_ARRAY) throw this.#scanner.fault(`${what} is not an array`);
    return true;
  }

  text(what: string): string {
    const scanner = this.#scanner;
    if (this.#isNull()) return '';
    if (scanner.peek() !== QUOTE) throw scanner.fault(`${what} is not a string`);
    scanner.string('');
    const text = scanner.text();
    if (text.includes('\ufffd') && !isUtf8(scanner.bytes.subarray(scanner.stringFrom, scanner.stringTo))) this.#records.brokenText = true;
    return text;
  }

  /** The text of a number, which may stand in quotes. */
  #numeral(what: string): string {
    const scanner = this.#scanner;
    const first = scanner.peek();
    const start = scanner.at;
    if (first === QUOTE) {
      scanner.string('');
      return scanner.text();
    }
    scanner.skip();
    if (first !== 0x2d && !(first >= 0x30 && first <= 0x39)) throw scanner.fault(`${what} is not a number`, start);
    return scanner.bytes.toString('latin1', start, scanner.at);
  }

  integer(what: string, least: bigint, most: bigint): bigint {
    if (this.#isNull()) return 0n;
    const { at } = this.#scanner;
    const text = this.#numeral(what);
    // Longer ones are not worth converting.
    const value = INTEGER.test(text) && text.length <= 40 ? BigInt(text) : undefined;
    if (value === undefined || value < least || value > most) {
      throw this.#scanner.fault(`${what} is not a whole number from ${least} to ${most}`, at);
    }
    return value;
  }

  uint32(what: string): number {
    return Number(this.integer(what, 0n, MAX_UINT32));
  }

  severityNumber(): number {
    const scanner = this.#scanner;
    if (scanner.peek() !== QUOTE) return Number(this.integer('severityNumber', MIN_INT32, MAX_INT32));
    scanner.string('');
    const match = SEVERITY.exec(scanner.text());
    if (match === null) throw scanner.fault('severityNumber is not one', scanner.stringFrom);
    const [, name, number = ''] = match;
    return name === undefined ? 0 : SEVERITIES.indexOf(name) * 4 + (number === '' ? 1 : Number(number));
  }

  /** Bytes in hexadecimal; '' if none are there, or all are zero. */
  id(what: string, size: number): string {
    const scanner = this.#scanner;
    const id = this.text(what);
    if (id !== '' && !(id.length === size * 2 && /^[0-9a-fA-F]*$/.test(id))) {
      throw scanner.fault(`${what} is not ${size * 2} hexadecimal digits`, scanner.stringFrom);
    }
    return NO_ID.test(id) ? '' : id.toLowerCase();
  }

  /** `{"key": …, "value": …}` within `depth` values. */
  keyValue(depth = 0): void {
    const scanner = this.#scanner;
    this.#records.room.value(depth);
    let key = '';
    let value: OtlpValue = null;
    if (this.isObject('an attribute')) {
      for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
        const name = scanner.text();
        if (name === 'key') key = this.text('key');
        else if (name === 'value') value = this.anyValue(depth);
        else scanner.forget();
      }
    }
    this.key = key;
    this.value = value;
  }

  /** `{"stringValue": …}` and so on; the last member counts. */
  anyValue(depth = 0): OtlpValue {
    const scanner = this.#scanner;
    let value: OtlpValue = null;
    if (!this.isObject('a value')) return value;
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) value = this.#member(scanner.text(), value, depth);
    return value;
  }

  /** The value of a member of that name; `known` if it is none. */
  #member(name: string, known: OtlpValue, depth: number): OtlpValue {
    const scanner = this.#scanner;
    switch (name) {
      case 'stringValue':
      case 'string_value':
        return this.text('stringValue');
      case 'boolValue':
      case 'bool_value':
        return this.#bool();
      case 'intValue':
      case 'int_value':
        return safeInteger(this.integer('intValue', MIN_INT64, MAX_INT64));
      case 'doubleValue':
      case 'double_value':
        return this.#double();
      case 'bytesValue':
      case 'bytes_value':
        return this.#bytes();
      case 'arrayValue':
      case 'array_value':
        return this.#array(depth + 1);
      case 'kvlistValue':
      case 'kvlist_value':
        return this.#keyValues(depth + 1);
      default:
        scanner.forget();
        return known;
    }
  }

  #bool(): boolean {
    const scanner = this.#scanner;
    scanner.peek();
    const start = scanner.at;
    scanner.skip();
    const text = scanner.bytes.toString('latin1', start, scanner.at);
    if (text !== 'true' && text !== 'false') throw scanner.fault('boolValue is neither true nor false', start);
    return text === 'true';
  }

  #double(): number {
    const { at } = this.#scanner;
    const text = this.#numeral('doubleValue');
    const value = SPECIAL_NUMBERS[text] ?? (DECIMAL.test(text) ? Number(text) : undefined);
    if (value === undefined) throw this.#scanner.fault('doubleValue is not a number', at);
    return value;
  }

  #bytes(): Buffer {
    const scanner = this.#scanner;
    const text = this.text('bytesValue');
    if (!BASE64.test(text)) throw scanner.fault('bytesValue is not base64', scanner.stringFrom);
    return Buffer.from(text, 'base64');
  }

  #array(depth: number): OtlpValue[] {
    const values: OtlpValue[] = [];
    this.#eachValue('arrayValue', () => {
      this.#records.room.value(depth);
      values.push(this.anyValue(depth));
    });
    return values;
  }

  #keyValues(depth: number): Map<string, OtlpValue> {
    const values = new Map<string, OtlpValue>();
    this.#eachValue('kvlistValue', () => {
      this.keyValue(depth);
      values.set(this.key, this.value);
    });
    return values;
  }

  /** Of `{"values": […]}`. */
  #eachValue(what: string, read: () => void): void {
    const scanner = this.#scanner;
    if (!this.isObject(what)) return;
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      if (scanner.text() !== 'values') scanner.forget();
      else if (this.isArray('values')) scanner.array(read);
    }
  }
}
