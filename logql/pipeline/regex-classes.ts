/** A set of code points: inclusive pairs [lo, hi, lo, hi, …], ascending, neither touching nor overlapping. */
export type Ranges = readonly number[];

export const MAX_CODE_POINT = 0x10ffff;
export const ANY: Ranges = [0, MAX_CODE_POINT];
export const ANY_BUT_NEWLINE: Ranges = [0, 9, 11, MAX_CODE_POINT];

/** Sorts and merges pairs given in any order. */
export function normalise(pairs: readonly number[]): Ranges {
  const order: [number, number][] = [];
  for (let at = 0; at < pairs.length; at += 2) order.push([pairs[at], pairs[at + 1]]);
  order.sort(([a], [b]) => a - b);
  const out: number[] = [];
  for (const [lo, hi] of order) {
    const last = out.length - 1;
    if (last > 0 && lo <= out[last] + 1) out[last] = Math.max(out[last], hi);
    else out.push(lo, hi);
  }
  return out;
}

export function negate(ranges: Ranges): Ranges {
  const out: number[] = [];
  let next = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    if (ranges[at] > next) out.push(next, ranges[at] - 1);
    next = ranges[at + 1] + 1;
  }
  if (next <= MAX_CODE_POINT) out.push(next, MAX_CODE_POINT);
  return out;
}

export function contains(ranges: Ranges, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle * 2 + 1] < code) low = middle + 1;
    else high = middle;
  }
  return low * 2 < ranges.length && ranges[low * 2] <= code;
}

// --- case folding -------------------------------------------------------------------------------------------------------------------------------------

const DOTLESS_I = 0x131;

/** Code points that simple case folding holds equal, by member, ascending. Full mappings (ß to SS) do not count, nor does the Turkish ı. */
let orbits: ReadonlyMap<number, readonly number[]> | undefined;

function foldOrbits(): ReadonlyMap<number, readonly number[]> {
  if (orbits !== undefined) return orbits;
  const found = new Map<number, number[]>();
  const join = (a: number, b: number) => {
    const left = found.get(a) ?? [a];
    const right = found.get(b) ?? [b];
    if (left === right) return;
    const both = [...left, ...right].sort((x, y) => x - y);
    for (const code of both) found.set(code, both);
  };
  for (let code = 0; code <= 0x1ffff; code++) {
    if (code === DOTLESS_I || (code >= 0xd800 && code <= 0xdfff)) continue;
    const char = String.fromCodePoint(code);
    for (const other of [char.toLowerCase(), char.toUpperCase()]) {
      const mapped = other.codePointAt(0)!;
      if (mapped !== code && other.length === (mapped > 0xffff ? 2 : 1)) join(code, mapped);
    }
  }
  orbits = found;
  return found;
}

/** `ranges` and everything that differs from a member only by case. */
export function foldCase(ranges: Ranges): Ranges {
  if (ranges.length === 2 && ranges[0] === 0 && ranges[1] === MAX_CODE_POINT) return ANY;
  const out = [...ranges];
  if ((ranges.at(-1) ?? 0) < 0x80) {
    for (let at = 0; at < ranges.length; at += 2) foldAscii(ranges[at], ranges[at + 1], out);
  } else {
    for (const [code, orbit] of foldOrbits()) {
      if (contains(ranges, code)) for (const other of orbit) out.push(other, other);
    }
  }
  return normalise(out);
}

/** The code points whose lower case is that of `code`, one code point at a time. */
export function sameInLowerCase(code: number): Ranges {
  const lower = lowerCase(code);
  const orbit =
    code < 0x80
      ? foldCase([code, code])
      : (foldOrbits()
          .get(code)
          ?.flatMap((member) => [member, member]) ?? [code, code]);
  const out: number[] = [];
  for (let at = 0; at < orbit.length; at += 2) {
    for (let member = orbit[at]; member <= orbit[at + 1]; member++) if (lowerCase(member) === lower) out.push(member, member);
  }
  return normalise([...out, code, code]);
}

/** Simple lower case: one code point for one. */
export function lowerCase(code: number): number {
  if (code === 0x130) return 0x69; // İ, whose full mapping is two code points
  const lower = String.fromCodePoint(code).toLowerCase();
  const mapped = lower.codePointAt(0)!;
  return lower.length === (mapped > 0xffff ? 2 : 1) ? mapped : code;
}

function foldAscii(lo: number, hi: number, out: number[]): void {
  for (let code = lo; code <= hi; code++) {
    const lower = code | 0x20;
    if (lower < 0x61 || lower > 0x7a) continue;
    out.push(code ^ 0x20, code ^ 0x20);
    if (lower === 0x6b) out.push(0x212a, 0x212a); // KELVIN SIGN
    if (lower === 0x73) out.push(0x17f, 0x17f); // LATIN SMALL LETTER LONG S
  }
}

// --- named classes ------------------------------------------------------------------------------------------------------------------------------------

export const DIGIT: Ranges = [0x30, 0x39];
export const SPACE: Ranges = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
export const WORD: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];

export const POSIX_CLASSES: Readonly<Record<string, Ranges>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  ascii: [0x00, 0x7f],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0x00, 0x1f, 0x7f, 0x7f],
  digit: DIGIT,
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  word: WORD,
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};

const unicodeClasses = new Map<string, Ranges | undefined>();

/** The code points of a general category (`L`, `Lu`) or a script (`Greek`); undefined if there is no such class. */
export function unicodeClass(name: string): Ranges | undefined {
  if (name === 'Any') return ANY;
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined;
  if (!unicodeClasses.has(name)) unicodeClasses.set(name, membersOf(name.length <= 2 ? name : `Script=${name}`));
  return unicodeClasses.get(name);
}

/** Stretches in which all code points are of the same classes: nothing is assigned there, or everything is for private use. */
const UNIFORM: Ranges = [0x40000, 0xdffff, 0xe1000, 0xeffff, 0xf0000, 0xffffd, 0xffffe, 0xfffff, 0x100000, 0x10fffd, 0x10fffe, 0x10ffff];
const VARIED: Ranges = [0x0000, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x3ffff, 0xe0000, 0xe0fff];

function membersOf(property: string): Ranges | undefined {
  let members: RegExp;
  try {
    members = new RegExp(`\\p{${property}}+`, 'gu');
  } catch {
    return undefined;
  }
  const out: number[] = [];
  for (let at = 0; at < UNIFORM.length; at += 2) {
    if (String.fromCodePoint(UNIFORM[at]).search(members) === 0) out.push(UNIFORM[at], UNIFORM[at + 1]);
  }
  for (let at = 0; at < VARIED.length; at += 2) {
    const [lo, hi] = [VARIED[at], VARIED[at + 1]];
    const units = hi > 0xffff ? 2 : 1;
    // One search for runs, not a test for each code point.
    for (const { index, 0: run } of codePoints(lo, hi).matchAll(members))
      out.push(lo + index / units, lo + (index + run.length) / units - 1);
  }
  return normalise(out);
}

/** Every code point of [lo, hi]; they have the same number of UTF-16 units. */
function codePoints(lo: number, hi: number): string {
  const units = new Uint16Array((hi - lo + 1) * 2);
  let size = 0;
  for (let code = lo; code <= hi; code++) {
    if (code < 0x10000) units[size++] = code;
    else {
      units[size++] = 0xd800 + ((code - 0x10000) >> 10);
      units[size++] = 0xdc00 + (code & 0x3ff);
    }
  }
  return Buffer.from(units.buffer, 0, size * 2).toString('utf16le');
}
