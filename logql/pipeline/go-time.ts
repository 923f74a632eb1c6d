/** An instant, shown in a time zone. */
export class GoTime {
  /** Since the epoch. */
  readonly ns: bigint;
  /** East of UTC, in seconds. */
  readonly offsetS: number;
  /** Its short name, '' if it has none. */
  readonly zone: string;
  constructor(ns: bigint, offsetS = 0, zone = 'UTC') {
    this.ns = ns;
    this.offsetS = offsetS;
    this.zone = zone;
  }
  get nanosecond(): number {
    return Number(((this.ns % BILLION) + BILLION) % BILLION);
  }
  get unix(): bigint {
    return (this.ns - BigInt(this.nanosecond)) / BILLION;
  }
  get unixMs(): bigint {
    return this.unix * 1000n + BigInt(Math.floor(this.nanosecond / 1e6));
  }
  /** The wall clock of the zone, as UTC fields of a Date. */
  get wall(): Date {
    return new Date(Number(this.unix + BigInt(this.offsetS)) * 1000);
  }
}

const BILLION = 1_000_000_000n;
/** 0001-01-01T00:00:00Z, what Go's time is before it is set. */
export const ZERO_TIME = -62_135_596_800n * BILLION;
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** The elements of a Go layout; the longest at a place counts. */
const ELEMENT =
  /January|Jan|Monday|Mon|MST|2006|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07|__2|002|_2(?!006)|0[1-6]|15|PM|pm|[.,](?:0+|9+)(?!\d)|[1-5]/g;

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

export function formatGoTime(time: GoTime, layout: string): string {
  const wall = time.wall;
  const hour = wall.getUTCHours();
  return layout.replace(ELEMENT, (element) => {
    switch (element) {
      case '2006':
        return pad(wall.getUTCFullYear(), 4);
      case '06':
        return pad(wall.getUTCFullYear() % 100);
      case 'January':
        return MONTHS[wall.getUTCMonth()];
      case 'Jan':
        return MONTHS[wall.getUTCMonth()].slice(0, 3);
      case '01':
        return pad(wall.getUTCMonth() + 1);
      case '1':
        return String(wall.getUTCMonth() + 1);
      case 'Monday':
        return DAYS[wall.getUTCDay()];
      case 'Mon':
        return DAYS[wall.getUTCDay()].slice(0, 3);
      case '02':
        return pad(wall.getUTCDate());
      case '_2':
        return String(wall.getUTCDate()).padStart(2);
      case '2':
        return String(wall.getUTCDate());
      case '002':
        return pad(yearDay(wall), 3);
      case '__2':
        return String(yearDay(wall)).padStart(3);
      case '15':
        return pad(hour);
      case '03':
        return pad(hour % 12 || 12);
      case '3':
        return String(hour % 12 || 12);
      case '04':
        return pad(wall.getUTCMinutes());
      case '4':
        return String(wall.getUTCMinutes());
      case '05':
        return pad(wall.getUTCSeconds());
      case '5':
        return String(wall.getUTCSeconds());
      case 'PM':
        return hour < 12 ? 'AM' : 'PM';
      case 'pm':
        return hour < 12 ? 'am' : 'pm';
      case 'MST':
        return time.zone === '' ? offset(time.offsetS, '-0700') : time.zone;
      default:
        return element[0] === '.' || element[0] === ',' ? fraction(time, element) : offset(time.offsetS, element);
    }
  });
}

export function yearDay(wall: Date): number {
  return (
    Math.round(
      (Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate()) - Date.UTC(wall.getUTCFullYear(), 0, 1)) / 86_400_000,
    ) + 1
  );
}

function fraction(time: GoTime, element: string): string {
  const digits = pad(time.nanosecond, 9).slice(0, element.length - 1);
  if (element[1] === '0') return element[0] + digits;
  const short = digits.replace(/0+$/, '');
  return short === '' ? '' : element[0] + short;
}

function offset(seconds: number, element: string): string {
  if (element[0] === 'Z' && seconds === 0) return 'Z';
  const size = Math.abs(seconds);
  const parts = [pad(Math.floor(size / 3600)), pad(Math.floor(size / 60) % 60), pad(size % 60)];
  const wanted = element.replace(/\D/g, '').length / 2;
  return (seconds < 0 ? '-' : '+') + parts.slice(0, wanted).join(element.includes(':') ? ':' : '');
}

/** Reads `text` by a Go layout, in UTC or the IANA zone given (UTC again if there is none of that name) unless the text names an offset; undefined if it does
 *  not fit. */
export function parseGoTime(layout: string, text: string, zone = 'UTC'): GoTime | undefined {
  const fields: Record<string, number> = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, ns: 0 };
  let at = 0;
  let afternoon: boolean | undefined;
  let offsetS: number | undefined;
  let name = '';
  let done = 0;
  const take = (pattern: RegExp): string | undefined => {
    const match = pattern.exec(text.slice(at));
    if (match === null) return undefined;
    at += match[0].length;
    return match[0];
  };
  const literal = (expected: string): boolean => {
    if (!text.startsWith(expected, at)) return false;
    at += expected.length;
    return true;
  };
  for (const match of layout.matchAll(ELEMENT)) {
    const element = match[0];
    if (!literal(layout.slice(done, match.index))) return undefined;
    done = match.index + element.length;
    const names = element === 'January' || element === 'Jan' ? MONTHS : element === 'Monday' || element === 'Mon' ? DAYS : undefined;
    if (names !== undefined) {
      const found = names.findIndex((name) =>
        text
          .slice(at)
          .toLowerCase()
          .startsWith((element.length === 3 ? name.slice(0, 3) : name).toLowerCase()),
      );
      if (found < 0) return undefined;
      at += element.length === 3 ? 3 : names[found].length;
      if (names === MONTHS) fields.month = found + 1;
      continue;
    }
    const numeric = NUMERIC[element];
    if (numeric !== undefined) {
      const digits = take(numeric.pattern);
      if (digits === undefined) return undefined;
      const value = Number(digits);
      fields[numeric.field] = element === '06' ? value + (value >= 69 ? 1900 : 2000) : value;
      if (numeric.field === 'second') {
        // A fraction may follow the seconds even where the layout has none.
        const ns = /^[.,]\d+/.test(text.slice(at)) && !/^[.,][09]/.test(layout.slice(done)) ? take(/^[.,]\d+/) : undefined;
        if (ns !== undefined) fields.ns = Number(ns.slice(1).padEnd(9, '0').slice(0, 9));
      }
      continue;
    }
    if (element === 'PM' || element === 'pm') {
      const half = take(/^(?:AM|PM|am|pm)/);
      if (half === undefined) return undefined;
      afternoon = half.toLowerCase() === 'pm';
    } else if (element === 'MST') {
      name = take(/^(?:[A-Z]{3,4}|[-+]\d\d)/) ?? '';
      if (name === '') return undefined;
    } else if (element[0] === '.' || element[0] === ',') {
      const digits = take(element[1] === '0' ? new RegExp(`^[.,]\\d{${element.length - 1}}`) : /^(?:[.,]\d+)?/);
      if (digits === undefined) return undefined;
      fields.ns = Number(digits.slice(1).padEnd(9, '0').slice(0, 9));
    } else {
      const given = take(element[0] === 'Z' ? /^(?:Z|[-+]\d\d(?::?\d\d){0,2})/ : /^[-+]\d\d(?::?\d\d){0,2}/);
      if (given === undefined) return undefined;
      const [hours, minutes = 0, seconds = 0] = given === 'Z' ? [0] : given.slice(1).replaceAll(':', '').match(/\d\d/g)!.map(Number);
      offsetS = (given[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
      if (given === 'Z') name = 'UTC';
    }
  }
  if (!literal(layout.slice(done)) || at !== text.length) return undefined;
  if (afternoon !== undefined) fields.hour = (fields.hour % 12) + (afternoon ? 12 : 0);
  if (fields.day < 1 || fields.day > new Date(Date.UTC(fields.year, fields.month, 0)).getUTCDate() || fields.month < 1 || fields.month > 12)
    return undefined;
  if (fields.hour > 23 || fields.minute > 59 || fields.second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(fields.year, fields.month - 1, fields.day);
  date.setUTCHours(fields.hour, fields.minute, fields.second);
  const wallNs = BigInt(date.getTime()) * 1_000_000n + BigInt(fields.ns);
  const wallMs = date.getTime();
  const shifted = (seconds: number) => wallNs - BigInt(seconds) * BILLION;
  if (name === 'UTC') return new GoTime(wallNs);
  if (offsetS !== undefined) {
    const there = zoneAt(zone, wallMs - offsetS * 1000);
    return new GoTime(shifted(offsetS), offsetS, there.offsetS === offsetS && (name === '' || name === there.name) ? there.name : name);
  }
  // Between the instants that this is in two guesses of the offset, the clock may have been changed.
  const guess = zoneAt(zone, wallMs - zoneAt(zone, wallMs).offsetS * 1000);
  const there = zoneAt(zone, wallMs - guess.offsetS * 1000);
  if (name !== '' && name !== there.name) return new GoTime(wallNs, 0, name); // made up, as Go does
  return new GoTime(shifted(guess.offsetS), there.offsetS, there.name);
}

const NUMERIC: Readonly<Record<string, { field: string; pattern: RegExp }>> = {
  '2006': { field: 'year', pattern: /^\d{4}/ },
  '06': { field: 'year', pattern: /^\d\d/ },
  '01': { field: 'month', pattern: /^\d\d/ },
  '1': { field: 'month', pattern: /^\d\d?/ },
  '02': { field: 'day', pattern: /^\d\d/ },
  _2: { field: 'day', pattern: /^ ?\d\d?/ },
  '2': { field: 'day', pattern: /^\d\d?/ },
  '15': { field: 'hour', pattern: /^\d\d/ },
  '03': { field: 'hour', pattern: /^\d\d/ },
  '3': { field: 'hour', pattern: /^\d\d?/ },
  '04': { field: 'minute', pattern: /^\d\d/ },
  '4': { field: 'minute', pattern: /^\d\d?/ },
  '05': { field: 'second', pattern: /^\d\d/ },
  '5': { field: 'second', pattern: /^\d\d?/ },
};

// --- time zones ---------------------------------------------------------------------------------------------------------------------------------------

interface Zone {
  readonly offsetS: number;
  readonly name: string;
}

const UTC: Zone = { offsetS: 0, name: 'UTC' };
/** Zones of one offset that the names stand for. */
const FIXED: Readonly<Record<string, number>> = { EST: -5, MST: -7, HST: -10 };
/** Where people speak English, zones have short names in that of its dialects; these are those of others that tzdata names. */
const DIALECTS = ['en-US', 'en-GB', 'en-IN', 'en-AU', 'en-NZ', 'en-ZA'];
const NAMES: Readonly<Record<string, string>> = {
  'Africa/Lagos': 'WAT',
  'Africa/Nairobi': 'EAT',
  'Asia/Hong_Kong': 'HKT',
  'Asia/Jakarta': 'WIB',
  'Asia/Karachi': 'PKT',
  'Asia/Manila': 'PST',
  'Asia/Seoul': 'KST',
  'Asia/Shanghai': 'CST',
  'Asia/Taipei': 'CST',
  'Asia/Tokyo': 'JST',
  'Europe/Moscow': 'MSK',
};
const SUMMER_NAMES: Readonly<Record<string, readonly [number, string, string]>> = {
  'Africa/Cairo': [2, 'EET', 'EEST'],
  'Asia/Jerusalem': [2, 'IST', 'IDT'],
};

interface ZoneFormats {
  readonly offset: Intl.DateTimeFormat;
  readonly names: readonly Intl.DateTimeFormat[];
}
/** By zone; undefined where there is no such zone. */
const formats = new Map<string, ZoneFormats | undefined>();
const MOST_FORMATS = 100;

function formatsOf(zone: string): ZoneFormats | undefined {
  if (formats.has(zone)) return formats.get(zone);
  if (formats.size >= MOST_FORMATS) formats.clear();
  const format = (locale: string, timeZoneName: 'longOffset' | 'short') =>
    new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName });
  let made: ZoneFormats | undefined;
  try {
    made = { offset: format('en-US', 'longOffset'), names: DIALECTS.map((dialect) => format(dialect, 'short')) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  formats.set(zone, made);
  return made;
}

function zonePart(format: Intl.DateTimeFormat, ms: number): string {
  return format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

/** A zone at an instant. */
function zoneAt(zone: string, ms: number): Zone {
  if (Object.hasOwn(FIXED, zone)) return { offsetS: FIXED[zone] * 3600, name: zone };
  const format = zone === 'UTC' || zone === '' || zone === 'Local' ? undefined : formatsOf(zone);
  if (format === undefined) return UTC;
  const match = /([-+])(\d\d):(\d\d)(?::(\d\d))?/.exec(zonePart(format.offset, ms));
  const size = match === null ? 0 : Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
  const offsetS = match?.[1] === '-' ? -size : size;
  return { offsetS, name: zoneName(zone, format, ms, offsetS) };
}

/** As in tzdata, which calls zones without a short name by their offset. */
function zoneName(zone: string, { names }: ZoneFormats, ms: number, offsetS: number): string {
  if (offsetS % 60 !== 0) return 'LMT';
  if (Object.hasOwn(NAMES, zone)) return NAMES[zone];
  if (Object.hasOwn(SUMMER_NAMES, zone)) {
    const [hours, standard, summer] = SUMMER_NAMES[zone];
    return offsetS === hours * 3600 ? standard : summer;
  }
  for (const format of names) {
    const name = zonePart(format, ms);
    if (/^[A-Z]+$/.test(name)) return name;
  }
  return offset(offsetS, offsetS % 3600 === 0 ? '-07' : '-0700');
}
