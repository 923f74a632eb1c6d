import { Fault } from '../../ops/base/fault.ts';
import { type Block, compareUtf8, formatLabels, type Label, type Labels, type MetadataColumn, toLabels } from '../model.ts';
import { EntryLabels } from './entry-labels.ts';
import type { LabelSet, Observed, Row } from './pipeline.ts';

export const ERROR = '__error__';
export const ERROR_DETAILS = '__error_details__';
/** Says that a metric query counts the entry in spite of its error. */
export const PRESERVE_ERROR = '__preserve_error__';
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

/** What parsers know of the stages around them. */
export interface Parsing {
  /** By label, the first filter on that label alone: parsers ask it about every value that they extract, wherever it stands in the query. As in Loki a line
   *  is dropped for what it says, even if a stage in between would have given the label another value. */
  readonly early: ReadonlyMap<string, (state: LabelState) => boolean>;
  /** The query asks for the errors of parsers: they are no reason to fail. */
  readonly preservesErrors: boolean;
}

/** What the rows of one query share. */
export class LabelContext {
  readonly observed: Observed;
  readonly parsing: Parsing;
  readonly nowNs: () => bigint;
  /** Label sets by canonical text and what of it is from where. */
  readonly #interned = new Map<string, LabelSet>();
  /** As those, by the stream and what the labels were made from, which is cheaper to tell. */
  readonly #seen = new Map<string, LabelSet>();
  #streams = 0;
  #characters = 0;

  constructor(observed: Observed, nowNs: () => bigint, parsing: Parsing = { early: new Map(), preservesErrors: false }) {
    this.observed = observed;
    this.parsing = parsing;
    this.nowNs = nowNs;
  }

  /** A number for a stream, to begin its keys with. */
  nextStream(): number {
    return this.#streams++;
  }

  /** The set that `key` was made into, or what `make` makes: its own key and the set. */
  set(key: string, make: () => { key: string; set: LabelSet }): LabelSet {
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen;
    const made = make();
    const set = this.#interned.get(made.key) ?? made.set;
    this.#characters += key.length + (set === made.set ? made.key.length * 3 : 0);
    if (this.#seen.size >= MOST_SETS || this.#characters > MOST_CHARACTERS) this.#forget();
    this.#seen.set(key, set);
    this.#interned.set(made.key, set);
    return set;
  }

  #forget(): void {
    this.#seen.clear();
    this.#interned.clear();
    this.#characters = 0;
  }
}

/** Label sets that a query remembers, and about their size: with an unwrapped label among them there may be one for every entry. */
const MOST_SETS = 8_192;
const MOST_CHARACTERS = 2 * 1024 * 1024;

/** The entry that the stages work on: reused from row to row of one stream. Parsed labels shadow metadata, metadata shadows stream labels. */
/** A line of 256 KiB gives at most about that much, unless stages multiply it. */
const MOST_LABELS = 16 * 1024 * 1024;

export class LabelState implements Row {
  /** The line is bytes [from, to) of `bytes`. */
  bytes: Buffer = NO_LINE;
  from = 0;
  to = 0;
  sample = Number.NaN;
  error = '';
  errorDetails = '';
  readonly #stream: Labels;
  readonly #base: ReadonlyMap<string, string>;
  readonly #parsed = new EntryLabels();
  readonly #removed = new Set<string>();
  readonly #context: LabelContext;
  readonly #number: number;
  #block: Block | undefined;
  #lines = NO_LINE;
  #ends: Uint32Array = NO_ENDS;
  #columns: readonly MetadataColumn[] = [];
  /** Metadata that was pushed under the names of the error labels. */
  #errorColumns: readonly MetadataColumn[] = [];
  /** Names under which the columns appear. */
  #columnNames: readonly string[] = [];
  #row = 0;
  /** The last name that was found to be taken neither by the stream nor by metadata of any row of the block. */
  #free: string | undefined;
  /** Characters of the values set for this entry. */
  #size = 0;

  constructor(stream: Labels, context: LabelContext) {
    this.#stream = stream;
    this.#base = new Map(stream);
    this.#context = context;
    this.#number = context.nextStream();
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
    this.#size = 0;
    this.#parsed.clear();
    if (this.#removed.size > 0) this.#removed.clear(); // makes a new table
    for (const { key, values, index } of this.#errorColumns) {
      if (index[row] === 0) continue;
      if (key === ERROR) this.error = values[index[row] - 1];
      else this.errorDetails = values[index[row] - 1];
    }
  }

  #bind(block: Block): void {
    this.#block = block;
    this.#lines = block.lines();
    this.#ends = block.ends();
    const isError = ({ key }: MetadataColumn) => (key === ERROR || key === ERROR_DETAILS) && !this.#base.has(key);
    this.#errorColumns = block.metadata().filter(isError);
    this.#columns = block.metadata().filter((column) => !isError(column));
    this.#columnNames = this.#columns.map(({ key }) => (this.#base.has(key) ? key + DUPLICATE : key));
    this.#free = undefined;
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

  /** A parser could not read the line. Without `details` those of an error before stay. */
  failParser(error: PipelineError, details = this.errorDetails): void {
    this.fail(error, details);
    if (this.#context.parsing.preservesErrors) this.set(PRESERVE_ERROR, 'true');
  }

  /** undefined if the entry has no such label; the error labels are not among them. */
  get(name: string): string | undefined {
    return (
      this.#parsed.get(name) ??
      (this.#removed.size > 0 && this.#removed.has(name) ? undefined : (this.#metadata(name) ?? this.#base.get(name)))
    );
  }

  label(name: string): string {
    if (name === ERROR) return this.error;
    if (name === ERROR_DETAILS) return this.errorDetails;
    return this.get(name) ?? '';
  }

  grouped(name: string): string | undefined {
    if (this.#removed.size > 0 && this.#removed.has(name)) return undefined;
    return this.label(name) || this.get(name); // the error labels are no others
  }

  /** Throws Fault limit_exceeded when the entry's labels become too large. */
  set(name: string, value: string): void {
    this.#size += value.length;
    if (this.#size > MOST_LABELS) {
      throw new Fault('limit_exceeded', `stages make labels of more than ${MOST_LABELS} characters of one entry`);
    }
    this.#parsed.set(name, value);
  }

  /** Whether the name was set in this entry, by a parser or otherwise, even if it was taken away since: parsers that come later pass it over. */
  wasSet(name: string): boolean {
    return this.#parsed.wasSet(name);
  }

  /** How many names were. */
  get namesSet(): number {
    return this.#parsed.everSet;
  }

  /** As `set`, of a value that a parser found; false if the entry is to be dropped for it. */
  extract(name: string, value: string): boolean {
    this.set(name, value);
    return this.admits(name);
  }

  admits(name: string): boolean {
    const { early } = this.#context.parsing;
    return early.size === 0 || (early.get(name)?.(this) ?? true);
  }

  delete(name: string): void {
    this.#parsed.delete(name);
    this.#removed.add(name);
  }

  /** The name under which an extracted `name` is kept: another one if the stream has it, or metadata that was not replaced. */
  extractedName(name: string): string {
    if (name === this.#free) return name;
    if (!this.#base.has(name) && !this.#columnNames.includes(name)) {
      this.#free = name;
      return name;
    }
    return this.#base.has(name) || (!this.#shadows(name) && this.#metadata(name) !== undefined) ? name + DUPLICATE : name;
  }

  #metadata(name: string): string | undefined {
    const column = this.#columnOf(name);
    if (column < 0) return undefined;
    const { values, index } = this.#columns[column];
    return values[index[this.#row] - 1];
  }

  /** The column that holds the entry's metadata `name`, -1 if none does. Of two with that name, which `x` and `x_extracted` may come to, the later counts. */
  #columnOf(name: string): number {
    for (let column = this.#columns.length - 1; column >= 0; column--) {
      if (this.#columnNames[column] === name && this.#columns[column].index[this.#row] !== 0) return column;
    }
    return -1;
  }

  /** Every label but the error labels, each name once. */
  *entries(): Generator<Label> {
    yield* this.#parsed.pairs();
    yield* this.#metadataEntries();
    yield* this.#streamEntries();
  }

  everyLabel(): Labels {
    const errors = [ERROR, ERROR_DETAILS].map((name): Label => [name, this.label(name)]);
    return toLabels([...this.entries(), ...errors]);
  }

  *#streamEntries(): Generator<Label> {
    for (const label of this.#stream) if (!this.#shadows(label[0]) && this.#metadata(label[0]) === undefined) yield label;
  }

  *#metadataEntries(): Generator<Label> {
    for (let column = 0; column < this.#columns.length; column++) {
      const { values, index } = this.#columns[column];
      const name = this.#columnNames[column];
      if (this.#columnOf(name) === column && !this.#shadows(name)) yield [name, values[index[this.#row] - 1]];
    }
  }

  #shadows(name: string): boolean {
    return this.#parsed.has(name) || this.#removed.has(name);
  }

  labelSet(): LabelSet {
    return this.#context.set(this.#setKey(), () => this.#makeSet());
  }

  /** Differs for different label sets. */
  #setKey(): string {
    const { observed } = this.#context;
    let key = `${this.#number}\0${this.error}\0${this.errorDetails}\0`;
    if (observed !== 'all') {
      for (const name of observed) {
        const value = this.#removed.has(name) ? undefined : this.get(name);
        key += value === undefined ? '\0' : `${value.length}\0${value}`;
      }
      return key;
    }
    key += this.#parsed.text();
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

  #makeSet(): { key: string; set: LabelSet } {
    const { observed } = this.#context;
    const isObserved = ([name]: Label) => observed === 'all' || (observed.has(name) && !this.#removed.has(name));
    const fields = this.#parsed.pairs().filter(isObserved);
    const errors: Label[] = [];
    if (this.error !== '') errors.push([ERROR, this.error]);
    if (this.errorDetails !== '') errors.push([ERROR_DETAILS, this.errorDetails]);
    // A field of that name cannot stand beside the error itself.
    const parsed = [...fields.filter(([name]) => errors.every(([error]) => error !== name)), ...errors];
    const structuredMetadata = sorted([...this.#metadataEntries()].filter(isObserved));
    const stream = [...this.#streamEntries()].filter(isObserved);
    const all = sorted([...stream, ...structuredMetadata, ...parsed]);
    const text = formatLabels(all);
    // Of equal labels, what is the stream's for one entry may be metadata for another.
    const key = [text, ...stream.map(([name]) => name), '', ...structuredMetadata.map(([name]) => name)].join('\0');
    return { key, set: { text, all, stream, structuredMetadata, parsed: sorted(parsed) } };
  }
}

function sorted(labels: Label[]): Labels {
  return labels.sort(([a], [b]) => compareUtf8(a, b));
}
