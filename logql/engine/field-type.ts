import { ConversionError, parseGoDuration, parseGoFloat, parseHumanBytes } from '../pipeline/go-parse.ts';

export type FieldType = 'int' | 'float' | 'boolean' | 'duration' | 'bytes' | 'string';

const MIN_INT64 = -(1n << 63n);
const MAX_INT64 = (1n << 63n) - 1n;
/** What strconv.ParseBool takes and no number is. */
const BOOLEANS = new Set(['t', 'T', 'true', 'True', 'TRUE', 'f', 'F', 'false', 'False', 'FALSE']);

/** What a field's value is: the first of these that it can be read as by Go's libraries, as Loki tries them. */
export function fieldType(value: string): FieldType {
  if (isInt64(value)) return 'int';
  if (reads(parseGoFloat, value)) return 'float';
  if (BOOLEANS.has(value)) return 'boolean';
  if (reads(parseGoDuration, value)) return 'duration';
  return reads(parseHumanBytes, value) ? 'bytes' : 'string';
}

function isInt64(text: string): boolean {
  if (!/^[-+]?\d+$/.test(text)) return false;
  const digits = text.replace(/^[-+]?0*/, '');
  if (digits.length > 19) return false; // before BigInt, whose work grows faster than the text
  const value = BigInt(digits === '' ? 0 : digits) * (text.startsWith('-') ? -1n : 1n);
  return value >= MIN_INT64 && value <= MAX_INT64;
}

function reads(parse: (text: string) => number, text: string): boolean {
  return parsed(parse, text) !== undefined;
}

function parsed(parse: (text: string) => number, text: string): number | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof ConversionError) return undefined;
    throw error;
  }
}

const SIZE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** A size with a unit as a query can compare with it, `1.5 KiB` as `1.5kB`; any other value as it is. */
export function comparableSize(value: string): string {
  if (!/^[\d.,].*[bikmgtpe]$/is.test(value)) return value;
  const bytes = parsed(parseHumanBytes, value);
  return bytes === undefined ? value : shortSize(bytes);
}

/** As go-humanize prints sizes, without the space. */
function shortSize(bytes: number): string {
  if (bytes < 10) return `${bytes}B`;
  let power = 0;
  while (power < SIZE_UNITS.length - 1 && bytes >= 1000 ** (power + 1)) power++;
  const amount = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${amount < 10 ? amount.toFixed(1) : amount.toFixed(0)}${SIZE_UNITS[power]}`;
}
