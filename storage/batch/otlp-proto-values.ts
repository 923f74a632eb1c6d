import { isUtf8 } from 'node:buffer';
import { Fault } from '../../ops/base/fault.ts';
import type { OtlpRecords } from './otlp-records.ts';
import type { OtlpValue } from './otlp-value.ts';
import { fields, fixed64, type ProtoScanner, sized, varint } from './proto-scanner.ts';

// opentelemetry-proto, common/v1/common.proto:
//   KeyValue { 1: key, 2: AnyValue }    ArrayValue { 1: repeated AnyValue }    KeyValueList { 1: repeated KeyValue }
//   AnyValue { 1: string, 2: bool, 3: int64, 4: double, 5: ArrayValue, 6: KeyValueList, 7: bytes }

const [KEY, KEYED] = [sized(1), sized(2)];
const KEY_VALUE = fields(1, 2);
const ITEM = sized(1);
const LIST = fields(1);
const [STRING, BOOL, INT, DOUBLE, ARRAY, KEY_VALUES, BYTES] = [sized(1), varint(2), varint(3), fixed64(4), sized(5), sized(6), sized(7)];
const VALUE = fields(1, 2, 3, 4, 5, 6, 7);

/** Reads what OTLP's messages have in common. Throws Fault bad_request on what does not fit, or is more than an OtlpRoom. */
export class OtlpProtoValues {
  readonly #scanner: ProtoScanner;
  readonly #records: OtlpRecords;
  /** Of the KeyValue read last. */
  key = '';
  value: OtlpValue = null;

  constructor(scanner: ProtoScanner, records: OtlpRecords) {
    this.#scanner = scanner;
    this.#records = records;
  }

  /** Reads the KeyValue up to `end`, which is nested in `depth` values. */
  keyValue(end: number, depth = 0): void {
    const scanner = this.#scanner;
    this.#records.room.value(depth);
    let key = '';
    let value: OtlpValue = null;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === KEY) key = this.text(end);
      else if (tag === KEYED) value = this.anyValue(scanner.end(end), depth);
      else scanner.skip(tag, end, KEY_VALUE);
    }
    this.key = key;
    this.value = value;
  }

  /** The string that is all of the AnyValue up to `end` is bytes [scanner.at, end); otherwise false, and nothing is read. */
  isString(end: number): boolean {
    const scanner = this.#scanner;
    const start = scanner.at;
    if (start < end && scanner.bytes[start] === STRING) {
      scanner.at++;
      if (scanner.end(end) === end) return true;
    }
    scanner.at = start;
    return false;
  }

  anyValue(end: number, depth = 0): OtlpValue {
    const scanner = this.#scanner;
    let value: OtlpValue = null;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      switch (tag) {
        case STRING:
          value = this.text(end);
          break;
        case BOOL:
          value = scanner.varint(end) !== 0;
          break;
        case INT:
          value = scanner.int64(end);
          break;
        case DOUBLE:
          value = scanner.bytes.readDoubleLE(scanner.fixed(8, end));
          break;
        case ARRAY:
          value = this.#array(scanner.end(end), depth + 1);
          break;
        case KEY_VALUES:
          value = this.#keyValues(scanner.end(end), depth + 1);
          break;
        case BYTES: {
          const to = scanner.end(end);
          value = scanner.bytes.subarray(scanner.at, to);
          scanner.at = to;
          break;
        }
        default:
          scanner.skip(tag, end, VALUE);
      }
    }
    return value;
  }

  #array(end: number, depth: number): OtlpValue[] {
    const scanner = this.#scanner;
    const values: OtlpValue[] = [];
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === ITEM) {
        this.#records.room.value(depth);
        values.push(this.anyValue(scanner.end(end), depth));
      } else scanner.skip(tag, end, LIST);
    }
    return values;
  }

  #keyValues(end: number, depth: number): Map<string, OtlpValue> {
    const scanner = this.#scanner;
    const values = new Map<string, OtlpValue>();
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === ITEM) {
        this.keyValue(scanner.end(end), depth);
        values.set(this.key, this.value);
      } else scanner.skip(tag, end, LIST);
    }
    return values;
  }

  text(limit: number): string {
    const scanner = this.#scanner;
    const to = scanner.end(limit);
    const from = scanner.at;
    const text = scanner.text(to);
    if (text.includes('\ufffd') && !isUtf8(scanner.bytes.subarray(from, to))) this.#records.brokenText = true;
    return text;
  }

  /** `size` bytes in hexadecimal; '' if none are there, or all are zero. */
  id(name: string, size: number, limit: number): string {
    const scanner = this.#scanner;
    const to = scanner.end(limit);
    const from = scanner.at;
    scanner.at = to;
    if (to === from) return '';
    if (to - from !== size) throw new Fault('bad_request', `otlp: ${name} of ${to - from} bytes instead of ${size} at byte ${from}`);
    const id = scanner.bytes.toString('hex', from, to);
    return NO_ID.test(id) ? '' : id;
  }
}

const NO_ID = /^0*$/;
