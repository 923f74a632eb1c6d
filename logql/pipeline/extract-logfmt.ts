import type { Extraction } from '../syntax/ast.ts';
import { unescapedText, unescapeJson, valueText } from './json-bytes.ts';
import { hashByte, KeyTable, sanitiseLabel } from './key-table.ts';
import type { LabelState } from './label-state.ts';
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
  #bytes: Buffer = NO_BYTES;
  #from = 0;
  #at = 0;
  #end = 0;

  start(bytes: Buffer, from: number, end: number): void {
    this.#bytes = bytes;
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
    for (; at < end && bytes[at] > 0x20 && bytes[at] !== EQUALS; at++) {
      if (bytes[at] === QUOTE) return this.#unexpected(at);
      hash = hashByte(hash, bytes[at]);
    }
    this.hash = hash;
    this.keyTo = at;
    this.valueFrom = at;
    this.valueTo = at;
    this.escaped = false;
    if (at < end && bytes[at] === EQUALS) {
      if (at === this.keyFrom) return this.#unexpected(at);
      return bytes[at + 1] === QUOTE && at + 1 < end ? this.#quoted(at + 1) : this.#bare(at + 1);
    }
    this.#at = at;
    return true;
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
        if (this.escaped && unescapeJson(valueText(bytes, from + 1, at)) === undefined) return this.#fail('invalid quoted value');
        return true;
      }
    }
    this.#at = this.#end;
    return this.#fail('unterminated quoted value');
  }

  #unexpected(at: number): false {
    this.#at = at;
    return this.#fail(`unexpected '${String.fromCharCode(this.#bytes[at])}'`);
  }

  /** Notes the fault and passes over the rest of the pair. */
  #fail(what: string): false {
    this.fault = `logfmt syntax error at pos ${this.#at - this.#from + 1} : ${what}`;
    while (this.#at < this.#end && this.#bytes[this.#at] > 0x20) this.#at++;
    return false;
  }

  value(): string {
    if (this.valueFrom === this.valueTo) return '';
    return (this.escaped ? unescapedText : valueText)(this.#bytes, this.valueFrom, this.valueTo);
  }
}

export interface LogfmtOptions {
  /** A malformed pair ends the line with an error; otherwise it is passed over. */
  readonly strict: boolean;
  /** Pairs without a value become labels too. */
  readonly keepEmpty: boolean;
}

/** Makes a label of each pair; of equal keys the first counts. Stops reading once every wanted label is found. */
export function logfmtExtractor({ strict, keepEmpty }: LogfmtOptions, wanted: Wanted): (state: LabelState) => void {
  if (wanted.nothing) return () => {};
  const scanner = new LogfmtScanner();
  const keys = new KeyTable(wanted);
  return (state) => {
    scanner.start(state.bytes, state.from, state.to);
    while (!scanner.done) {
      if (!scanner.next()) {
        if (scanner.fault === '' || !strict) continue;
        state.fail('LogfmtParserErr', scanner.fault);
        return;
      }
      if (scanner.valueFrom === scanner.valueTo && !keepEmpty) continue;
      const entry = keys.find(state.bytes, scanner.keyFrom, scanner.keyTo, scanner.hash, undefined);
      if (!entry.wanted) continue;
      const name = state.extractedName(entry.name);
      if (state.extracted.has(name) || !wanted.has(name)) continue;
      state.set(name, scanner.value());
      state.extracted.add(name);
      if (wanted.complete(state)) return;
    }
  };
}

/** Makes labels of the pairs whose sanitised keys are named; of equal keys the last counts. What is not there gives '' unless the name is
 *  taken. As in Loki, a pair whose key is the label itself counts too, and where the name is taken the first of all these counts. */
export function logfmtFieldExtractor(
  extractions: readonly Extraction[],
  { strict, keepEmpty }: LogfmtOptions,
  wanted: Wanted,
): (state: LabelState) => void {
  const labelsByKey = new Map<string, string[]>();
  for (const { label, expression } of extractions) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(expression)) {
      const odd = /[^A-Za-z0-9_]/.exec(expression)?.[0] ?? expression.slice(0, 1);
      throw new Error(`cannot parse expression [${expression}]: unexpected char ${odd}`);
    }
    labelsByKey.set(expression, [...(labelsByKey.get(expression) ?? []), label]);
  }
  if (wanted.nothing) return () => {};
  const labels = new Set(extractions.map(({ label }) => label));
  const scanner = new LogfmtScanner();
  const known = new Map<string, readonly string[] | undefined>();
  const labelsOf = (bytes: Buffer): readonly string[] | undefined => {
    const key = bytes.toString('latin1', scanner.keyFrom, scanner.keyTo);
    if (!known.has(key)) {
      if (known.size > 10_000) known.clear();
      const name = sanitiseLabel(bytes.toString('utf8', scanner.keyFrom, scanner.keyTo), true);
      known.set(key, labelsByKey.get(name) ?? (labels.has(name) ? [name] : undefined));
    }
    return known.get(key);
  };
  return (state) => {
    for (const { label } of extractions) if (state.extractedName(label) === label) state.set(label, '');
    scanner.start(state.bytes, state.from, state.to);
    while (!scanner.done) {
      if (!scanner.next()) {
        if (scanner.fault === '' || !strict) continue;
        state.fail('LogfmtParserErr', scanner.fault);
        return;
      }
      if (scanner.valueFrom === scanner.valueTo && !keepEmpty) continue;
      for (const label of labelsOf(state.bytes) ?? []) {
        const name = state.extractedName(label);
        if (name !== label && state.extracted.has(name)) continue;
        state.set(name, scanner.value());
        state.extracted.add(name);
      }
    }
  };
}
