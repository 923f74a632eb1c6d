/** Values of `detected_level` that lines are given. */
export type Level = 'unknown' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical' | 'fatal';

const SPELLINGS: readonly (readonly [word: string, level: Level])[] = [
  ['trace', 'trace'],
  ['trc', 'trace'],
  ['debug', 'debug'],
  ['dbg', 'debug'],
  ['info', 'info'],
  ['inf', 'info'],
  ['information', 'info'],
  ['warn', 'warn'],
  ['wrn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['err', 'error'],
  ['critical', 'critical'],
  ['fatal', 'fatal'],
];
/** Of the spellings above, those that count when they stand anywhere in a line. */
const KEYWORDS = ['trace', 'debug', 'fatal', 'critical', 'error', 'err', 'warning', 'warn', 'info'];

const LEVEL_OF = new Map(SPELLINGS);

/** The level that a label or field value names, in whatever case; undefined if it names none. */
export function levelOf(value: string): Level | undefined {
  return LEVEL_OF.get(value.toLowerCase());
}

/** The level of OpenTelemetry's severity number, written in decimal: four numbers a level from 1 on; a text that is no number counts as info. */
export function levelOfSeverityNumber(text: string): Level {
  if (!/^[+-]?\d+$/.test(text)) return 'info';
  const number = Number(text);
  return number === 0 || number > 24 ? 'unknown' : SEVERITY_LEVELS[Math.max(0, Math.ceil(number / 4) - 1)];
}

const SEVERITY_LEVELS: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

interface Word {
  /** Lower case. */
  readonly letters: Buffer;
  readonly level: Level;
}

const WORDS: Word[] = SPELLINGS.map(([word, level]) => ({ letters: Buffer.from(word), level }));
const WORDS_BY_LENGTH: Word[][] = Array.from({ length: 12 }, (_, length) => WORDS.filter(({ letters }) => letters.length === length));

/** Keywords by their first letter, upper or lower case; most bytes start none. */
const KEYWORDS_AT: (readonly Word[] | undefined)[] = new Array(256).fill(undefined);
for (const word of WORDS.filter(({ letters }) => KEYWORDS.includes(letters.toString()))) {
  for (const first of [word.letters[0], word.letters[0] - 0x20]) KEYWORDS_AT[first] = [...(KEYWORDS_AT[first] ?? []), word];
}

function byteSet(chars: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const char of chars) set[char.charCodeAt(0)] = 1;
  return set;
}

/** A keyword counts between these, or at either end of the line: `misc:error` and `errors` are no levels, `debug: x` and `level=warn` are. */
const BEFORE_KEYWORD = byteSet(' \t\n[({"\'=|');
const AFTER_KEYWORD = byteSet(' \t\n[](){}:,!"\'=|');
/** unicode.IsSpace of a byte. */
const SPACE = byteSet(' \t\n\v\f\r\x85\xa0');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Finds the level of a line in its bytes, without making anything of them. A JSON object is searched for a field with one of the names, in document order and
 *  down to a depth; a logfmt line for one of the names in any case, the earlier name in the list before the later; any other line, and one where that gave no
 *  level, for the first keyword. Source: what Loki's pkg/distributor/field_detection.go does (65e30f8), held against its answers in the conformance cases. */
export class LevelFinder {
  readonly #names: readonly { exact: Buffer; lower: Buffer }[];
  /** Bit n: some name has n bytes (31: 31 or more). */
  readonly #lengths: number;
  readonly #maxDepth: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  /** The value found last: bytes [#valueFrom, #valueTo). */
  #valueFrom = 0;
  #valueTo = 0;

  constructor(names: readonly string[], maxDepth: number) {
    this.#names = names.map((name) => ({ exact: Buffer.from(name), lower: Buffer.from(name.toLowerCase()) }));
    this.#lengths = this.#names.reduce((bits, { exact }) => bits | (1 << Math.min(exact.length, 31)), 0);
    this.#maxDepth = maxDepth <= 0 ? Number.POSITIVE_INFINITY : maxDepth;
  }

  /** The level of the line in bytes [from, to). */
  find(bytes: Buffer, from: number, to: number): Level {
    if (this.#find(bytes, from, to)) {
      const level = levelOfBytes(bytes, this.#valueFrom, this.#valueTo);
      if (level !== undefined) return level;
    }
    return keywordLevel(bytes, from, to);
  }

  #find(bytes: Buffer, from: number, to: number): boolean {
    let first = from;
    while (first < to && SPACE[bytes[first]] === 1) first++;
    if (first === to) return false;
    this.#bytes = bytes;
    this.#at = first;
    this.#end = to;
    if (bytes[first] === OPEN_OBJECT) {
      let last = to - 1;
      while (SPACE[bytes[last]] === 1) last--;
      if (bytes[last] === CLOSE_OBJECT) return this.#inObject(1) === FOUND;
    }
    return this.#inLogfmt();
  }

  /** Reads the object that starts here. Its syntax is checked only as far as it takes to find the way. */
  #inObject(depth: number): typeof FOUND | typeof ENDED | typeof BROKEN {
    const bytes = this.#bytes;
    this.#at++;
    if (this.#next() === CLOSE_OBJECT) {
      this.#at++;
      return ENDED;
    }
    for (;;) {
      if (this.#next() !== QUOTE) return BROKEN;
      const nameFrom = this.#at + 1;
      if (!this.#pastString()) return BROKEN;
      const nameTo = this.#at - 1;
      if (this.#next() !== COLON) return BROKEN;
      this.#at++;
      const first = this.#next();
      if (first === QUOTE) {
        const valueFrom = this.#at + 1;
        if (!this.#pastString()) return BROKEN;
        if (this.#isName(nameFrom, nameTo)) {
          this.#valueFrom = valueFrom;
          this.#valueTo = this.#at - 1;
          return FOUND;
        }
      } else if (first === OPEN_OBJECT && depth < this.#maxDepth && depth < MAX_DEPTH) {
        const inner = this.#inObject(depth + 1);
        if (inner !== ENDED) return inner;
      } else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
        if (!this.#pastBrackets(first)) return BROKEN;
      } else {
        const start = this.#at;
        while (this.#at < this.#end && bytes[this.#at] !== COMMA && bytes[this.#at] !== CLOSE_OBJECT && SPACE[bytes[this.#at]] === 0)
          this.#at++;
        if (this.#at === start) return BROKEN;
      }
      const after = this.#next();
      this.#at++;
      if (after === CLOSE_OBJECT) return ENDED;
      if (after !== COMMA) return BROKEN;
    }
  }

  #next(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < this.#end && (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09)) at++;
    this.#at = at;
    return at < this.#end ? bytes[at] : -1;
  }

  /** Goes past the string that starts here; false if it does not end. */
  #pastString(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    for (let at = this.#at + 1; at < end; at++) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) {
        this.#at = at + 1;
        return true;
      }
    }
    return false;
  }

  #pastBrackets(open: number): boolean {
    const bytes = this.#bytes;
    const close = open === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
    let depth = 0;
    while (this.#at < this.#end) {
      const byte = bytes[this.#at];
      if (byte === QUOTE) {
        if (!this.#pastString()) return false;
        continue;
      }
      this.#at++;
      if (byte === open) depth++;
      else if (byte === close && --depth === 0) return true;
    }
    return false;
  }

  #isName(from: number, to: number): boolean {
    const length = to - from;
    if ((this.#lengths & (1 << Math.min(length, 31))) === 0) return false;
    for (const { exact } of this.#names) {
      if (exact.length === length && equalBytes(this.#bytes, from, exact)) return true;
    }
    return false;
  }

  /** Position in the list of the name that bytes [from, to) are in any case; the list's length if they are none. */
  #rank(from: number, to: number): number {
    const names = this.#names;
    const length = to - from;
    if ((this.#lengths & (1 << Math.min(length, 31))) === 0) return names.length;
    for (let index = 0; index < names.length; index++) {
      const { lower } = names[index];
      if (lower.length === length && equalIgnoringCase(this.#bytes, from, lower)) return index;
    }
    return names.length;
  }

  /** Reads pairs up to the end of the line or the first thing that is no logfmt. */
  #inLogfmt(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let best = this.#names.length;
    let at = this.#at;
    for (;;) {
      while (at < end && bytes[at] <= 0x20) at++;
      if (at >= end) break;
      const nameFrom = at;
      while (at < end && bytes[at] > 0x20 && bytes[at] !== EQUALS && bytes[at] !== QUOTE) at++;
      if (at >= end || bytes[at] === QUOTE) break; // a last word is a name without a value
      if (bytes[at] !== EQUALS) continue;
      const nameTo = at++;
      if (nameTo === nameFrom) break;
      let valueFrom = at;
      let valueTo = at;
      if (bytes[at] === QUOTE && at < end) {
        this.#at = at;
        if (!this.#pastString()) break;
        valueFrom = at + 1;
        at = this.#at;
        valueTo = at - 1;
      } else {
        while (at < end && bytes[at] > 0x20 && bytes[at] !== EQUALS && bytes[at] !== QUOTE) at++;
        if (at < end && bytes[at] > 0x20) break;
        valueTo = at;
      }
      const rank = this.#rank(nameFrom, nameTo);
      if (rank >= best) continue;
      best = rank;
      this.#valueFrom = valueFrom;
      this.#valueTo = valueTo;
      if (rank === 0) break;
    }
    return best < this.#names.length;
  }
}

const FOUND = 0;
const ENDED = 1;
const BROKEN = 2;
/** Beyond this depth objects are skipped, however deep a level may be looked for. */
const MAX_DEPTH = 64;

function equalBytes(bytes: Buffer, from: number, wanted: Buffer): boolean {
  for (let index = 0; index < wanted.length; index++) if (bytes[from + index] !== wanted[index]) return false;
  return true;
}

function equalIgnoringCase(bytes: Buffer, from: number, lower: Buffer): boolean {
  for (let index = 0; index < lower.length; index++) {
    const byte = bytes[from + index];
    if (byte !== lower[index] && (byte < 0x41 || byte > 0x5a || byte + 0x20 !== lower[index])) return false;
  }
  return true;
}

function levelOfBytes(bytes: Buffer, from: number, to: number): Level | undefined {
  if (to - from >= WORDS_BY_LENGTH.length) return undefined;
  for (const { letters, level } of WORDS_BY_LENGTH[to - from]) if (equalIgnoringCase(bytes, from, letters)) return level;
  return undefined;
}

/** The level of the first keyword that stands on its own. */
function keywordLevel(bytes: Buffer, from: number, to: number): Level {
  let mayStart = true;
  for (let at = from; at < to; at++) {
    const byte = bytes[at];
    if (mayStart) {
      const words = KEYWORDS_AT[byte];
      if (words !== undefined) {
        for (const { letters, level } of words) {
          const after = at + letters.length;
          if (after <= to && equalIgnoringCase(bytes, at, letters) && (after === to || AFTER_KEYWORD[bytes[after]] === 1)) return level;
        }
      }
    }
    mayStart = BEFORE_KEYWORD[byte] === 1;
  }
  return 'unknown';
}
