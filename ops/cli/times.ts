/** What a line looks like, which decides where its time is looked for. */
export type LineFormat = 'json' | 'logfmt' | 'plain';

/** Keys that hold the time of a JSON or logfmt line; the first one present wins. */
const TIME_KEYS = ['ts', 'time', 'timestamp', '@timestamp'] as const;
const LOGFMT_TIME = /(?:^|\s)(?:ts|time|timestamp|@timestamp)=("(?:[^"\\]|\\.)*"|\S+)/;
/** Times stand near the start of a line; further on they belong to the message. */
const SEARCHED_CHARS = 256;
const DAY_MS = 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export function detectFormat(line: string): LineFormat {
  if (/^\s*\{/.test(line)) return 'json';
  return /^\s*[\w.@-]+=(?:"|\S)/.test(line) ? 'logfmt' : 'plain';
}

/** The time (ns since the epoch) that a line carries, or undefined. `nowMs` tells the year of a syslog line, which names none. */
export function findTime(line: string, format: LineFormat, nowMs: number): bigint | undefined {
  if (format === 'json') {
    const value = jsonTime(line);
    if (value !== undefined) return parseTime(value, nowMs);
  }
  if (format === 'logfmt') {
    const match = LOGFMT_TIME.exec(line);
    if (match) return parseTime(match[1].replace(/^"|"$/g, ''), nowMs);
  }
  return format === 'json' && isJson(line) ? undefined : leftmostTime(line.slice(0, SEARCHED_CHARS), nowMs);
}

/** Reads a text that is a time: RFC 3339 and relatives, common log format, syslog, or an epoch in s, ms, µs or ns by its digits. */
export function parseTime(text: string, nowMs: number): bigint | undefined {
  return epochNs(text) ?? leftmostTime(text.trim(), nowMs, 0);
}

/** The time value of a JSON line as text; a number keeps all its digits. */
function jsonTime(line: string): string | undefined {
  const record = parseRecord(line);
  const key = TIME_KEYS.find((name) => record?.[name] !== undefined);
  if (record === undefined || key === undefined) return undefined;
  const value = record[key];
  if (typeof value === 'number' && !Number.isSafeInteger(value) && value > Number.MAX_SAFE_INTEGER) {
    return new RegExp(`"${key}"\\s*:\\s*(\\d+)`).exec(line)?.[1]; // beyond 2^53 the parsed number has lost digits
  }
  return String(value);
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isJson = (line: string): boolean => parseRecord(line) !== undefined;

interface Shape {
  pattern: RegExp;
  read(match: RegExpExecArray, nowMs: number): bigint | undefined;
}

/** Without a zone a time is local: it was written by this machine, or TZ says whose it is. */
const shapes: readonly Shape[] = [
  {
    // 2026-01-15T10:00:00.123Z, 2026-01-15 10:00:00,123 +0100, 2026/01/15 10:00:00
    pattern:
      /(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[Tt_ ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d\d(?::?\d\d)?(?!\d)| ?(?:UTC|GMT|[+-]\d\d:?\d\d(?!\d)))?/,
    read: ([, year, month, day, hour, minute, second, fraction, zone]) =>
      calendarNs(Number(year), Number(month) - 1, Number(day), [hour, minute, second], fraction, zone),
  },
  {
    // 15/Jan/2026:10:00:00 +0000, as web servers write it
    pattern: /(\d{1,2})\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ([+-]\d{4})/,
    read: ([, day, month, year, hour, minute, second, fraction, zone]) =>
      calendarNs(Number(year), MONTHS.indexOf(month), Number(day), [hour, minute, second], fraction, zone),
  },
  {
    // Jan 15 10:00:00, with or without a syslog priority before it
    pattern: /^(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?/,
    read: ([, month, day, hour, minute, second, fraction], nowMs) => {
      const inYear = (year: number) => calendarNs(year, MONTHS.indexOf(month), Number(day), [hour, minute, second], fraction, undefined);
      const thisYear = new Date(nowMs).getFullYear();
      const time = inYear(thisYear);
      // A December line read in January; a day of grace for clocks and zones that differ.
      return time === undefined || time > BigInt(nowMs + DAY_MS) * 1_000_000n ? inYear(thisYear - 1) : time;
    },
  },
  {
    pattern: /^\[?(\d{10}(?:\.\d{1,9})?|\d{13}(?:\.\d{1,6})?|\d{16}|\d{19})(?![\w.])/,
    read: ([, digits]) => epochNs(digits),
  },
];

/** The time that starts first in `text`, or at `at` if that is given. */
function leftmostTime(text: string, nowMs: number, at?: number): bigint | undefined {
  let found: { index: number; time: bigint } | undefined;
  for (const { pattern, read } of shapes) {
    const match = pattern.exec(text);
    if (match === null || (at !== undefined && match.index !== at) || (found !== undefined && match.index >= found.index)) continue;
    const time = read(match, nowMs);
    if (time !== undefined) found = { index: match.index, time };
  }
  return found?.time;
}

/** Nanoseconds of an epoch in seconds (9 or 10 digits before the point), milliseconds (12, 13), microseconds (15, 16) or nanoseconds (18, 19). */
export function epochNs(text: string): bigint | undefined {
  const match = /^(\d{9,19})(?:\.(\d+))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, whole, fraction = ''] = match;
  const places = { 9: 9, 10: 9, 12: 6, 13: 6, 15: 3, 16: 3, 18: 0, 19: 0 }[whole.length];
  return places === undefined ? undefined : BigInt(whole + fraction.slice(0, places).padEnd(places, '0'));
}

function calendarNs(
  year: number,
  month: number,
  day: number,
  [hour, minute, second]: readonly string[],
  fraction: string | undefined,
  zone: string | undefined,
): bigint | undefined {
  const clock = [Number(hour), Number(minute), Number(second)] as const;
  if (clock[0] > 23 || clock[1] > 59 || clock[2] > 60) return undefined;
  const midnight = new Date(Date.UTC(year, month, day));
  if (midnight.getUTCMonth() !== month || midnight.getUTCDate() !== day) return undefined; // there is no such day
  const ms =
    zone === undefined ? new Date(year, month, day, ...clock).getTime() : Date.UTC(year, month, day, ...clock) - zoneMinutes(zone) * 60_000;
  return BigInt(ms) * 1_000_000n + BigInt((fraction ?? '').padEnd(9, '0').slice(0, 9));
}

function zoneMinutes(zone: string): number {
  const match = /([+-])(\d\d):?(\d\d)?/.exec(zone);
  if (match === null) return 0;
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3] ?? 0));
}

/** Gives the lines of one source their times, in order and never the same one twice in a row, so that equal lines stay two entries. */
export class LineClock {
  readonly #find: ((line: string, nowMs: number) => bigint | undefined) | undefined;
  readonly #nowMs: () => number;
  #found = -1n;
  #last = -1n;

  /** Without `find`, lines are stamped with the time of reading. */
  constructor(find: ((line: string, nowMs: number) => bigint | undefined) | undefined, nowMs: () => number = Date.now) {
    this.#find = find;
    this.#nowMs = nowMs;
  }

  /** A line without a time of its own follows the line before by a nanosecond, and so does one that has the same time. */
  timeOf(line: string): bigint {
    const nowMs = this.#nowMs();
    const found = this.#find?.(line, nowMs);
    if (found !== undefined && found !== this.#found) {
      this.#found = found;
      this.#last = found;
    } else if (found === undefined && (this.#find === undefined || this.#last < 0n)) {
      const now = BigInt(nowMs) * 1_000_000n;
      this.#last = now > this.#last ? now : this.#last + 1n;
    } else {
      this.#last += 1n;
    }
    return this.#last;
  }
}
