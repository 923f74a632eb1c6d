import { quoteGo } from '../model.ts';

/** Why a label's value is no number, duration or size, in the words of Go's libraries: they end up in __error_details__. */
export class ConversionError extends Error {}

/** As Go's strconv.ParseFloat. Throws ConversionError. */
export function parseGoFloat(text: string): number {
  const plain = text.includes('_') ? withoutSeparators(text) : text;
  if (/^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/.test(plain)) {
    const value = Number(plain);
    if (!Number.isFinite(value)) throw new ConversionError(`strconv.ParseFloat: parsing ${quoteGo(text)}: value out of range`);
    return value;
  }
  const special = /^([-+]?)(inf|infinity|nan)$/i.exec(plain);
  if (special !== null && special[2].toLowerCase() === 'nan') {
    if (special[1] === '') return Number.NaN;
  } else if (special !== null) return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const hex = /^([-+]?)0[xX]([\da-fA-F]*)(?:\.([\da-fA-F]*))?[pP]([-+]?\d+)$/.exec(plain);
  if (hex !== null && hex[2] + (hex[3] ?? '') !== '') {
    const [, sign, whole, fraction = '', exponent] = hex;
    const value = Number.parseInt(whole + fraction, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
    return sign === '-' ? -value : value;
  }
  throw new ConversionError(`strconv.ParseFloat: parsing ${quoteGo(text)}: invalid syntax`);
}

/** `1_000` without its underscores, which stand between digits or behind a base's prefix; those that stand elsewhere are left. */
function withoutSeparators(text: string): string {
  return text.replace(/^[-+]?0[xX]/.test(text) ? /(?<=[\da-fA-FxX])_(?=[\da-fA-F])/g : /(?<=\d)_(?=\d)/g, '');
}

/** As Go's time package quotes: what is not printable ASCII byte by byte. */
function quoteBytes(text: string): string {
  const escaped = text.replace(/["\\]|[^ -~]+/g, (part) =>
    part === '"' || part === '\\' ? `\\${part}` : part === '\x7f' ? part : Buffer.from(part).toString('hex').replace(/../g, '\\x$&'),
  );
  return `"${escaped}"`;
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Nanoseconds, as Go's time.ParseDuration; beyond 2^53 rounded, but refused exactly where they leave 63 bits. Throws ConversionError. */
export function parseGoDuration(text: string): number {
  const plain = plainDuration(text);
  return plain >= 0 ? plain : anyDuration(text);
}

const ZERO = 0x30;
const POINT = 0x2e;
/** A float64 counts what has no more digits exactly, and divides it by a power of ten as it would read the fraction. */
const MOST_DIGITS = 15;
const POWERS_OF_TEN = Array.from({ length: MOST_DIGITS + 1 }, (_, power) => 10 ** power);

/** Of a duration as programs write them (`1.5ms`, `1h2m`), without a sign and not too long; -1 for any other text. */
function plainDuration(text: string): number {
  let total = 0;
  let at = 0;
  do {
    const start = at;
    let digits = 0;
    let fraction = 0;
    let point = -1;
    for (; at < text.length; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit >= 0 && digit <= 9) {
        if (point < 0) digits = digits * 10 + digit;
        else fraction = fraction * 10 + digit;
      } else if (digit === POINT - ZERO && point < 0) point = at;
      else break;
    }
    if (at === start || at === point + 1 || at - start > MOST_DIGITS) return -1;
    const unit = at;
    while (at < text.length && text.charCodeAt(at) >= 0x61) at++;
    const scale = scaleOf(text, unit, at);
    if (scale === 0) return -1;
    total += digits * scale;
    if (point >= 0) total += Math.floor((fraction / POWERS_OF_TEN[unit - point - 1]) * scale);
    if (total > Number.MAX_SAFE_INTEGER) return -1;
  } while (at < text.length);
  return total;
}

/** Nanoseconds of the unit at [from, to); 0 for what is none, or seldom is written. */
function scaleOf(text: string, from: number, to: number): number {
  const first = text[from];
  if (to - from === 1) return first === 's' ? 1e9 : first === 'm' ? 60e9 : first === 'h' ? 3600e9 : 0;
  if (to - from !== 2 || text[from + 1] !== 's') return 0;
  return first === 'm' ? 1e6 : first === 'n' ? 1 : first === 'u' || first === 'µ' || first === 'μ' ? 1e3 : 0;
}

function anyDuration(text: string): number {
  const invalid = () => new ConversionError(`time: invalid duration ${quoteBytes(text)}`);
  const negative = text.startsWith('-');
  const rest = text.replace(/^[-+]/, '');
  if (rest === '0') return 0;
  if (rest === '') throw invalid();
  const part = /(\d*)(\.\d*)?([^\d.]*)/y;
  let total = 0n;
  while (part.lastIndex < rest.length) {
    const [, whole, fraction = '', unit] = part.exec(rest)!;
    if (whole === '' && fraction.length < 2) throw invalid();
    if (BigInt(whole) > 1n << 63n) throw invalid();
    if (unit === '') throw new ConversionError(`time: missing unit in duration ${quoteBytes(text)}`);
    const scale = Object.hasOwn(DURATION_UNITS, unit) ? DURATION_UNITS[unit] : undefined;
    if (scale === undefined) throw new ConversionError(`time: unknown unit ${quoteBytes(unit)} in duration ${quoteBytes(text)}`);
    total += BigInt(whole) * BigInt(scale) + BigInt(Math.floor(Number(`0${fraction}`) * scale));
    if (total > 1n << 63n) throw invalid();
  }
  if (total === 1n << 63n && !negative) throw invalid();
  return negative ? -Number(total) : Number(total);
}

const SIZE_PREFIXES = 'kmgtpe';

/** Bytes, as go-humanize reads `2.3MiB`, `5 kB`, `1,000`. Throws ConversionError. */
export function parseHumanBytes(text: string): number {
  const digits = /^[\d.,]*/.exec(text)![0];
  const amount = parseGoFloat(digits.replaceAll(',', ''));
  const unit = text.slice(digits.length).trim().toLowerCase();
  const match = /^(?:([kmgtpe])(i?))?b?$/.exec(unit);
  if (match === null) throw new ConversionError(`unhandled size name: ${unit}`);
  const power = match[1] === undefined ? 0 : SIZE_PREFIXES.indexOf(match[1]) + 1;
  const bytes = amount * (match[2] ? 1024 : 1000) ** power;
  if (bytes >= 2 ** 64) throw new ConversionError(`too large: ${text}`);
  return Math.trunc(bytes);
}
