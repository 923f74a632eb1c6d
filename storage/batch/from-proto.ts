import { Fault } from '../../ops/base/fault.ts';
import { fields, ProtoScanner, sized, varint } from './proto-scanner.ts';
import { type PushSink, pushPair } from './push-sink.ts';

// Messages and field numbers: Loki's pkg/push/push.proto.
//   PushRequest { 1: repeated Stream }   Stream { 1: labels, 2: repeated Entry }
//   Entry { 1: Timestamp, 2: line, 3: repeated LabelPair }   LabelPair { 1: name, 2: value }   Timestamp { 1: seconds, 2: nanos }
const [FIELD_1, FIELD_2, FIELD_3] = [sized(1), sized(2), sized(3)];
const [SECONDS, NANOS] = [varint(1), varint(2)];
const REQUEST = fields(1);
const STREAM = fields(1, 2);
const ENTRY = fields(1, 2, 3);
const TIMESTAMP = fields(1, 2);
const PAIR = fields(1, 2);

/** Tells `sink` what a logproto.PushRequest holds, and returns the number of its streams. Fields may come in any order, the last of a single one counts, unknown
 *  ones are skipped. Lines are passed on byte for byte, whether they are UTF-8 or not. Throws Fault bad_request, at the first byte that does not fit; the sink
 *  has then seen part of the request. */
export function readPushProto(bytes: Buffer, sink: PushSink): number {
  return new PushReader(bytes, sink).push();
}

class PushReader {
  readonly #scanner: ProtoScanner;
  readonly #sink: PushSink;
  readonly #pairs: string[] = [];
  #seconds = 0;
  #nanos = 0;

  constructor(bytes: Buffer, sink: PushSink) {
    this.#scanner = new ProtoScanner(bytes);
    this.#sink = sink;
  }

  push(): number {
    const scanner = this.#scanner;
    let streams = 0;
    const end = scanner.bytes.length;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === FIELD_1) {
        this.#stream(scanner.end(end));
        streams++;
      } else scanner.skip(tag, end, REQUEST);
    }
    return streams;
  }

  /** Two passes: the first finds the labels, wherever they stand, and how much room the entries want. */
  #stream(end: number): void {
    const scanner = this.#scanner;
    const start = scanner.at;
    let rows = 0;
    let entryBytes = 0;
    let labelsFrom = start;
    let labelsTo = start;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === FIELD_2) {
        const entryEnd = scanner.end(end);
        rows++;
        entryBytes += entryEnd - scanner.at;
        scanner.at = entryEnd;
      } else if (tag === FIELD_1) {
        labelsTo = scanner.end(end);
        labelsFrom = scanner.at;
        scanner.at = labelsTo;
      } else scanner.skip(tag, end, STREAM);
    }
    if (rows === 0 && labelsFrom === labelsTo) return; // a body has room for millions of these
    this.#sink.stream('text', scanner.bytes, labelsFrom, labelsTo, rows, entryBytes);
    scanner.at = start;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === FIELD_2) this.#entry(scanner.end(end));
      else scanner.skip(tag, end); // labels, and what the first pass has skipped
    }
  }

  #entry(end: number): void {
    const scanner = this.#scanner;
    // Without a timestamp: Go's zero time, the year 1.
    this.#seconds = Number.NEGATIVE_INFINITY;
    this.#nanos = 0;
    let lineFrom = 0;
    let lineTo = 0;
    if (this.#pairs.length > 0) this.#pairs.length = 0;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === FIELD_1) this.#timestamp(scanner.end(end));
      else if (tag === FIELD_2) {
        lineTo = scanner.end(end);
        lineFrom = scanner.at;
        scanner.at = lineTo;
      } else if (tag === FIELD_3) this.#pair(scanner.end(end));
      else scanner.skip(tag, end, ENTRY);
    }
    this.#sink.entry(this.#seconds, this.#nanos, scanner.bytes, lineFrom, lineTo, this.#pairs);
  }

  #timestamp(end: number): void {
    const scanner = this.#scanner;
    let seconds: number | bigint = 0;
    let nanos = 0;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === SECONDS) seconds = scanner.int64(end);
      else if (tag === NANOS) nanos = scanner.uint32(end) | 0;
      else scanner.skip(tag, end, TIMESTAMP);
    }
    if (nanos < 0 || nanos >= 1e9) throw new Fault('bad_request', `proto: timestamp with ${nanos} nanoseconds at byte ${scanner.at}`);
    // What is no number is beyond all times, and what is negative is before 1970.
    this.#seconds = typeof seconds === 'bigint' ? (seconds < 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY) : seconds;
    this.#nanos = nanos;
  }

  #pair(end: number): void {
    const scanner = this.#scanner;
    let name = '';
    let value = '';
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === FIELD_1) name = scanner.text(scanner.end(end));
      else if (tag === FIELD_2) value = scanner.text(scanner.end(end));
      else scanner.skip(tag, end, PAIR);
    }
    pushPair(this.#pairs, name, value);
  }
}
