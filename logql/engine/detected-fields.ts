import { compareUtf8, type Labels } from '../model.ts';
import { LineReader } from '../pipeline/detect-line.ts';
import { ERROR, ERROR_DETAILS } from '../pipeline/label-state.ts';
import { comparableSize, type FieldType, fieldType } from './field-type.ts';
import type { FrameEntry } from './log-frame.ts';

/** A field that entries have, in their structured metadata or in their lines. */
export interface DetectedField {
  readonly label: string;
  readonly type: FieldType;
  /** Number of distinct values. */
  readonly cardinality: number;
  /** How the lines were read that it is in; null for structured metadata. */
  readonly parsers: readonly string[] | null;
  /** The keys that lead to it in JSON lines. */
  readonly jsonPath?: readonly string[];
}

/** An entry that a log query kept. */
export interface KeptEntry {
  /** Of its stream, less what the query put in their place. */
  readonly stream: Labels;
  readonly line: Buffer;
  readonly structuredMetadata: Labels;
  /** Labels that the query's stages made. */
  readonly parsed: Labels;
}

/** Entries of an answer with categorized labels, stream by stream in the order of their labels: fields and types do not depend on where entries lie. */
export function* keptEntries(entries: readonly FrameEntry[]): Generator<KeptEntry> {
  for (const { labels, value } of [...entries].sort((a, b) => compareUtf8(a.text, b.text))) {
    const [, line, { structuredMetadata = {}, parsed = {} }] = JSON.parse(Buffer.from(value).toString()) as [string, string, Categories];
    yield {
      stream: labels,
      line: Buffer.from(line),
      structuredMetadata: Object.entries(structuredMetadata),
      parsed: Object.entries(parsed).filter(([name]) => name !== ERROR && name !== ERROR_DETAILS),
    };
  }
}

interface Categories {
  readonly structuredMetadata?: Readonly<Record<string, string>>;
  readonly parsed?: Readonly<Record<string, string>>;
}

interface Found {
  readonly values: Set<string>;
  readonly parsers: Set<string>;
  /** The value that came last. */
  last: string;
  path: readonly string[] | undefined;
}

/** Finds the fields of entries, at most `limit` of them: those that came first. A field's type is that of the value that came last. */
export class FieldDetector {
  readonly #limit: number;
  readonly #reader = new LineReader();
  readonly #fields = new Map<string, Found>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  add({ stream, line, structuredMetadata, parsed }: KeptEntry): void {
    for (const [name, value] of structuredMetadata) this.#take(name, value);
    const read = this.#reader.read(line, withoutNamesOf(stream, parsed));
    for (const [name, value] of [...parsed, ...read.fields]) {
      const field = this.#take(name, value);
      field?.parsers.add(read.parser);
      if (field !== undefined && read.parser === 'json') field.path = read.paths.get(name);
    }
  }

  #take(name: string, value: string): Found | undefined {
    let field = this.#fields.get(name);
    if (field === undefined) {
      if (this.#fields.size >= this.#limit) return undefined;
      field = { values: new Set(), parsers: new Set(), last: value, path: undefined };
      this.#fields.set(name, field);
    }
    field.values.add(value);
    field.last = value;
    return field;
  }

  /** By name. */
  fields(): DetectedField[] {
    const fields = [...this.#fields].sort(([a], [b]) => compareUtf8(a, b));
    return fields.map(([label, { values, parsers, last, path }]) => ({
      label,
      type: fieldType(last),
      cardinality: values.size,
      parsers: parsers.size === 0 ? null : [...parsers],
      ...(path === undefined ? {} : { jsonPath: path }),
    }));
  }
}

/** Finds the values of one field, at most `limit` of them: those that came first. */
export class ValueDetector {
  readonly #name: string;
  readonly #limit: number;
  readonly #reader = new LineReader();
  readonly #values = new Set<string>();

  constructor(name: string, limit: number) {
    this.#name = name;
    this.#limit = limit;
  }

  add({ stream, line, structuredMetadata, parsed }: KeptEntry): void {
    if (this.#values.size >= this.#limit) return;
    for (const value of this.#valuesIn(structuredMetadata)) this.#take(value);
    const { fields } = this.#reader.read(line, withoutNamesOf(stream, parsed));
    for (const value of this.#valuesIn([...parsed, ...fields])) this.#take(comparableSize(value));
  }

  #take(value: string): void {
    if (this.#values.size < this.#limit) this.#values.add(value);
  }

  *#valuesIn(labels: Labels): Generator<string> {
    for (const [name, value] of labels) if (name === this.#name) yield value;
  }

  /** Sorted. */
  values(): string[] {
    return [...this.#values].sort(compareUtf8);
  }
}

/** A stage may have made a label out of a field of the line: read again it is the same label, not another beside it. */
function withoutNamesOf(stream: Labels, parsed: Labels): Labels {
  const names = new Set(parsed.map(([name]) => name));
  return stream.filter(([name]) => !names.has(name));
}
