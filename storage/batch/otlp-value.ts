import { compareUtf8 } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';

/** What an OTLP AnyValue holds; null if nothing. Integers are numbers where those are exact, bigints elsewhere. Of equal keys in a list the last counts. */
export type OtlpValue = null | string | boolean | number | bigint | Buffer | readonly OtlpValue[] | ReadonlyMap<string, OtlpValue>;

/** Values within values; 64 is twice what protobuf's own decoders take in most languages. */
const MAX_DEPTH = 64;
const MAX_VALUES = 262_144;
const MAX_CHARACTERS = 16 * MiB;

/** How much one record, scope or resource may hold, since two bytes of a request are enough for a value and names repeat in those nested under them.
 *  Each method throws Fault bad_request where that is exceeded. */
export class OtlpRoom {
  #values = 0;
  #characters = 0;

  /** What follows belongs to another record, scope or resource. */
  clear(): void {
    this.#values = 0;
    this.#characters = 0;
  }

  /** One more value, nested in `depth` others. */
  value(depth: number): void {
    if (depth > MAX_DEPTH) throw new Fault('bad_request', `otlp: values nested deeper than ${MAX_DEPTH}`);
    if (++this.#values > MAX_VALUES)
      throw new Fault('bad_request', `otlp: more than ${MAX_VALUES} attributes and nested values in one record`);
  }

  /** So much text more than the request holds itself. */
  characters(count: number): void {
    this.wants(count);
    this.#characters += count;
  }

  /** At least so much text is about to be made. */
  wants(characters: number): void {
    if (this.#characters + characters > MAX_CHARACTERS) {
      throw new Fault('bad_request', `otlp: nested values of one record take more than ${MAX_CHARACTERS} characters`);
    }
  }
}

/** A value as the text that Loki stores: strings as they are, bytes in base64, lists as JSON, nothing as ''. */
export function valueText(value: OtlpValue, room: OtlpRoom): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value === 'object' && !Buffer.isBuffer(value)) return new JsonText(room).of(value);
  return Buffer.isBuffer(value) ? value.toString('base64') : scalarText(value);
}

/** Digits as in ECMAScript, which Go's encoder follows too, except for minus zero. */
function scalarText(value: boolean | number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** JSON without spaces, keys in the order of their bytes. */
class JsonText {
  readonly #room: OtlpRoom;
  #text = '';

  constructor(room: OtlpRoom) {
    this.#room = room;
  }

  of(value: OtlpValue): string {
    this.#write(value);
    return this.#text;
  }

  #put(text: string): void {
    this.#room.characters(text.length);
    this.#text += text;
  }

  #write(value: OtlpValue): void {
    if (value === null) this.#put('null');
    else if (typeof value === 'string') this.#put(this.#quoted(value));
    else if (typeof value !== 'object') this.#put(isNumeral(value) ? scalarText(value) : `"${value}"`);
    else if (Buffer.isBuffer(value)) this.#bytes(value);
    else if (value instanceof Map) this.#object(value);
    else this.#array(value as readonly OtlpValue[]);
  }

  /** No bytes are null, as in Go. */
  #bytes(value: Buffer): void {
    this.#room.wants(value.length);
    this.#put(value.length === 0 ? 'null' : `"${value.toString('base64')}"`);
  }

  /** As Go's encoder quotes: the two line separators of Unicode are escaped, `<`, `>` and `&` are not. */
  #quoted(text: string): string {
    this.#room.wants(text.length);
    return JSON.stringify(text).replace(/[\u2028\u2029]/g, (char) => (char === '\u2028' ? '\\u2028' : '\\u2029'));
  }

  #array(values: readonly OtlpValue[]): void {
    this.#put('[');
    for (const [index, value] of values.entries()) {
      if (index > 0) this.#put(',');
      this.#write(value);
    }
    this.#put(']');
  }

  #object(map: ReadonlyMap<string, OtlpValue>): void {
    let before = '{';
    for (const [key, value] of [...map].sort(([a], [b]) => compareUtf8(a, b))) {
      this.#put(`${before}${this.#quoted(key)}:`);
      this.#write(value);
      before = ',';
    }
    this.#put(before === '{' ? '{}' : '}');
  }
}

/** NaN and the infinities are none in JSON, so they are put in quotes; Loki stores an empty text instead of the whole value. */
function isNumeral(value: boolean | number | bigint): boolean {
  return typeof value !== 'number' || Number.isFinite(value);
}
