import { type Direction, quoteGo } from '../../logql/model.ts';
import { parseDuration } from '../../logql/syntax/units.ts';
import { Fault } from '../base/fault.ts';
import { parseRfc3339 } from '../base/rfc3339.ts';

/** Reads the parameters of the query endpoints. Faults are bad_request with Loki's texts, which Grafana shows to its users. */

const NS_PER_SECOND = 1_000_000_000;
const HOUR_NS = 3_600n * 1_000_000_000n;
const MAX_INT64 = (1n << 63n) - 1n;
const MIN_INT64 = -(1n << 63n);
const MAX_UINT32 = 2 ** 32 - 1;
const DAY_NS = 24n * HOUR_NS;
export const DEFAULT_LIMIT = 100;
const DEFAULT_CONTEXT = 10;
const MAX_DELAY_S = 5;
/** Most evaluations of one series; enough for a week at 60 s. */
const MAX_POINTS = 11_000n;

/** How far back a query looks that says nothing about its start. */
export const QUERY_SINCE_NS = HOUR_NS;
export const LABELS_SINCE_NS = 6n * HOUR_NS;

export interface TimeRange {
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** As `timeRange`, of an endpoint that has nothing to answer, rather than a fault, where the end lies before the start. */
export function anyTimeRange(params: URLSearchParams, nowNs: bigint, defaultSinceNs: bigint): TimeRange {
  const since = params.get('since') ?? '';
  const sinceNs = since === '' ? defaultSinceNs : BigInt(named('since', () => calendarDuration(since)));
  const endNs = named('end', () => timestamp(params.get('end') ?? '', nowNs));
  const startNs = named('start', () => timestamp(params.get('start') ?? '', (endNs > nowNs ? nowNs : endNs) - sinceNs));
  return { startNs, endNs };
}

/** `start`, `end` and `since`. Without a start it is `since` (or `defaultSinceNs`) before the end, or before now if the end lies ahead. */
export function timeRange(params: URLSearchParams, nowNs: bigint, defaultSinceNs: bigint): TimeRange {
  const range = anyTimeRange(params, nowNs, defaultSinceNs);
  if (range.endNs < range.startNs) throw bad('end timestamp must not be before or equal to start time');
  return range;
}

function named<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw bad(`could not parse '${name}' parameter: ${(error as Error).message}`);
  }
}

/** Nanoseconds of: RFC 3339 with up to nine decimals, seconds (with a point, to the millisecond, or of at most ten digits), or nanoseconds. */
export function timestamp(text: string, fallbackNs: bigint): bigint {
  if (text === '') return fallbackNs;
  if (text.includes('.') && /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(text))
    return inRange(text, decimalSeconds(Number(text)));
  if (/^[+-]?\d+$/.test(text)) {
    const whole = inRange(text, BigInt(text.replace('+', '')));
    return text.length <= 10 ? whole * BigInt(NS_PER_SECOND) : whole;
  }
  const ns = parseRfc3339(text);
  if (ns === undefined) throw bad(`strconv.ParseInt: parsing ${quoteGo(text)}: invalid syntax`);
  return ns;
}

function decimalSeconds(seconds: number): bigint | undefined {
  if (Math.abs(seconds) > Number.MAX_SAFE_INTEGER) return undefined;
  const whole = Math.trunc(seconds);
  return BigInt(whole) * BigInt(NS_PER_SECOND) + BigInt(Math.round((seconds - whole) * 1_000)) * 1_000_000n;
}

function inRange(text: string, ns: bigint | undefined): bigint {
  if (ns === undefined || ns > MAX_INT64 || ns < MIN_INT64) throw bad(`strconv.ParseInt: parsing ${quoteGo(text)}: value out of range`);
  return ns;
}

/** Nanoseconds of a whole-number duration: `90s`, `1h30m`, `1d`. */
function calendarDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '' || !/^(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?$/.test(text)) {
    throw bad(`not a valid duration string: ${quoteGo(text)}`);
  }
  const ns = parseDuration(text);
  if (ns > Number(MAX_INT64)) throw bad('duration out of range');
  return ns;
}

/** Nanoseconds of seconds with decimals or of a duration. */
function secondsOrDuration(text: string): number {
  if (/^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)$/i.test(text)) {
    const ns = Number(text.replace(/inf(?:inity)?/i, 'Infinity')) * NS_PER_SECOND;
    if (Math.abs(ns) > Number(MAX_INT64)) throw bad(`cannot parse ${quoteGo(text)} to a valid duration. It overflows int64`);
    return Math.trunc(ns);
  }
  try {
    return calendarDuration(text);
  } catch (error) {
    throw bad(`cannot parse ${quoteGo(text)} to a valid duration`, error);
  }
}

/** `step` in nanoseconds, above zero. Without one: 250 steps over the range, in whole seconds and at least one. */
export function step(params: URLSearchParams, { startNs, endNs }: TimeRange): number {
  const text = params.get('step') ?? '';
  const seconds = Math.max(Number((endNs - startNs) / (250n * BigInt(NS_PER_SECOND))), 1);
  const stepNs = text === '' ? seconds * NS_PER_SECOND : secondsOrDuration(text);
  if (stepNs <= 0) throw bad('zero or negative query resolution step widths are not accepted. Try a positive integer');
  if ((endNs - startNs) / BigInt(stepNs) > MAX_POINTS) {
    throw bad('exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter');
  }
  return stepNs;
}

/** `interval` in nanoseconds; 0 without one. */
export function interval(params: URLSearchParams): number {
  const text = params.get('interval') ?? '';
  const intervalNs = text === '' ? 0 : secondsOrDuration(text);
  if (intervalNs < 0) throw bad('interval must be >= 0');
  return intervalNs;
}

/** `delay_for` of a tail in seconds; 0 without one. */
export function tailDelayS(params: URLSearchParams): number {
  const delayS = wholeNumber(params.get('delay_for') ?? '', 0);
  if (delayS < 0 || delayS > MAX_UINT32) throw bad(`delay_for value ${delayS} is out of range [0, ${MAX_UINT32}]`);
  if (delayS > MAX_DELAY_S) throw bad(`delay_for can't be greater than ${MAX_DELAY_S}`);
  return delayS;
}

export function limit(params: URLSearchParams): number {
  return positive('limit', params.get('limit') ?? '', DEFAULT_LIMIT);
}

/** A whole number above zero that 32 bits hold; `fallback` for ''. `name`: of the parameter. */
export function positive(name: string, text: string, fallback: number): number {
  const value = wholeNumber(text, fallback);
  if (value <= 0) throw bad('limit must be a positive value');
  if (value > MAX_UINT32) throw bad(`${name} value ${BigInt(text)} is out of range [0, ${MAX_UINT32}]`);
  return value;
}

function wholeNumber(text: string, fallback: number): number {
  if (text === '') return fallback;
  if (!/^[+-]?\d+$/.test(text)) throw bad(`strconv.Atoi: parsing ${quoteGo(text)}: invalid syntax`);
  const value = Number(text);
  if (Math.abs(value) >= Number(MAX_INT64)) throw bad(`strconv.Atoi: parsing ${quoteGo(text)}: value out of range`);
  return value;
}

/** `before` and `after` of /context: how many entries on that side of the time; 10 unless said. */
export function entryCount(params: URLSearchParams, name: 'before' | 'after'): number {
  const text = params.get(name) ?? '';
  if (text === '') return DEFAULT_CONTEXT;
  if (!/^\d{1,9}$/.test(text)) throw bad(`could not parse '${name}' parameter: ${quoteGo(text)} is not a number of entries`);
  return Number(text);
}

/** `start` and `end` of /context: a day before and after the time unless said, or as much of it as a query may span. The time is between them. */
export function aroundTime(params: URLSearchParams, timeNs: bigint, { maxQueryLength }: { maxQueryLength: number }): TimeRange {
  const halfNs = maxQueryLength === 0 ? DAY_NS : min(DAY_NS, (BigInt(maxQueryLength) * 1_000_000n) / 2n);
  const startNs = named('start', () => timestamp(params.get('start') ?? '', timeNs - halfNs));
  const endNs = named('end', () => timestamp(params.get('end') ?? '', timeNs + halfNs));
  if (startNs > timeNs || endNs < timeNs) throw bad('ts must lie between start and end');
  return { startNs, endNs };
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export function direction(params: URLSearchParams): Direction {
  const text = params.get('direction') ?? '';
  if (text === '') return 'backward';
  const known = text.toLowerCase();
  if (known !== 'forward' && known !== 'backward') throw bad(`invalid direction '${text}'`);
  return known;
}

/** `match` and `match[]`, each once, in order. */
export function matches(params: URLSearchParams): string[] {
  return [...new Set([...params.getAll('match'), ...params.getAll('match[]')])];
}

function bad(message: string, cause?: unknown): Fault {
  return new Fault('bad_request', message, cause === undefined ? {} : { cause });
}
