import { formatLabels, type Labels } from '../model.ts';
import { formatGoTime, GoTime } from '../pipeline/go-time.ts';
import type { LabelSet, Row } from '../pipeline/pipeline.ts';
import { JsonWriter } from './json-writer.ts';
import { labelsJson } from './labels-json.ts';

/** How entries are written. */
export interface EntryOptions {
  /** Structured metadata and parsed labels stand beside each line, rather than among the labels of the stream. */
  readonly categorize: boolean;
  /** `{"ts":"<RFC 3339>","line":"<line>","parsed":{…}}`, the last only if there are such labels, rather than `["<ns>","<line>"]`. */
  readonly legacy?: boolean;
}

/** Labels that an answer shows an entry under, and their canonical text. */
export interface ShownStream {
  readonly labels: Labels;
  readonly text: string;
}

const RFC3339_NANO = '2006-01-02T15:04:05.999999999Z07:00';

export function rfc3339(timeNs: bigint): string {
  return formatGoTime(new GoTime(timeNs), RFC3339_NANO);
}

/** Writes entries as they stand in an answer. */
export class EntryWriter {
  readonly #options: EntryOptions;
  readonly #json = new JsonWriter();
  /** What stands behind the line. */
  readonly #beside: ((set: LabelSet) => string) | undefined;
  readonly #labelTexts = new WeakMap<LabelSet, Buffer>();
  readonly #streams = new WeakMap<LabelSet, ShownStream>();

  constructor(options: EntryOptions) {
    this.#options = options;
    this.#beside = options.legacy ? parsedOnly : options.categorize ? categories : undefined;
  }

  shown(set: LabelSet): ShownStream {
    if (!this.#options.categorize) return { labels: set.all, text: set.text };
    return remembered(this.#streams, set, () => ({ labels: set.stream, text: formatLabels(set.stream) }));
  }

  /** The entry as JSON, owned by the caller. */
  value(timeNs: bigint, row: Row, set: LabelSet): Buffer {
    const { legacy } = this.#options;
    const json = this.#json.raw(legacy ? `{"ts":"${rfc3339(timeNs)}","line":` : `["${timeNs}",`).string(row.line());
    const beside = this.#beside;
    if (beside !== undefined) json.bytes(remembered(this.#labelTexts, set, () => Buffer.from(beside(set))));
    const view = json.raw(legacy ? '}' : ']').view();
    const value = Buffer.allocUnsafe(view.length);
    view.copy(value);
    json.clear();
    return value;
  }
}

function remembered<T>(known: WeakMap<LabelSet, T>, set: LabelSet, make: () => T): T {
  let made = known.get(set);
  if (made === undefined) {
    made = make();
    known.set(set, made);
  }
  return made;
}

/** `,{"structuredMetadata":{…},"parsed":{…}}`; either is left out when empty. */
function categories({ structuredMetadata, parsed }: LabelSet): string {
  const parts: string[] = [];
  if (structuredMetadata.length > 0) parts.push(`"structuredMetadata":${labelsJson(structuredMetadata)}`);
  if (parsed.length > 0) parts.push(`"parsed":${labelsJson(parsed)}`);
  return `,{${parts.join(',')}}`;
}

function parsedOnly({ parsed }: LabelSet): string {
  return parsed.length === 0 ? '' : `,"parsed":${labelsJson(parsed)}`;
}
