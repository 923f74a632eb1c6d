import type { Extraction } from '../syntax/ast.ts';
import { stringEnd, valueText, viewOf, withoutReplacements } from './json-bytes.ts';
import { hashByte, type KeyEntry, KeyLiteral, KeyTable, type WantedKeys } from './key-table.ts';
import { ERROR, type LabelState } from './label-state.ts';
import { TextTable } from './text-table.ts';
import type { Wanted } from './wanted.ts';

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const NO_BYTES = Buffer.alloc(0);

/** Walks over the pairs of a line. */
export class LogfmtScanner {
  keyFrom = 0;
  keyTo = 0;
  /** Of the key's bytes, by `hashByte`. */
  hash = 0;
  valueFrom = 0;
  valueTo = 0;
  escaped = false;
  /** What is wrong at the last pair; '' if nothing. */
  fault = '';
  readonly #texts = new TextTable(valueText);
  /** What a value with escapes stands for. */
  #unquoted: string | undefined;
  #bytes: Buffer = NO_BYTES;
  #view = viewOf(NO_BYTES);
  #from = 0;
  #at = 0;
  #end = 0;

  /** What the line is in. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  start(bytes: Buffer, from: number, end: number): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#from = from;
    this.#at = from;
    this.#end = end;
    this.fault = '';
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** Takes the next pair; false if there is none there, and `fault` says what is wrong. The next call goes on behind. */
  next(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    while (at < end && bytes[at] <= 0x20) at++;
    this.#at = at;
    this.fault = '';
    if (at === end) return false;
    this.keyFrom = at;
    let hash = 0;
    let high = 0;
    for (; at < end && bytes[at] > 0x20 && bytes[at] !== EQUALS; at++) {
      if (bytes[at] === QUOTE) return this.#unexpected(at);
      hash = hashByte(hash, bytes[at]);
      high |= bytes[at];
    }
    this.hash = hash;
    this.keyTo = at;
    this.valueFrom = at;
    this.valueTo = at;
    this.escaped = false;
    if (high >= 0x80 && bytes.toString('utf8', this.keyFrom, at).includes('\ufffd')) {
      this.#at = at;
      return this.#fail('invalid key');
    }
    if (at < end && bytes[at] === EQUALS) {
      if (at === this.keyFrom) return this.#unexpected(at);
      this.#at = at + 1;
      return this.readValue();
    }
    this.#at = at;
    return true;
  }

  /** Whether `literal`, a key and the sign behind it, comes next; if so, its value is to be read or skipped. */
  takeKey(literal: KeyLiteral): boolean {
    let at = this.#at;
    while (at < this.#end && this.#bytes[at] <= 0x20) at++;
    if (!literal.isAt(this.#view, at, this.#end)) return false;
    this.#at = at + literal.length;
    return true;
  }

  /** Reads the value behind a key's sign, with what is wrong as `next` has it. */
  readValue(): boolean {
    const from = this.#at;
    this.escaped = false;
    this.fault = '';
    return from < this.#end && this.#bytes[from] === QUOTE ? this.#quoted(from) : this.#bare(from);
  }

  /** Passes over the value behind a key's sign, be it well formed or not. */
  skipValue(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    const at = this.#at;
    if (at < end && bytes[at] === QUOTE) {
      const close = stringEnd(bytes, this.#view, at + 1, end);
      this.#at = close < 0 ? end : close + 1;
      return;
    }
    this.#at = blankAt(this.#view, at, end);
  }

  #bare(from: number): boolean {
    const bytes = this.#bytes;
    let at = from;
    for (; at < this.#end && bytes[at] > 0x20; at++) {
      if (bytes[at] === EQUALS || bytes[at] === QUOTE) return this.#unexpected(at);
    }
    this.valueFrom = from;
    this.valueTo = at;
    this.#at = at;
    return true;
  }

  #quoted(from: number): boolean {
    const bytes = this.#bytes;
    for (let at = from + 1; at < this.#end; at++) {
      if (bytes[at] === BACKSLASH) {
        this.escaped = true;
        at++;
      } else if (bytes[at] === QUOTE) {
        this.valueFrom = from + 1;
        this.valueTo = at;
        this.#at = at + 1;
        if (!this.escaped) return true;
        this.#unquoted = unquote(bytes.toString('utf8', from + 1, at));
        if (this.#unquoted !== undefined) return true;
        this.#note('invalid quoted value');
        return false;
      }
    }
    this.#at = this.#end;
    return this.#fail('unterminated quoted value');
  }

  #unexpected(at: number): false {
    this.#at = at;
    return this.#fail(`unexpected '${String.fromCharCode(this.#bytes[at])}'`);
  }

  #note(what: string): void {
    this.fault = `logfmt syntax error at pos ${this.#at - this.#from + 1} : ${what}`;
  }

  /** Notes the fault and passes over the rest of the pair. */
  #fail(what: string): false {
    this.#note(what);
    while (this.#at < this.#end && this.#bytes[this.#at] > 0x20) this.#at++;
    return false;
  }

  value(): string {
    if (this.valueFrom === this.valueTo) return '';
    if (!this.escaped) return this.#texts.of(this.#bytes, this.valueFrom, this.valueTo);
    return withoutReplacements(this.#unquoted!);
  }

  /** As `value`, but '' if not all of it is UTF-8. */
  validValue(): string {
    const text = this.escaped ? this.#unquoted! : this.#bytes.toString('utf8', this.valueFrom, this.valueTo);
    return text.includes('\ufffd') ? '' : text;
  }
}

/** The first byte up to 0x20 at or behind `from`; `end` if there is none. Four bytes at a time. */
function blankAt(view: DataView, from: number, end: number): number {
  let at = from;
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at, true);
    // As in plainEnd: the lowest bit that is left is right, those above it may not be.
    const hits = (word - 0x21212121) & ~word & 0x80808080;
    if (hits !== 0) return at + ((31 - Math.clz32(hits & -hits)) >> 3);
  }
  while (at < end && view.getUint8(at) > 0x20) at++;
  return at;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  "'": "'",
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** What stands between the quotes of a value with escapes; undefined if one is wrong. Half of a surrogate pair becomes U+FFFD. */
function unquote(text: string): string | undefined {
  let valid = true;
  const plain = text.replace(/\\(?:u([\da-fA-F]{4})|([\s\S]?))/g, (_, code?: string, char?: string) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    const value = ESCAPES[char!];
    valid &&= value !== undefined;
    return value ?? '';
  });
  return valid ? plain.toWellFormed() : undefined;
}

export interface LogfmtOptions {
  /** A malformed pair ends the line with an error; otherwise it is passed over. */
  readonly strict: boolean;
  /** Pairs without a value become labels too. */
  readonly keepEmpty: boolean;
}

/** Walks over the pairs of one line after the other whose keys are wanted. */
class LogfmtPairs {
  readonly scanner = new LogfmtScanner();
  readonly #keys: KeyTable;
  readonly #options: LogfmtOptions;
  /** The key that the last line began with, and the one read last in this line. */
  #first: KeyEntry | undefined;
  #last: KeyEntry | undefined;

  constructor(wanted: Pick<WantedKeys, 'mayHave'>, options: LogfmtOptions) {
    this.#keys = new KeyTable({ mayHave: (name) => wanted.mayHave(name), hasUnder: () => false }, keyLiteral);
    this.#options = options;
  }

  start({ bytes, from, to }: LabelState): void {
    this.scanner.start(bytes, from, to);
    this.#last = undefined;
  }

  /** The key of the next pair, whose value is the scanner's. Undefined at the end of the line, or at what is malformed if that counts: then the scanner has a fault. */
  next(): KeyEntry | undefined {
    const { scanner } = this;
    const { strict, keepEmpty } = this.#options;
    while (!scanner.done) {
      // Lines of a stream are much alike: mostly the key comes that came next in the line before, which needs no look at the table.
      const expected = this.#last === undefined ? this.#first : this.#last.follower;
      const known = expected?.literal !== undefined && scanner.takeKey(expected.literal) ? expected : undefined;
      if (known !== undefined && !known.wanted && !strict) {
        scanner.skipValue();
        this.#last = known;
        continue;
      }
      if (!(known === undefined ? scanner.next() : scanner.readValue())) {
        if (strict && scanner.fault !== '') return undefined;
        continue;
      }
      if (scanner.valueFrom === scanner.valueTo && !keepEmpty) continue;
      const entry = known ?? this.#keys.find(scanner.bytes, scanner.keyFrom, scanner.keyTo, scanner.hash, undefined);
      if (this.#last === undefined) this.#first = entry;
      else this.#last.follower = entry;
      this.#last = entry;
      if (entry.wanted) return entry;
    }
    return undefined;
  }
}

/** Only keys of three bytes are long enough to be compared in fours. */
function keyLiteral(key: string): KeyLiteral | undefined {
  return Buffer.byteLength(key) < 3 ? undefined : new KeyLiteral(`${key}=`);
}

/** Makes a label of each pair; of equal keys the first counts. Stops reading once every wanted label is found. False if the entry is to be dropped for one of them. */
export function logfmtExtractor(options: LogfmtOptions, wanted: Wanted): (state: LabelState) => boolean {
  if (wanted.nothing) return () => true;
  const pairs = new LogfmtPairs(wanted, options);
  const { scanner } = pairs;
  return (state) => {
    if (wanted.complete(state)) return true;
    pairs.start(state);
    for (let entry = pairs.next(); entry !== undefined; entry = pairs.next()) {
      const name = state.extractedName(entry.name);
      if (state.wasSet(name) || !wanted.has(name)) continue;
      if (!state.extract(name, scanner.value())) return false;
      if (wanted.complete(state)) return true;
    }
    if (scanner.fault === '' || !options.strict) return true;
    state.failParser('LogfmtParserErr', scanner.fault);
    return state.admits(ERROR);
  };
}

/** The key that an expression names: a word, or a string, which Loki takes as well although no sanitised key can be one. Throws Error with the reason. */
function parseKey(expression: string): string {
  const match = /^[ \t\n]*(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"\]]*)["\]]?)[ \t\n]*/.exec(expression);
  const rest = match === null ? expression.trimStart() : expression.slice(match[0].length);
  if (match !== null && rest === '') return match[1] ?? match[2];
  const isWord = /^[A-Za-z_]/.test(rest);
  const fault =
    match === null
      ? 'syntax error: unexpected $end, expecting STRING or KEY'
      : isWord
        ? 'syntax error: unexpected KEY'
        : `unexpected char ${[...rest][0]}`;
  throw new Error(`cannot parse expression [${expression}]: ${fault}`);
}

/** Makes labels of the pairs whose sanitised keys are named; of equal keys the last counts. What is not there gives '' unless the name is
 *  taken. As in Loki a pair whose key is the label itself counts too; a key that is none of the labels is passed over if an earlier stage extracted it, or if
 *  the query observes only certain labels and not one of that name; and the line is left at the second value for a label whose name is taken. */
export function logfmtFieldExtractor(extractions: readonly Extraction[], strict: boolean, wanted: Wanted): (state: LabelState) => void {
  const labelsByKey = new Map<string, string[]>();
  for (const { label, expression } of extractions) {
    const key = parseKey(expression);
    labelsByKey.set(key, [...(labelsByKey.get(key) ?? []), label]);
  }
  if (wanted.nothing) return () => {};
  const labels = new Set(extractions.map(({ label }) => label));
  const pairs = new LogfmtPairs({ mayHave: (name) => labels.has(name) || wanted.has(name) }, { strict, keepEmpty: true });
  const { scanner } = pairs;
  return (state) => {
    if (wanted.complete(state)) return;
    for (const { label } of extractions) if (state.extractedName(label) === label) state.set(label, '');
    pairs.start(state);
    for (let entry = pairs.next(); entry !== undefined; entry = pairs.next()) {
      const key = entry.name;
      if (!labels.has(key) && state.wasSet(key)) continue;
      for (const label of labelsByKey.get(key) ?? (labels.has(key) ? [key] : [])) {
        const name = state.extractedName(label);
        if (name !== label && (state.wasSet(name) || !wanted.has(name))) return;
        state.set(name, scanner.validValue());
      }
      if (wanted.complete(state)) return;
    }
    if (strict && scanner.fault !== '') state.failParser('LogfmtParserErr', scanner.fault);
  };
}
