const GO_UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const DAY_NS = 24 * GO_UNITS.h;
/** Units of Prometheus durations, in the order in which they must stand. */
const CALENDAR_UNITS: readonly (readonly [unit: string, ns: number])[] = [
  ['y', 365 * DAY_NS],
  ['w', 7 * DAY_NS],
  ['d', DAY_NS],
  ['h', GO_UNITS.h],
  ['m', GO_UNITS.m],
  ['s', GO_UNITS.s],
  ['ms', GO_UNITS.ms],
];

/** Why a text is no duration or size. */
export class UnitError extends Error {}

/** Nanoseconds of a duration as Go (`1h30m`, `1.5s`, `-2m`) or Prometheus (`1w2d`, `1y`) writes it. Throws UnitError. */
export function parseDuration(text: string): number {
  if (text === '') throw new UnitError('empty duration string');
  const calendar = /^(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?$/.test(text);
  const sign = text.startsWith('-') ? -1 : 1;
  const unsigned = calendar ? text : text.replace(/^[-+]/, '');
  if (unsigned === '0') return 0;
  // One way to read any text: were the dot optional between two runs of digits, a long text that fails would be tried in exponentially many.
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)[^\d.\s]+)+$/.test(unsigned)) throw new UnitError(`not a valid duration string: "${text}"`);
  const units = calendar ? Object.fromEntries(CALENDAR_UNITS) : GO_UNITS;
  let total = 0;
  for (const [, amount, unit] of unsigned.matchAll(/([\d.]+)([^\d.]+)/g)) {
    if (!Object.hasOwn(units, unit)) throw new UnitError(`unknown unit "${unit}" in duration "${text}"`);
    total += Math.round(Number(amount) * units[unit]);
  }
  return sign * total;
}

/** Nanoseconds of a duration as Prometheus writes it, `1w2d`, `5m`: whole numbers, larger units first. Throws UnitError. */
export function parseCalendarDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new UnitError('empty duration string');
  const invalid = () => new UnitError(`not a valid duration string: "${text}"`);
  let total = 0;
  let last = -1;
  for (let rest = text; rest !== ''; ) {
    const part = /^(\d+)(\D+)/.exec(rest);
    if (part === null) throw invalid();
    const [whole, amount, unit] = part;
    const rank = CALENDAR_UNITS.findIndex(([name]) => name === unit);
    if (rank < 0) throw new UnitError(`unknown unit "${unit}" in duration "${text}"`);
    if (rank <= last) throw invalid();
    last = rank;
    total += Number(amount) * CALENDAR_UNITS[rank][1];
    if (total >= 2 ** 63) throw new UnitError('duration out of range');
    rest = rest.slice(whole.length);
  }
  return total;
}

/** As Go's time.Duration prints: `1h0m0s`, `1m30s`, `1.5s`, `250ms`, `0s`. */
export function printGoDuration(ns: number): string {
  if (ns < 0) return `-${printGoDuration(-ns)}`;
  if (ns === 0) return '0s';
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${decimals(ns, 1e3)}µs`;
  if (ns < 1e9) return `${decimals(ns, 1e6)}ms`;
  const hours = Math.floor(ns / GO_UNITS.h);
  const minutes = Math.floor((ns % GO_UNITS.h) / GO_UNITS.m);
  const seconds = `${decimals(ns % GO_UNITS.m, 1e9)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** `ns / unit` in decimal, exactly. */
function decimals(ns: number, unit: number): string {
  const whole = Math.floor(ns / unit);
  const fraction = String(ns - whole * unit).padStart(Math.log10(unit), '0');
  return ns % unit === 0 ? String(whole) : `${whole}.${fraction.replace(/0+$/, '')}`;
}

/** As Prometheus prints a duration: `1w`, `1h30m`, `5m`, `0s`; what is finer than a millisecond as Go prints it. */
export function printDuration(ns: number): string {
  if (ns === 0) return '0s';
  if (ns < 0 || ns % GO_UNITS.ms !== 0) return printGoDuration(ns);
  let rest = ns;
  let out = '';
  for (const [unit, size] of CALENDAR_UNITS) {
    const exactOnly = unit === 'y' || unit === 'w';
    if (exactOnly && rest % size !== 0) continue;
    const count = Math.floor(rest / size);
    if (count > 0) out += `${count}${unit}`;
    rest -= count * size;
  }
  return out;
}

const BYTE_UNITS = 'kmgtp';

/** Bytes of `5KB` (powers of 1000), `5KiB`, `5k` (powers of 1024 with an `i` only), `12B`; any case. undefined if it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(?:([kmgtp])(i?))?b?$/i.exec(text);
  if (match === null) return undefined;
  const power = match[2] === undefined ? 0 : BYTE_UNITS.indexOf(match[2].toLowerCase()) + 1;
  return Math.floor(Number(match[1]) * (match[3] ? 1024 : 1000) ** power);
}

/** The canonical text of a size: `10kB`, with one or two digits behind the point, so that it may say another number. */
export function printBytes(bytes: number): string {
  let power = 0;
  while (power < BYTE_UNITS.length && bytes >= 1000 ** (power + 1)) power++;
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  const unit = power === 0 ? 'B' : `${power === 1 ? 'k' : BYTE_UNITS[power - 1].toUpperCase()}B`;
  return bytes < 10 ? `${bytes}B` : `${value < 10 ? value.toFixed(1) : value.toFixed(0)}${unit}`;
}
