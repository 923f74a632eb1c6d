/** One option: the row from which flag, YAML key, environment variable, `-help`, `/config` and the reference page are made. */
export interface Option<T> {
  readonly type: 'bytes' | 'duration' | 'int' | 'float' | 'bool' | 'string' | 'secret' | 'choice' | 'list' | 'map' | 'maps';
  /** As a user would write it; parsed like any other input. */
  readonly default: string;
  readonly doc: string;
  /** The flag without its dash, where Loki's name does not follow from section and key: `validation.reject-old-samples`. */
  readonly flag?: string;
  /** Throws an Error whose message names the text and what is wrong with it. */
  readonly parse: (text: string) => T;
  readonly print: (value: T) => string;
  /** Of one whose values are lists of options. */
  readonly rows?: Rows;
}

// biome-ignore lint/suspicious/noExplicitAny: a section holds options of every type, and Option is invariant in its type
export type Rows = Record<string, Option<any>>;

/** A group of options under one YAML key. Keys are camelCase here, snake_case in YAML, kebab-case in flags. */
export interface Section<R extends Rows> {
  /** YAML path of the group: `limits_config`, `common.storage`; '' for the top of the file. */
  readonly yaml: string;
  /** Flag prefix of rows that name none: `ingester` gives `-ingester.max-chunk-age`; '' gives `-target`. */
  readonly prefix: string;
  readonly rows: R;
}

export type OptionsOf<S> = S extends Section<infer R> ? { [K in keyof R]: R[K] extends Option<infer T> ? T : never } : never;

export function section<const R extends Rows>(yaml: string, prefix: string, rows: R): Section<R> {
  return { yaml, prefix, rows };
}

/** The section's values when nobody set any. */
export function defaultsOf<R extends Rows>(of: Section<R>): OptionsOf<Section<R>> {
  return Object.fromEntries(Object.entries(of.rows).map(([key, row]) => [key, row.parse(row.default)])) as OptionsOf<Section<R>>;
}

/** The value as YAML and JSON show it: a number, a boolean, a list of texts, texts by their names, a list of options, or a text such as `256KB`. */
export function plainValue<T>({ type, print, rows }: Option<T>, value: T): unknown {
  if (type === 'maps') return (value as Record<string, unknown>[]).map((one) => plainRows(rows!, one));
  return type === 'bool' || type === 'int' || type === 'float' || type === 'list' || type === 'map' ? value : print(value);
}

function plainRows(rows: Rows, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(rows).map(([key, row]) => [snakeCase(key), plainValue(row, values[key])]));
}

export const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
export const kebabCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

interface Extra {
  flag?: string;
}

interface Range extends Extra {
  /** Smallest and largest value allowed. */
  min?: number;
  max?: number;
}

function within(value: number, { min = -Infinity, max = Infinity }: Range, print: (value: number) => string = String): number {
  if (value < min) throw new Error(`${print(value)} is below ${print(min)}`);
  if (value > max) throw new Error(`${print(value)} is above ${print(max)}`);
  return value;
}

/** A size in bytes: `256KB`, `1.5MB`, `64MiB`, plain digits; powers of 1024 either way, as Loki reads them. */
export function bytes(value: string, doc: string, extra: Extra = {}): Option<number> {
  return { type: 'bytes', default: value, doc, ...extra, parse: parseBytes, print: printBytes };
}

/** A time span in milliseconds: `30s`, `1h30m`, `1w`, `0`. `min` in milliseconds. */
export function duration(value: string, doc: string, { flag, ...range }: Range = {}): Option<number> {
  const parse = (text: string): number => within(parseDuration(text), range, printDuration);
  return { type: 'duration', default: value, doc, ...named(flag), parse, print: printDuration };
}

/** `5000`, also as `5e+03`, which is how templates of YAML files write large numbers. */
export function int(value: string, doc: string, { flag, ...range }: Range = {}): Option<number> {
  const parse = (text: string): number => {
    if (!/^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text.trim()) || !Number.isSafeInteger(Number(text))) {
      throw new Error(`not a whole number: ${text}`);
    }
    return within(Number(text), range);
  };
  return { type: 'int', default: value, doc, ...named(flag), parse, print: String };
}

export function float(value: string, doc: string, { flag, ...range }: Range = {}): Option<number> {
  const parse = (text: string): number => {
    const number = Number(text);
    if (text.trim() === '' || Number.isNaN(number)) throw new Error(`not a number: ${text}`);
    return within(number, range);
  };
  return { type: 'float', default: value, doc, ...named(flag), parse, print: String };
}

const named = (flag: string | undefined): Extra => (flag === undefined ? {} : { flag });

/** `true` and `false` as Go's flags and YAML write them: `1`, `T`, `True`, `yes`, `on` … */
export function bool(value: string, doc: string, extra: Extra = {}): Option<boolean> {
  const parse = (text: string): boolean => {
    if (/^(?:1|t|T|true|True|TRUE|yes|Yes|YES|on|On|ON)$/.test(text)) return true;
    if (/^(?:0|f|F|false|False|FALSE|no|No|NO|off|Off|OFF)$/.test(text)) return false;
    throw new Error(`neither true nor false: ${text}`);
  };
  return { type: 'bool', default: value, doc, ...extra, parse, print: String };
}

export function string(value: string, doc: string, extra: Extra = {}): Option<string> {
  return { type: 'string', default: value, doc, ...extra, parse: (text) => text, print: (text) => text };
}

/** What nobody is shown. */
export function secret(doc: string, extra: Extra = {}): Option<string> {
  return { ...string('', doc, extra), type: 'secret', print: (text) => (text === '' ? '' : '********') };
}

/** Texts by names: `a=b,c=d`, or an object in JSON. */
export function map(value: string, doc: string, extra: Extra = {}): Option<Readonly<Record<string, string>>> {
  const parse = (text: string): Readonly<Record<string, string>> => {
    if (text.trim().startsWith('{')) {
      const entries = Object.entries(parsedJson(text) as Record<string, unknown>);
      return Object.fromEntries(entries.map(([name, item]) => [name, scalarText(item, name)]));
    }
    return Object.fromEntries(
      text
        .split(',')
        .filter((pair) => pair.trim() !== '')
        .map((pair) => {
          const at = pair.indexOf('=');
          if (at < 1) throw new Error(`not name=value: ${pair}`);
          return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
        }),
    );
  };
  return { type: 'map', default: value, doc, ...extra, parse, print: (pairs) => JSON.stringify(pairs) };
}

/** Lists of options with these rows: in JSON, names in snake case, `[{"topics": ["a", "b"]}]`. */
export function maps<const R extends Rows>(rows: R, doc: string, extra: Extra = {}): Option<readonly OptionsOf<Section<R>>[]> {
  const parse = (text: string): readonly OptionsOf<Section<R>>[] => {
    const items = parsedJson(text);
    if (!Array.isArray(items)) throw new Error(`not a list: ${text}`);
    return items.map((item, index) => parsedRows(rows, item, `[${index}]`));
  };
  const print = (items: readonly OptionsOf<Section<R>>[]): string => JSON.stringify(items.map((item) => plainRows(rows, item)));
  return { type: 'maps', default: '[]', doc, ...extra, parse, print, rows };
}

function parsedRows<R extends Rows>(rows: R, item: unknown, at: string): OptionsOf<Section<R>> {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) throw new Error(`${at}: wants keys with values`);
  const given = new Map(Object.entries(item));
  const values = Object.entries(rows).map(([key, row]) => {
    const name = snakeCase(key);
    const value = given.get(name);
    given.delete(name);
    try {
      return [key, row.parse(value === undefined || value === null ? row.default : itemText(value, row))];
    } catch (error) {
      throw new Error(`${at}.${name}: ${(error as Error).message}`);
    }
  });
  const [unknown] = given.keys();
  if (unknown !== undefined) throw new Error(`${at}: unknown key ${unknown}, not one of ${Object.keys(rows).map(snakeCase).join(', ')}`);
  return Object.fromEntries(values) as OptionsOf<Section<R>>;
}

function itemText(value: unknown, { type }: Option<unknown>): string {
  if (type === 'map' && typeof value === 'object' && !Array.isArray(value)) return JSON.stringify(value);
  if (type === 'list' && Array.isArray(value)) return value.map((one) => scalarText(one, 'an item')).join(',');
  return scalarText(value, 'it');
}

function scalarText(value: unknown, name: string): string {
  if (typeof value === 'object') throw new Error(`${name} wants a single value`);
  return String(value);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`not JSON: ${(error as Error).message}`);
  }
}

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[], value: T, doc: string, extra: Extra = {}): Option<T> {
  const parse = (text: string): T => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`not one of ${words.join(', ')}: ${text}`);
    return found;
  };
  return { type: 'choice', default: value, doc, ...extra, parse, print: (word) => word };
}

/** Texts separated by commas. */
export function list(value: string, doc: string, extra: Extra = {}): Option<readonly string[]> {
  const parse = (text: string): readonly string[] =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  return { type: 'list', default: value, doc, ...extra, parse, print: (items) => items.join(',') };
}

/** Some of a few words, separated by commas; at least one. */
export function choices<const T extends string>(words: readonly T[], value: string, doc: string, extra: Extra = {}): Option<readonly T[]> {
  const one = choice(words, words[0], '');
  const some = list(value, doc, extra) as unknown as Option<readonly T[]>;
  const parse = (text: string): readonly T[] => {
    const items = [...new Set(some.parse(text))].map((item) => one.parse(item));
    if (items.length === 0) throw new Error(`not one of ${words.join(', ')}: nothing`);
    return items;
  };
  return { ...some, parse };
}

const BYTE_UNITS = 'KMGTPE';

function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([KMGTPE])I?)?B?$/i.exec(text.trim());
  if (!match) throw new Error(`not a size: ${text}`);
  const power = match[2] === undefined ? 0 : BYTE_UNITS.indexOf(match[2].toUpperCase()) + 1;
  return Math.round(Number(match[1]) * 1024 ** power);
}

/** In the largest unit that leaves no fraction: `256KB`, `1000B`, `0B`. */
function printBytes(value: number): string {
  let power = 0;
  while (power < BYTE_UNITS.length && value > 0 && value % 1024 ** (power + 1) === 0) power++;
  return `${value / 1024 ** power}${power === 0 ? '' : BYTE_UNITS[power - 1]}B`;
}

const DURATION_UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['y', 365 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^-?(\d+(\.\d+)?(y|w|d|h|ms|m|s))+$/.test(trimmed)) throw new Error(`not a duration: ${text}`);
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(y|w|d|h|ms|m|s)/g)) {
    total += Number(amount) * DURATION_UNITS.find(([name]) => name === unit)![1];
  }
  return trimmed.startsWith('-') ? -total : total;
}

/** As Prometheus prints a duration: `30d1h`, `1w`, `90s` as `1m30s`, `0s`; years and weeks only where nothing is left over. */
function printDuration(value: number): string {
  if (value === 0) return '0s';
  let rest = Math.abs(value);
  let out = value < 0 ? '-' : '';
  for (const [unit, ms] of DURATION_UNITS) {
    if ((unit === 'y' || unit === 'w') && rest % ms !== 0) continue;
    const count = unit === 'ms' ? rest : Math.floor(rest / ms);
    if (count > 0) out += `${count}${unit}`;
    rest -= count * ms;
  }
  return out;
}
