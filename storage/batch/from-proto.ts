import { Fault } from '../../ops/base/fault.ts';
import { type PushSink, pushPair } from './push-sink.ts';

// Messages and field numbers: Loki's pkg/push/push.proto.
//   PushRequest { 1: repeated Stream }   Stream { 1: labels, 2: repeated Entry }
//   Entry { 1: Timestamp, 2: line, 3: repeated LabelPair }   LabelPair { 1: name, 2: value }   Timestamp { 1: seconds, 2: nanos }
const LENGTH_DELIMITED = 2;
const FIELD_1 = (1 << 3) | LENGTH_DELIMITED;
const FIELD_2 = (2 << 3) | LENGTH_DELIMITED;
const FIELD_3 = (3 << 3) | LENGTH_DELIMITED;
const SECONDS = 1 << 3;
const NANOS = 2 << 3;
const TWO_63 = 2 ** 63;

/** Tells `sink` what a logproto.PushRequest holds, and returns the number of its streams. Fields may come in any order, the last of a single one counts, unknown
 *  ones are skipped. Lines are passed on byte for byte, whether they are UTF-8 or not. Throws Fault bad_request, at the first byte that does not fit; the sink
 *  has then seen part of the request. */
export function readPushProto(bytes: Buffer, sink: PushSink): number {
  return new PushReader(bytes, sink).push();
}

class PushReader {
  readonly #bytes: Buffer;
  readonly #sink: PushSink;
  readonly #pairs: string[] = [];
  #at = 0;
  #seconds = 0;
  #nanos = 0;

  constructor(bytes: Buffer, sink: PushSink) {
    this.#bytes = bytes;
    this.#sink = sink;
  }

  push(): number {
    let streams = 0;
    const end = this.#bytes.length;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === FIELD_1) {
        this.#stream(this.#end(end));
        streams++;
      } else this.#skip(tag, end, 1);
    }
    return streams;
  }

  /** Two passes: the first finds the labels, wherever they stand, and how much room the entries want. */
  #stream(end: number): void {
    const start = this.#at;
    let rows = 0;
    let entryBytes = 0;
    let labelsFrom = start;
    let labelsTo = start;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === FIELD_2) {
        const entryEnd = this.#end(end);
        rows++;
        entryBytes += entryEnd - this.#at;
        this.#at = entryEnd;
      } else if (tag === FIELD_1) {
        labelsTo = this.#end(end);
        labelsFrom = this.#at;
        this.#at = labelsTo;
      } else this.#skip(tag, end, 2);
    }
    if (rows === 0 && labelsFrom === labelsTo) return; // a body has room for millions of these
    this.#sink.stream('text', this.#bytes, labelsFrom, labelsTo, rows, entryBytes);
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === FIELD_2) this.#entry(this.#end(end));
      else this.#skip(tag, end, 0); // labels, and what the first pass has skipped
    }
  }

  #entry(end: number): void {
    // Without a timestamp: Go's zero time, the year 1.
    this.#seconds = Number.NEGATIVE_INFINITY;
    this.#nanos = 0;
    let lineFrom = 0;
    let lineTo = 0;
    if (this.#pairs.length > 0) this.#pairs.length = 0;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === FIELD_1) this.#timestamp(this.#end(end));
      else if (tag === FIELD_2) {
        lineTo = this.#end(end);
        lineFrom = this.#at;
        this.#at = lineTo;
      } else if (tag === FIELD_3) this.#pair(this.#end(end));
      else this.#skip(tag, end, 3);
    }
    this.#sink.entry(this.#seconds, this.#nanos, this.#bytes, lineFrom, lineTo, this.#pairs);
  }

  #timestamp(end: number): void {
    let seconds = 0;
    let nanos = 0;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === SECONDS) seconds = this.#varint(end);
      else if (tag === NANOS) nanos = this.#varint(end);
      else this.#skip(tag, end, 2);
    }
    if (nanos >= 1e9) throw new Fault('bad_request', `proto: timestamp with ${nanos} nanoseconds at byte ${this.#at}`);
    // Beyond 2^53 a varint is rounded; beyond 2^63 it stands for a negative number, a time before 1970.
    this.#seconds = seconds <= Number.MAX_SAFE_INTEGER ? seconds : seconds >= TWO_63 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    this.#nanos = nanos;
  }

  #pair(end: number): void {
    let name = '';
    let value = '';
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === FIELD_1) name = this.#text(end);
      else if (tag === FIELD_2) value = this.#text(end);
      else this.#skip(tag, end, 2);
    }
    pushPair(this.#pairs, name, value);
  }

  #text(end: number): string {
    const to = this.#end(end);
    const text = this.#bytes.toString('utf8', this.#at, to);
    this.#at = to;
    return text;
  }

  /** Reads a length; returns where the field with it ends. */
  #end(limit: number): number {
    const length = this.#varint(limit);
    const end = this.#at + length;
    if (end > limit) throw truncated(this.#at);
    return end;
  }

  #varint(limit: number): number {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at >= limit) throw truncated(at);
    let byte = bytes[at++];
    let value = byte;
    if (byte > 127) {
      value &= 127;
      let scale = 128;
      do {
        if (at >= limit) throw truncated(at);
        if (at - this.#at === 10) throw new Fault('bad_request', `proto: integer overflow at byte ${at}`);
        byte = bytes[at++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
    }
    this.#at = at;
    return value;
  }

  /** Skips a field that is none of the first `known`: those have another wire type, and what they hold must not get lost. */
  #skip(tag: number, end: number, known: number): void {
    const at = this.#at;
    if (tag < 8) throw new Fault('bad_request', `proto: illegal tag ${tag} at byte ${at}`);
    if (tag < (known + 1) * 8)
      throw new Fault('bad_request', `proto: wrong wire type ${tag % 8} of field ${Math.floor(tag / 8)} at byte ${at}`);
    switch (tag % 8) {
      case 0:
        this.#varint(end);
        return;
      case 1:
        this.#at = at + 8;
        break;
      case LENGTH_DELIMITED:
        this.#at = this.#end(end);
        return;
      case 5:
        this.#at = at + 4;
        break;
      default:
        throw new Fault('bad_request', `proto: illegal wire type ${tag % 8} at byte ${at}`);
    }
    if (this.#at > end) throw truncated(at);
  }
}

function truncated(at: number): Fault {
  return new Fault('bad_request', `proto: unexpected end of message at byte ${at}`);
}
