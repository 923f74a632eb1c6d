/** One option: the row from which flag, YAML key, environment variable, `-help`, `/config` and the reference page are made. */
export interface Option<T> {
  readonly type: 'bytes' | 'duration' | 'int' | 'float' | 'bool' | 'string' | 'choice' | 'list';
  /** As a user would write it; parsed like any other input. */
  readonly default: string;
  readonly doc: string;
  /** The flag without its dash, where Loki's name does not follow from section and key: `validation.reject-old-samples`. */
  readonly flag?: string;
  /** Throws an Error whose message names the text and what is wrong with it. */
  readonly parse: (text: string) => T;
  readonly print: (value: T) => string;
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

/** The value as YAML and JSON show it: a number, a boolean, a list of texts, or a text such as `256KB`. */
export function plainValue<T>({ type, print }: Option<T>, value: T): unknown {
  return type === 'bool' || type === 'int' || type === 'float' || type === 'list' ? value : print(value);
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
