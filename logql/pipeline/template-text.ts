import { type CompiledRegex, compileRegex } from './regex.ts';
import { lowerCase } from './regex-classes.ts';
import { define, type TemplateFunction } from './template-define.ts';
import { bounded, fromBytes, isAscii, printValue, toBytes, type Value } from './template-value.ts';

const MOST_REGEXES = 100;

type Text = (args: readonly string[]) => Value;

/** A function of strings only. */
const text = (signature: string, run: Text): TemplateFunction => define(signature, (args) => run(args as readonly string[]));

function repeat(unit: string, count: bigint): string {
  if (count < 0n) throw new Error('strings: negative Repeat count');
  bounded(unit.length * Number(count));
  return unit.repeat(Number(count));
}

const eachRune = (bytes: string, map: (char: string) => string): string => toBytes(Array.from(fromBytes(bytes), map).join(''));

const lower = (bytes: string): string =>
  isAscii(bytes) ? bytes.toLowerCase() : eachRune(bytes, (char) => String.fromCodePoint(lowerCase(char.codePointAt(0)!)));
/** One code point for one: ß stays. */
const upper = (bytes: string): string => {
  if (isAscii(bytes)) return bytes.toUpperCase();
  return eachRune(bytes, (char) => {
    const mapped = char.toUpperCase();
    return [...mapped].length === 1 ? mapped : char;
  });
};

/** The first letter of each word in upper case. */
function title(bytes: string): string {
  let inWord = false;
  return eachRune(bytes, (char) => {
    const out = inWord ? char : fromBytes(upper(toBytes(char)));
    inWord = /[\p{L}\p{N}_]/u.test(char) || (char > '\x7f' && !/\s/u.test(char));
    return out;
  });
}

const SPACE = /^[\t\n\v\f\r \x85\xa0]|^\s/u;
const goSpace = (char: string): boolean => SPACE.test(char) && char !== '\ufeff';

function trimRunes(bytes: string, inSet: (char: string) => boolean, ends: 'both' | 'left' | 'right'): string {
  const runes = [...fromBytes(bytes)];
  let from = 0;
  let to = runes.length;
  if (ends !== 'right') while (from < to && inSet(runes[from])) from++;
  if (ends !== 'left') while (to > from && inSet(runes[to - 1])) to--;
  return toBytes(runes.slice(from, to).join(''));
}

function trimSet(bytes: string, set: string, ends: 'both' | 'left' | 'right'): string {
  const runes = new Set(fromBytes(set));
  return trimRunes(bytes, (char) => runes.has(char), ends);
}

const trimPrefix = (bytes: string, prefix: string): string => (bytes.startsWith(prefix) ? bytes.slice(prefix.length) : bytes);
const trimSuffix = (bytes: string, suffix: string): string =>
  suffix !== '' && bytes.endsWith(suffix) ? bytes.slice(0, -suffix.length) : bytes;

/** At most `count` times, always if negative. An empty `old` is found in front of each rune and at the end. */
function replace(bytes: string, old: string, by: string, count: bigint): string {
  const parts = old === '' ? ['', ...Array.from(fromBytes(bytes), toBytes), ''] : bytes.split(old);
  const most = count < 0n ? parts.length - 1 : Math.min(Number(count), parts.length - 1);
  bounded(bytes.length + most * by.length);
  return (
    parts.slice(0, most + 1).join(by) +
    parts
      .slice(most + 1)
      .map((part) => old + part)
      .join('')
  );
}

function indent(count: bigint, bytes: string): string {
  const pad = repeat(' ', count);
  return pad + replace(bytes, '\n', `\n${pad}`, -1n);
}

/** Bytes [from, to); what lies outside is cut where sprig does. */
function substr(from: bigint, to: bigint, bytes: string): string {
  const size = BigInt(bytes.length);
  const start = from < 0n ? 0n : from;
  const end = from >= 0n && (to < 0n || to > size) ? size : to;
  if (end < 0n || end > size) throw new Error(`runtime error: slice bounds out of range [:${end}] with length ${size}`);
  if (start > end) throw new Error(`runtime error: slice bounds out of range [${start}:${end}]`);
  return bytes.slice(Number(start), Number(end));
}

function trunc(count: bigint, bytes: string): string {
  if (count < 0n) return BigInt(bytes.length) + count > 0n ? bytes.slice(Number(count)) : bytes;
  return bytes.slice(0, Number(count));
}

function align(count: bigint, bytes: string, side: 'left' | 'right'): string {
  const runes = [...fromBytes(bytes)];
  const pad = Number(count) - runes.length;
  if (count < 0n || pad === 0) return bytes;
  if (pad < 0) return toBytes((side === 'left' ? runes.slice(0, pad) : runes.slice(-pad)).join(''));
  bounded(pad);
  return side === 'left' ? bytes + ' '.repeat(pad) : ' '.repeat(pad) + bytes;
}

const queryEscape = (bytes: string): string =>
  bytes.replace(/[^A-Za-z0-9\-_.~]/g, (char) =>
    char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

function queryUnescape(bytes: string): string {
  const wrong = /%(?![\da-fA-F]{2}).{0,2}/.exec(bytes);
  if (wrong !== null) throw new Error(`invalid URL escape ${JSON.stringify(wrong[0])}`);
  return bytes.replaceAll('+', ' ').replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Padding may be missing; what cannot be decoded gives the text of Go's error. */
function base64Decode(bytes: string): string {
  const rest = bytes.length % 4;
  const padded = rest > 1 ? bytes + '='.repeat(4 - rest) : bytes;
  const at = base64Fault(padded);
  return at < 0 ? Buffer.from(padded, 'base64').toString('latin1') : `illegal base64 data at input byte ${at}`;
}

/** Where Go says that a base64 text is wrong, -1 if it is not. Line ends within it do not count. */
function base64Fault(text: string): number {
  let at = 0;
  const next = (): number => {
    while (text[at] === '\n' || text[at] === '\r') at++;
    return at;
  };
  let digits = 0;
  for (; next() < text.length; at++) {
    if (/[A-Za-z0-9+/]/.test(text[at])) {
      digits = (digits + 1) % 4;
      continue;
    }
    if (text[at] !== '=' || digits < 2) return at;
    at++;
    if (digits === 2) {
      if (next() === text.length) return text.length;
      if (text[at] !== '=') return at - 1;
      at++;
    }
    return next() < text.length ? at : -1;
  }
  return digits === 0 ? -1 : text.length - digits;
}

const HTML: Readonly<Record<string, string>> = { '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;', '\0': '\ufffd' };
const JS: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
};
const unicodeEscape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
const joined = (args: readonly Value[]): string => sprint(args.map((value) => value ?? '<no value>'));

/** As Go's fmt.Sprint: a space between two that are both no strings. */
export function sprint(args: readonly Value[]): string {
  let out = '';
  for (const [at, value] of args.entries()) {
    if (at > 0 && typeof value !== 'string' && typeof args[at - 1] !== 'string') out += ' ';
    out += printValue(value ?? null);
    bounded(out.length);
  }
  return out;
}

// --- regular expressions ------------------------------------------------------------------------------------------------------------------------------

/** By pattern: what it compiles to, or why it does not. */
const regexes = new Map<string, CompiledRegex | Error>();

function regexOf(pattern: string): CompiledRegex {
  let regex = regexes.get(pattern);
  if (regex === undefined) {
    if (regexes.size >= MOST_REGEXES) regexes.clear(); // patterns may come from labels
    regex = compileOrError(pattern);
    regexes.set(pattern, regex);
  }
  if (regex instanceof Error) throw regex;
  return regex;
}

function compileOrError(pattern: string): CompiledRegex | Error {
  try {
    return compileRegex(fromBytes(pattern), { anchored: false, dotNewline: false });
  } catch (error) {
    return error as Error;
  }
}

function regexReplace(pattern: string, text: string, by: (found: Int32Array, names: readonly string[]) => string): string {
  const regex = regexOf(pattern);
  let out = '';
  let done = 0;
  for (const found of regex.allCaptures(Buffer.from(text, 'latin1'))) {
    out += text.slice(done, found[0]) + by(found, regex.names);
    bounded(out.length);
    done = found[1];
  }
  return out + text.slice(done);
}

/** `$1`, `${1}`, `$name`, `$$`: a group that is not there is ''. */
function expand(by: string, source: string, found: Int32Array, names: readonly string[]): string {
  let length = by.length;
  return by.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (all, braced?: string, bare?: string) => {
    const name = braced ?? bare;
    if (name === undefined) return all.slice(1);
    const group = /^\d+$/.test(name) ? Number(name) : names.indexOf(name);
    if (group < 0 || group >= names.length || found[group * 2] < 0) return '';
    length += found[group * 2 + 1] - found[group * 2];
    bounded(length);
    return source.slice(found[group * 2], found[group * 2 + 1]);
  });
}

export const TEXT_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  lower: text('s', ([s]) => lower(s)),
  upper: text('s', ([s]) => upper(s)),
  ToLower: text('s', ([s]) => lower(s)),
  ToUpper: text('s', ([s]) => upper(s)),
  title: text('s', ([s]) => title(s)),
  trim: text('s', ([s]) => trimRunes(s, goSpace, 'both')),
  TrimSpace: text('s', ([s]) => trimRunes(s, goSpace, 'both')),
  trimAll: text('ss', ([set, s]) => trimSet(s, set, 'both')),
  trimPrefix: text('ss', ([prefix, s]) => trimPrefix(s, prefix)),
  trimSuffix: text('ss', ([suffix, s]) => trimSuffix(s, suffix)),
  Trim: text('ss', ([s, set]) => trimSet(s, set, 'both')),
  TrimLeft: text('ss', ([s, set]) => trimSet(s, set, 'left')),
  TrimRight: text('ss', ([s, set]) => trimSet(s, set, 'right')),
  TrimPrefix: text('ss', ([s, prefix]) => trimPrefix(s, prefix)),
  TrimSuffix: text('ss', ([s, suffix]) => trimSuffix(s, suffix)),
  contains: text('ss', ([part, s]) => s.includes(part)),
  hasPrefix: text('ss', ([prefix, s]) => s.startsWith(prefix)),
  hasSuffix: text('ss', ([suffix, s]) => s.endsWith(suffix)),
  replace: text('sss', ([old, by, s]) => replace(s, old, by, -1n)),
  Replace: define('sssi', ([s, old, by, count]) => replace(s as string, old as string, by as string, count as bigint)),
  repeat: define('is', ([count, s]) => repeat(s as string, count as bigint)),
  indent: define('is', ([count, s]) => indent(count as bigint, s as string)),
  nindent: define('is', ([count, s]) => `\n${indent(count as bigint, s as string)}`),
  substr: define('iis', ([from, to, s]) => substr(from as bigint, to as bigint, s as string)),
  trunc: define('is', ([count, s]) => trunc(count as bigint, s as string)),
  alignLeft: define('is', ([count, s]) => align(count as bigint, s as string, 'left')),
  alignRight: define('is', ([count, s]) => align(count as bigint, s as string, 'right')),
  b64enc: text('s', ([s]) => Buffer.from(s, 'latin1').toString('base64')),
  b64dec: text('s', ([s]) => base64Decode(s)),
  urlencode: text('s', ([s]) => queryEscape(s)),
  urldecode: text('s', ([s]) => queryUnescape(s)),
  urlquery: define('a*', (args) => queryEscape(joined(args))),
  html: define('a*', (args) => eachRune(joined(args), (char) => HTML[char] ?? char)),
  js: define('a*', (args) => Array.from(joined(args), (char) => JS[char] ?? (char < ' ' ? unicodeEscape(char) : char)).join('')),
  regexReplaceAll: text('sss', ([pattern, s, by]) => regexReplace(pattern, s, (found, names) => expand(by, s, found, names))),
  regexReplaceAllLiteral: text('sss', ([pattern, s, by]) => regexReplace(pattern, s, () => by)),
  count: text('ss', ([pattern, s]) => {
    let found = 0n;
    for (const _ of regexOf(pattern).allCaptures(Buffer.from(s, 'latin1'))) found++;
    return found;
  }),
};
