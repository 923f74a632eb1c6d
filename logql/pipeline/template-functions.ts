import { DECIMAL_OPS, type Decimal, fromDecimal, toDecimal } from './decimal.ts';
import { parseGoDuration, parseHumanBytes } from './go-parse.ts';
import { formatGoTime, GoTime, parseGoTime, ZERO_TIME } from './go-time.ts';
import { define, type EntryContext, type TemplateFunction } from './template-define.ts';
import { sprintf } from './template-printf.ts';
import { sprint, TEXT_FUNCTIONS } from './template-text.ts';
import { bounded, fromBytes, isTrue, LabelMap, printValue, toBytes, toFloat, toInt, typeName, type Value } from './template-value.ts';

const BILLION = 1_000_000_000n;

function asTime(value: Value, entry: EntryContext): GoTime {
  if (value instanceof GoTime) return value;
  if (typeof value === 'bigint') return new GoTime(value * BILLION);
  return new GoTime(entry.nowNs());
}

/** Folds int64 arguments. */
const integers = (fold: (a: bigint, b: bigint) => bigint) =>
  define('aa*', ([first, ...rest]) => rest.reduce((sum: bigint, value) => BigInt.asIntN(64, fold(sum, toInt(value))), toInt(first)));

const twoIntegers = (combine: (a: bigint, b: bigint) => bigint) => define('aa', ([a, b]) => BigInt.asIntN(64, combine(toInt(a), toInt(b))));

/** Each factor of a product in decimal adds up to 300 digits. */
const MOST_DECIMALS = 100;

/** Folds numbers, in decimal. */
const decimals = (op: keyof typeof DECIMAL_OPS) =>
  define('aa*', (values) => {
    const [first, ...rest] = values.map(decimalOf);
    if (rest.length > MOST_DECIMALS) throw new Error(`more than ${MOST_DECIMALS} numbers`);
    return fromDecimal(rest.reduce(DECIMAL_OPS[op], first));
  });

function decimalOf(value: Value): Decimal {
  const number = toFloat(value);
  if (!Number.isFinite(number)) throw new Error(`Cannot create a Decimal from ${printValue(number)}`);
  return toDecimal(number);
}

const floats = (fold: (a: number, b: number) => number) =>
  define('aa*', ([first, ...rest]) => rest.reduce((sum: number, value) => fold(sum, toFloat(value)), toFloat(first)));

const pick = (a: bigint, b: bigint, second: boolean): bigint => (second ? b : a);

function divisor(value: bigint): bigint {
  if (value === 0n) throw new Error('runtime error: integer divide by zero');
  return value;
}

/** Up if the fraction is at least `up`; of negative numbers it is negative, so that they go down unless `up` says otherwise. */
function goRound(value: number, places: bigint, up = 0.5): number {
  const power = 10 ** Number(places);
  const digit = power * value;
  const fraction = digit - Math.trunc(digit);
  return (fraction >= up ? Math.ceil(digit) : Math.floor(digit)) / power;
}

/** The instant that a text of digits means by its length: days, seconds, ms, us or ns. */
function unixToTime(text: string): GoTime {
  const unitNs: Readonly<Record<number, bigint>> = { 5: 86_400n * BILLION, 10: BILLION, 13: 1_000_000n, 16: 1000n, 19: 1n };
  if (!/^[-+]?\d+$/.test(text)) throw new Error(`unable to parse time '${text}': strconv.ParseInt: parsing "${text}": invalid syntax`);
  const unit = unitNs[text.length];
  if (unit === undefined) throw new Error(`unable to parse time '${text}': %!w(<nil>)`);
  return new GoTime(BigInt(text) * unit);
}

/** Deeper values are refused, for what prints them recurses. */
const MOST_NESTING = 1_000;

function fromJson(text: string): Value {
  const value = (json: unknown, depth: number): Value => {
    if (typeof json === 'string') return toBytes(json);
    if (typeof json === 'number') return Number.isFinite(json) ? json : null; // too large a number is passed over
    if (typeof json !== 'object' || json === null) return json as boolean | null;
    if (depth === MOST_NESTING) throw new Error(`nested deeper than ${MOST_NESTING}`);
    if (Array.isArray(json)) return json.map((inner) => value(inner, depth + 1));
    return new Map(Object.entries(json).map(([name, inner]) => [toBytes(name), value(inner, depth + 1)]));
  };
  try {
    return value(JSON.parse(fromBytes(text)), 0);
  } catch {
    return null; // sprig's fromJson passes over what is wrong
  }
}

const isNothing = (value: Value): value is null | undefined => value === undefined || value === null;
const isBasic = (value: Value): boolean => !isNothing(value) && typeof value !== 'object';

function incompatible(a: Value, b: Value): Error {
  return new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
}

function less(a: Value, b: Value): boolean {
  if (!isBasic(a) || !isBasic(b)) throw new Error('invalid type for comparison');
  if (typeof a !== typeof b) throw incompatible(a, b);
  if (typeof a === 'boolean') throw new Error('invalid type for comparison');
  return a! < b!;
}

function equal(a: Value, b: Value): boolean {
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b);
  if (typeof a !== typeof b) throw incompatible(a, b);
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  if (typeName(a) !== typeName(b))
    throw new Error(`non-comparable types ${printValue(a)}: ${typeName(a)}, ${typeName(b)}: ${printValue(b)}`);
  if (a instanceof GoTime && b instanceof GoTime) return a.ns === b.ns && a.zone === b.zone;
  throw new Error(`non-comparable type ${printValue(b)}: ${typeName(b)}`);
}

/** As Go puts them together: with NaN all but `lt` and `le` hold. */
const lessOrEqual = (a: Value, b: Value): boolean => less(a, b) || equal(a, b);

function index(start: Value, keys: readonly Value[]): Value {
  if (isNothing(start)) throw new Error('index of untyped nil');
  let value = start as Value;
  for (const key of keys) {
    if (value instanceof Map) {
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`);
      value = (value as ReadonlyMap<string, Value>).get(key) ?? (value instanceof LabelMap ? '' : undefined);
      continue;
    }
    if (isNothing(value)) throw new Error('index of nil pointer');
    if (typeof value !== 'string' && !Array.isArray(value)) throw new Error(`can't index item of type ${typeName(value)}`);
    if (typeof key !== 'bigint') throw new Error(`cannot index slice/array with type ${typeName(key)}`);
    const list = value as string | readonly Value[];
    if (key < 0n || key > BigInt(list.length)) throw new Error(`index out of range: ${key}`);
    if (key === BigInt(list.length)) throw new Error(`reflect: ${typeof list === 'string' ? 'string' : 'slice'} index out of range`);
    value = typeof list === 'string' ? BigInt(list.charCodeAt(Number(key))) : list[Number(key)];
  }
  return value;
}

function slice(value: Value, bounds: readonly Value[]): Value {
  if (isNothing(value)) throw new Error('slice of untyped nil');
  if (typeof value !== 'string' && !Array.isArray(value)) throw new Error(`can't slice item of type ${typeName(value)}`);
  const list = value as string | readonly Value[];
  for (const bound of bounds) {
    if (typeof bound !== 'bigint') throw new Error(`cannot index slice/array with type ${typeName(bound)}`);
    if (bound < 0n || bound > BigInt(list.length)) throw new Error(`index out of range: ${bound}`);
  }
  const [from = 0n, to = BigInt(list.length)] = bounds as readonly bigint[];
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return list.slice(Number(from), Number(to));
}

/** As Go's fmt.Sprintln: a space between any two. */
function sprintln(args: readonly Value[]): string {
  let out = '';
  for (const [at, value] of args.entries()) {
    out += (at > 0 ? ' ' : '') + printValue(value ?? null);
    bounded(out.length);
  }
  return `${out}\n`;
}

const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  ...TEXT_FUNCTIONS,
  __line__: define('', (_args, entry) => entry.line()),
  __timestamp__: define('', (_args, entry) => new GoTime(entry.timeNs())),

  and: define('aa*', ([value]) => value),
  or: define('aa*', ([value]) => value),
  not: define('a', ([value]) => !isTrue(value)),
  len: define('a', ([value]) => {
    if (typeof value === 'string' || Array.isArray(value)) return BigInt(value.length);
    if (value instanceof Map) return BigInt(value.size);
    throw new Error(isNothing(value) ? 'reflect: call of reflect.Value.Type on zero Value' : `len of type ${typeName(value)}`);
  }),
  index: define('aa*', ([value, ...keys]) => index(value, keys)),
  slice: define('aa*', ([value, ...bounds]) => slice(value, bounds)),
  print: define('a*', sprint),
  println: define('a*', sprintln),
  printf: define('sa*', ([format, ...args]) => sprintf(format as string, args)),
  eq: define('aa*', ([first, ...others]) => {
    if (others.length === 0) throw new Error('missing argument for comparison');
    return others.some((other) => equal(first, other));
  }),
  ne: define('aa', ([a, b]) => !equal(a, b)),
  lt: define('aa', ([a, b]) => less(a, b)),
  le: define('aa', ([a, b]) => lessOrEqual(a, b)),
  gt: define('aa', ([a, b]) => !lessOrEqual(a, b)),
  ge: define('aa', ([a, b]) => !less(a, b)),

  int: define('a', ([value]) => toInt(value)),
  float64: define('a', ([value]) => toFloat(value)),
  add: define('a*', (values) => values.reduce((sum: bigint, value) => BigInt.asIntN(64, sum + toInt(value)), 0n)),
  mul: integers((a, b) => a * b),
  sub: twoIntegers((a, b) => a - b),
  div: twoIntegers((a, b) => a / divisor(b)),
  mod: twoIntegers((a, b) => a % divisor(b)),
  max: integers((a, b) => pick(a, b, b > a)),
  min: integers((a, b) => pick(a, b, b < a)),
  addf: define('a*', (values) => fromDecimal(values.map(decimalOf).reduce(DECIMAL_OPS.add, toDecimal(0)))),
  subf: decimals('sub'),
  mulf: decimals('mul'),
  divf: decimals('div'),
  maxf: floats(Math.max),
  minf: floats(Math.min),
  ceil: define('a', ([value]) => Math.ceil(toFloat(value))),
  floor: define('a', ([value]) => Math.floor(toFloat(value))),
  round: define('aif*', ([value, places, up]) => goRound(toFloat(value), places as bigint, up === undefined ? undefined : Number(up))),

  default: define('aa*', ([fallback, value]) => (isTrue(value) ? value : fallback)),
  fromJson: define('s', ([text]) => fromJson(text as string)),
  bytes: define('s', ([text]) => parseHumanBytes(fromBytes(text as string))),
  duration: define('s', ([text]) => parseGoDuration(fromBytes(text as string)) / 1e9),
  duration_seconds: define('s', ([text]) => parseGoDuration(fromBytes(text as string)) / 1e9),

  now: define('', (_args, entry) => new GoTime(entry.nowNs())),
  date: define('sa', ([layout, time], entry) => toBytes(formatGoTime(asTime(time, entry), fromBytes(layout as string)))),
  toDate: define('ss', ([layout, text]) => parseGoTime(fromBytes(layout as string), fromBytes(text as string)) ?? new GoTime(ZERO_TIME)),
  toDateInZone: define('sss', ([layout, zone, text]) => {
    return parseGoTime(fromBytes(layout as string), fromBytes(text as string), fromBytes(zone as string)) ?? new GoTime(ZERO_TIME);
  }),
  unixEpoch: define('t', ([time]) => String((time as GoTime).unix)),
  unixEpochMillis: define('t', ([time]) => String((time as GoTime).unixMs)),
  unixEpochNanos: define('t', ([time]) => String(BigInt.asIntN(64, (time as GoTime).ns))),
  unixToTime: define('s', ([text]) => unixToTime(text as string)),
};

export function findFunction(name: string): TemplateFunction | undefined {
  return Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
}
