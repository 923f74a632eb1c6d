import { JsonEntryReader } from './json-entries.ts';
import { JsonScanner, type ScannerMark } from './json-scanner.ts';
import type { PushSink } from './push-sink.ts';

const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const QUOTE = 0x22;
const LETTER_N = 0x6e;

/** Where the value of a stream's member stands, up to `to`. */
interface Member extends ScannerMark {
  readonly to: number;
}

/** Where the two parts of a stream stand in the body. */
interface StreamPlace {
  /** `labels`, a string, or `stream`, an object. */
  readonly labels: Member | undefined;
  /** Whether `entries` are objects, or the arrays of `values`. */
  readonly legacy: boolean;
  readonly entries: Member | undefined;
}

/** Tells `sink` what a JSON push request holds, and returns the number of its streams:
 *  `{"streams": [{"stream": {label: value}, "values": [[ns as a string, line, {name: value}]]}]}`.
 *  A stream that has `entries` and no `values` is of the shape that Loki's clients sent before, which may stand beside the other:
 *  `{"labels": Prometheus text, "entries": [{"ts": RFC 3339, "line": line, "structuredMetadata": {name: value}}]}`; its labels may be
 *  a `stream` all the same.
 *  Strict JSON, except that the name `streams` is taken in any case and text after the object is ignored, as Loki does. Unknown members are skipped, and the last of
 *  equal names counts. A line keeps bytes that are not UTF-8. Two passes: the whole body is known to be JSON before the sink hears of anything.
 *  Throws Fault bad_request; when a value of the second pass is not what it must be, the sink has seen what stands before it. */
export function readPushJson(bytes: Buffer, sink: PushSink): number {
  const scanner = new JsonScanner(bytes);
  const places = findStreams(scanner);
  const reader = new JsonEntryReader(scanner, sink);
  for (const { legacy, labels, entries } of places.each()) {
    const size = entries === undefined ? 0 : entries.to - entries.at;
    if (labels !== undefined && bytes[labels.at] === QUOTE) tellLabelText(scanner, labels, sink, size);
    else sink.stream('json', bytes, labels?.at ?? 0, labels?.to ?? 0, 0, size);
    if (entries === undefined) continue;
    scanner.goTo(entries);
    scanner.array(legacy ? reader.readObject : reader.readArray);
  }
  return places.count;
}

const FIELDS = 7;

/** The places of a request's streams, as numbers: a body has room for millions, and objects would take many times what it does. */
class StreamPlaces {
  /** Streams, with those that name and hold nothing: they are not kept. */
  count = 0;
  #kept = 0;
  /** Of each stream that is kept: labels and entries as at, string, to, where 0 is none; and 1 if it is legacy. */
  #numbers: Uint32Array<ArrayBuffer> = new Uint32Array(16 * FIELDS);

  clear(): void {
    this.count = 0;
    this.#kept = 0;
  }

  add({ labels, legacy, entries }: StreamPlace): void {
    this.count++;
    const named = labels !== undefined && labels.to - labels.at > '{}'.length;
    if (!named && entries === undefined) return;
    const at = this.#kept++ * FIELDS;
    if (at === this.#numbers.length) this.#numbers = new Uint32Array(this.#numbers.buffer.transfer(this.#numbers.byteLength * 2));
    const numbers = this.#numbers;
    numbers[at] = labels?.at ?? 0;
    numbers[at + 1] = labels?.string ?? 0;
    numbers[at + 2] = labels?.to ?? 0;
    numbers[at + 3] = entries?.at ?? 0;
    numbers[at + 4] = entries?.string ?? 0;
    numbers[at + 5] = entries?.to ?? 0;
    numbers[at + 6] = legacy ? 1 : 0;
  }

  *each(): Generator<StreamPlace> {
    const member = (at: number): Member | undefined => {
      const [start, string, to] = this.#numbers.subarray(at, at + 3);
      return start === 0 ? undefined : { at: start, string, to };
    };
    for (let at = 0; at < this.#kept * FIELDS; at += FIELDS) {
      yield { labels: member(at), legacy: this.#numbers[at + 6] === 1, entries: member(at + 3) };
    }
  }
}

function tellLabelText(scanner: JsonScanner, labels: Member, sink: PushSink, size: number): void {
  scanner.goTo(labels);
  scanner.string('');
  const { stringFrom, stringTo } = scanner;
  const text = Buffer.allocUnsafe(stringTo - stringFrom);
  sink.stream('text', text, 0, scanner.unescape(stringFrom, stringTo, text), 0, size);
}

function findStreams(scanner: JsonScanner): StreamPlaces {
  const places = new StreamPlaces();
  const first = scanner.peek();
  if (first === -1) throw scanner.fault('empty body');
  if (first !== OPEN_OBJECT) {
    const start = scanner.at;
    scanner.skip();
    if (first === LETTER_N) return places;
    throw scanner.fault('expected "{"', start);
  }
  scanner.object(() => {
    const mayBeStreams = scanner.escaped || scanner.stringTo - scanner.stringFrom === 'streams'.length;
    const isStreams = mayBeStreams && scanner.text().toLowerCase() === 'streams';
    if (isStreams) places.clear();
    if (!isStreams || scanner.peek() === LETTER_N) {
      scanner.forget();
      return;
    }
    if (scanner.peek() !== OPEN_ARRAY) throw scanner.fault('streams is not an array');
    scanner.array(() => {
      places.add(findStream(scanner));
    });
  });
  return places;
}

const MEMBERS: ReadonlySet<string> = new Set(['stream', 'values', 'labels', 'entries']);

function findStream(scanner: JsonScanner): StreamPlace {
  let stream: Member | undefined;
  let values: Member | undefined;
  let labels: Member | undefined;
  let entries: Member | undefined;
  if (scanner.peek() !== OPEN_OBJECT) throw scanner.fault('a stream is not an object');
  scanner.object(() => {
    const name = scanner.text();
    const isNull = scanner.peek() === LETTER_N;
    if (!MEMBERS.has(name)) {
      scanner.forget();
      return;
    }
    const { at, string } = scanner.mark();
    scanner.skip();
    const member = { at, string, to: scanner.at };
    if (name === 'stream') stream = member;
    else if (isNull) return;
    else if (name === 'values') values = member;
    else if (name === 'labels') labels = member;
    else entries = member;
  });
  // Only now is it known which members mean anything: the other shape's are as unknown as any.
  if (values === undefined && entries !== undefined) {
    if (labels === undefined) demand(scanner, stream, OPEN_OBJECT, 'labels are not an object');
    else demand(scanner, labels, QUOTE, 'labels are not a string');
    demand(scanner, entries, OPEN_ARRAY, 'entries are not an array');
    return { labels: labels ?? stream, legacy: true, entries };
  }
  demand(scanner, stream, OPEN_OBJECT, 'labels are not an object');
  demand(scanner, values, OPEN_ARRAY, 'values are not an array');
  return { labels: stream, legacy: false, entries: values };
}

/** Throws Fault bad_request if the member is there and does not begin with `first`. */
function demand(scanner: JsonScanner, member: Member | undefined, first: number, otherwise: string): void {
  if (member !== undefined && scanner.bytes[member.at] !== first) throw scanner.fault(otherwise, member.at);
}
