import { type Block, compareUtf8, formatLabels, type Label, type Labels, type MetadataColumn } from '../model.ts';
import type { LabelSet, Observed, Row } from './pipeline.ts';

export const ERROR = '__error__';
export const ERROR_DETAILS = '__error_details__';
const DUPLICATE = '_extracted';

/** What stages write to __error__. */
export type PipelineError = 'JSONParserErr' | 'LogfmtParserErr' | 'SampleExtractionErr' | 'LabelFilterErr' | 'TemplateFormatErr';

/** Whether the label `name` of the stream's entries, as long as no stage has changed it, can be nothing but the metadata of that key. */
export function isMetadata(stream: Labels, name: string): boolean {
  const original = name.endsWith(DUPLICATE) ? name.slice(0, -DUPLICATE.length) : undefined;
  return stream.every(([label]) => label !== name && label !== original);
}

const NO_LINE: Buffer = Buffer.alloc(0);
const NO_ENDS = new Uint32Array(0);

/** What the rows of one query share. */
export interface LabelContext {
  readonly observed: Observed;
  /** Label sets by canonical text and what of it is from where. */
  readonly interner: Map<string, LabelSet>;
  readonly nowNs: () => bigint;
}

/** Label sets that a stream remembers by what they were made from. */
const MOST_SEEN = 10_000;
/** Label sets that a query remembers: with an unwrapped label among them there may be one for every entry. */
const MOST_INTERNED = 100_000;

/** The entry that the stages work on: reused from row to row of one stream. Parsed labels shadow metadata, metadata shadows stream labels. */
export class LabelState implements Row {
  /** The line is bytes [from, to) of `bytes`. */
  bytes: Buffer = NO_LINE;
  from = 0;
  to = 0;
  sample = Number.NaN;
  error = '';
  errorDetails = '';
  /** Names that a parser has filled in this entry: the first value wins. */
  readonly extracted = new Set<string>();
  readonly #stream: Labels;
  readonly #base: ReadonlyMap<string, string>;
  readonly #parsed = new Map<string, string>();
  readonly #removed = new Set<string>();
  readonly #context: LabelContext;
  /** As the interner, by what the labels were made from, which is cheaper to tell. */
  readonly #seen = new Map<string, LabelSet>();
  #block: Block | undefined;
  #lines = NO_LINE;
  #ends: Uint32Array = NO_ENDS;
  #columns: readonly MetadataColumn[] = [];
  /** Names under which the columns appear. */
  #columnNames: readonly string[] = [];
  #row = 0;

  constructor(stream: Labels, context: LabelContext) {
    this.#stream = stream;
    this.#base = new Map(stream);
    this.#context = context;
  }

  /** Starts on row `row` of `block`, as it is stored. */
  reset(block: Block, row: number): void {
    if (block !== this.#block) this.#bind(block);
    this.#row = row;
    this.from = row === 0 ? 0 : this.#ends[row - 1];
    this.to = this.#ends[row];
    this.bytes = this.#lines;
    this.sample = Number.NaN;
    this.error = '';
    this.errorDetails = '';
    if (this.#parsed.size > 0) this.#parsed.clear();
    if (this.#removed.size > 0) this.#removed.clear();
    if (this.extracted.size > 0) this.extracted.clear();
  }

  #bind(block: Block): void {
    this.#block = block;
    this.#lines = block.lines();
    this.#ends = block.ends();
    this.#columns = block.metadata();
    this.#columnNames = this.#columns.map(({ key }) => (this.#base.has(key) ? key + DUPLICATE : key));
  }

  /** Of the entry, in ns since the epoch. */
  timeNs(): bigint {
    const block = this.#block!;
    return block.baseNs + BigInt(block.times()[this.#row]);
  }

  get nowNs(): () => bigint {
    return this.#context.nowNs;
  }

  line(): Buffer {
    return this.bytes.subarray(this.from, this.to);
  }

  setLine(line: Buffer): void {
    this.bytes = line;
    this.from = 0;
    this.to = line.length;
  }

  fail(error: PipelineError, details: string): void {
    this.error = error;
    this.errorDetails = details;
  }

  /** undefined if the entry has no such label; the error labels are not among them. */
  get(name: string): string | undefined {
    return this.#parsed.get(name) ?? (this.#removed.has(name) ? undefined : (this.#metadata(name) ?? this.#base.get(name)));
  }

  label(name: string): string {
    if (name === ERROR) return this.error;
    if (name === ERROR_DETAILS) return this.errorDetails;
    return this.get(name) ?? '';
  }

  set(name: string, value: string): void {
    this.#parsed.set(name, value);
  }

  delete(name: string): void {
    this.#parsed.delete(name);
    this.#removed.add(name);
  }

  /** The name under which an extracted `name` is kept: another one if the stream or the metadata has it. */
  extractedName(name: string): string {
    return this.#base.has(name) || (this.#metadata(name) !== undefined && !this.#removed.has(name)) ? name + DUPLICATE : name;
  }

  #metadata(name: string): string | undefined {
    for (let column = 0; column < this.#columns.length; column++) {
      if (this.#columnNames[column] !== name) continue;
      const number = this.#columns[column].index[this.#row];
      if (number !== 0) return this.#columns[column].values[number - 1];
    }
    return undefined;
  }

  /** Every label but the error labels, each name once. */
  *entries(): Generator<Label> {
    yield* this.#parsed;
    yield* this.#metadataEntries();
    yield* this.#streamEntries();
  }

  *#streamEntries(): Generator<Label> {
    for (const label of this.#stream) if (!this.#shadows(label[0]) && this.#metadata(label[0]) === undefined) yield label;
  }

  *#metadataEntries(): Generator<Label> {
    for (let column = 0; column < this.#columns.length; column++) {
      const number = this.#columns[column].index[this.#row];
      const name = this.#columnNames[column];
      if (number !== 0 && !this.#shadows(name)) yield [name, this.#columns[column].values[number - 1]];
    }
  }

  #shadows(name: string): boolean {
    return this.#parsed.has(name) || this.#removed.has(name);
  }

  labelSet(): LabelSet {
    const key = this.#setKey();
    let set = this.#seen.get(key);
    if (set === undefined) {
      set = this.#intern();
      if (this.#seen.size >= MOST_SEEN) this.#seen.clear();
      this.#seen.set(key, set);
    }
    return set;
  }

  /** Differs for different label sets. */
  #setKey(): string {
    const { observed } = this.#context;
    let key = `${this.error}\0${this.errorDetails}\0`;
    if (observed !== 'all') {
      for (const name of observed) {
        const value = this.get(name);
        key += value === undefined ? '\0' : `${value.length}\0${value}`;
      }
      return key;
    }
    for (const [name, value] of this.#parsed) key += `${name}\0${value.length}\0${value}`;
    key += '\0\0';
    for (let column = 0; column < this.#columns.length; column++) {
      const number = this.#columns[column].index[this.#row];
      if (number === 0) continue;
      const value = this.#columns[column].values[number - 1];
      key += `${this.#columnNames[column]}\0${value.length}\0${value}`;
    }
    for (const name of this.#removed) key += `\0${name}`;
    return key;
  }

  #intern(): LabelSet {
    const { observed, interner } = this.#context;
    const isObserved = ([name]: Label) => observed === 'all' || observed.has(name);
    const parsed = [...this.#parsed].filter(isObserved);
    if (this.error !== '') parsed.push([ERROR, this.error]);
    if (this.errorDetails !== '') parsed.push([ERROR_DETAILS, this.errorDetails]);
    const structuredMetadata = sorted([...this.#metadataEntries()].filter(isObserved));
    const stream = [...this.#streamEntries()].filter(isObserved);
    const all = sorted([...stream, ...structuredMetadata, ...parsed]);
    const text = formatLabels(all);
    // Of equal labels, what is the stream's for one entry may be metadata for another.
    const key = [text, ...stream.map(([name]) => name), '', ...structuredMetadata.map(([name]) => name)].join('\0');
    const known = interner.get(key);
    if (known !== undefined) return known;
    const set: LabelSet = { text, all, stream, structuredMetadata, parsed: sorted(parsed) };
    if (interner.size >= MOST_INTERNED) interner.clear();
    interner.set(key, set);
    return set;
  }
}

function sorted(labels: Label[]): Labels {
  return labels.sort(([a], [b]) => compareUtf8(a, b));
}
