import type { Labels } from '../model.ts';
import { type EntryOptions, rfc3339 } from './entry-writer.ts';
import { JsonWriter } from './json-writer.ts';
import { labelsJson } from './labels-json.ts';

/** An entry that did not reach the client. */
export interface DroppedEntry {
  readonly timeNs: bigint;
  /** The labels that it is shown under, and their canonical text. */
  readonly labels: Labels;
  readonly text: string;
}

export interface TailEntry extends DroppedEntry {
  /** See EntryWriter. */
  readonly value: Uint8Array;
}

export interface TailParts {
  readonly entries: readonly TailEntry[];
  readonly dropped: readonly DroppedEntry[];
}

/** A message of a tail: `{"streams":[{"stream":{…},"values":[…]}],"dropped_entries":[{"timestamp":"<ns>","labels":{…}}]}`. Entries stay in their order: a stream
 *  comes again when others came between. */
export function renderTail(parts: TailParts, options: EntryOptions): Uint8Array {
  if (options.legacy) return renderLegacy(parts);
  const json = new JsonWriter();
  json.raw('{"streams":');
  writeRuns(json, parts.entries, ({ labels }) => `{"stream":${labelsJson(labels)},"values":[`);
  if (parts.dropped.length > 0) {
    const items = parts.dropped.map(({ timeNs, labels }) => `{"timestamp":"${timeNs}","labels":${labelsJson(labels)}}`);
    json.raw(`,"dropped_entries":[${items.join(',')}]`);
  }
  return json.raw(options.categorize ? ',"encodingFlags":["categorize-labels"]}' : '}').take();
}

/** `{"streams":[{"labels":"{…}","entries":[…]}],"dropped_entries":[{"Timestamp":"<RFC 3339>","Labels":"{…}"}]}`; the last is null when empty. */
function renderLegacy({ entries, dropped }: TailParts): Uint8Array {
  const json = new JsonWriter();
  json.raw('{"streams":');
  writeRuns(json, entries, ({ text }) => `{"labels":${JSON.stringify(text)},"entries":[`);
  const items = dropped.map(({ timeNs, text }) => ({ Timestamp: rfc3339(timeNs), Labels: text }));
  return json.raw(`,"dropped_entries":${items.length === 0 ? 'null' : JSON.stringify(items)}}`).take();
}

/** A list of what `open` begins and `]}` ends, one for each run of entries with equal labels. */
function writeRuns(json: JsonWriter, entries: readonly TailEntry[], open: (entry: TailEntry) => string): void {
  let before: TailEntry | undefined;
  json.raw('[');
  for (const entry of entries) {
    if (before?.text === entry.text) json.raw(',');
    else json.raw(`${before === undefined ? '' : ']},'}${open(entry)}`);
    json.bytes(entry.value);
    before = entry;
  }
  json.raw(before === undefined ? ']' : ']}]');
}
