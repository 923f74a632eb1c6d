import { ConversionError, parseGoFloat } from './go-parse.ts';
import { formatGoTime, GoTime } from './go-time.ts';

/** A value in a template. Strings are byte strings; bigint is int64, number is float64; undefined is Go's missing value. */
export type Value = string | bigint | number | boolean | null | undefined | GoTime | readonly Value[] | ReadonlyMap<string, Value>;

/** What functions may make of small arguments: `repeat` must not fill the memory. */
const MOST_TEXT = 1024 * 1024;

/** Throws Error if a text of this length is too long for one function to make. */
export function bounded(length: number): void {
  if (length > MOST_TEXT) throw new Error(`result of ${length} bytes is over the limit of ${MOST_TEXT}`);
}

/** The labels of an entry: a map in which every name that is absent is ''. */
export class LabelMap extends Map<string, string> {}

export const toBytes = (text: string): string => (isAscii(text) ? text : Buffer.from(text).toString('latin1'));
export const fromBytes = (bytes: string): string => (isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString());

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** What `if` makes of it. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null) return false;
  if (value instanceof Map) return value.size > 0;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof GoTime) return true;
  if (typeof value === 'bigint') return value !== 0n;
  return typeof value === 'string' ? value.length > 0 : Boolean(value) || Number.isNaN(value);
}

export function typeName(value: Value): string {
  if (value === undefined || value === null) return '<nil>';
  if (value instanceof LabelMap) return 'map[string]string';
  if (value instanceof Map) return 'map[string]interface {}';
  if (Array.isArray(value)) return '[]interface {}';
  if (value instanceof GoTime) return 'time.Time';
  if (typeof value === 'bigint') return 'int';
  return typeof value === 'number' ? 'float64' : typeof value === 'boolean' ? 'bool' : 'string';
}

/** As `%v` prints it. */
export function printValue(value: Value): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return value === null ? '<nil>' : '<no value>';
  if (typeof value === 'number') return printFloat(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof GoTime) return formatGoTime(value, '2006-01-02 15:04:05.999999999 -0700 MST');
  if (value instanceof Map) {
    const pairs = [...(value as ReadonlyMap<string, Value>)].sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([name, inner]) => `${name}:${printValue(inner ?? null)}`).join(' ')}]`;
  }
  return `[${(value as readonly Value[]).map((inner) => printValue(inner ?? null)).join(' ')}]`;
}

/** As `%g`: the shortest digits that say the number, with an exponent from a million on. */
export function printFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 6) return withExponent(mantissa, power);
  return plainDecimal(value);
}

export function withExponent(mantissa: string, power: number): string {
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Without an exponent, whatever the size. */
export function plainDecimal(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa, exponent] = value.toExponential().split('e');
  const [whole, fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = whole + fraction;
  const point = Number(exponent) + 1;
  const text =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : digits.length <= point
        ? digits.padEnd(point, '0')
        : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return value < 0 ? `-${text}` : text;
}

// --- the lenient conversions of sprig -----------------------------------------------------------------------------------------------------------------

/** 0 for what is no integer; a fraction is cut off. */
export function toInt(value: Value): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? BigInt.asIntN(64, BigInt(Math.trunc(value))) : -(2n ** 63n);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value !== 'string') return 0n;
  const match = /^([-+]?)(0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|[1-9](?:_?\d)*|0)$/.exec(
    value.replace(/^([-+]?\d*)\.\d*$/, '$1'),
  );
  if (match === null) return 0n;
  const plain = match[2].replaceAll('_', '');
  const digits = /^0[0-7]+$/.test(plain) ? `0o${plain.slice(1)}` : plain;
  const size = BigInt(digits);
  const signed = match[1] === '-' ? -size : size;
  return BigInt.asIntN(64, signed) === signed ? signed : 0n;
}

/** 0 for what is no number. */
export function toFloat(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') return 0;
  try {
    return parseGoFloat(value);
  } catch (error) {
    if (error instanceof ConversionError) return 0;
    throw error;
  }
}
