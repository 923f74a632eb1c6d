import type { MappedRow } from './record.ts';

// Messages and field numbers: Loki's pkg/push/push.proto, as in storage/batch/from-proto.ts.
const [FIELD_1, FIELD_2, FIELD_3] = [0x0a, 0x12, 0x1a];
const [SECONDS, NANOS] = [0x08, 0x10];
const NS_PER_SECOND = 1_000_000_000n;

interface Sized {
  readonly at: number;
  readonly row: MappedRow;
  readonly seconds: number;
  readonly nanos: number;
  readonly timeBytes: number;
  readonly pairs: readonly Buffer[];
  readonly bytes: number;
}

export interface WrittenPush {
  /** A logproto.PushRequest, not compressed, in memory of its own. */
  readonly body: Buffer;
  /** Of each entry in the order of the request: its place in `rows`. */
  readonly order: readonly number[];
}

/** Rows of one tenant as a push request: a stream for each of their label sets. */
export function writePush(rows: readonly MappedRow[]): WrittenPush {
  const streams = new Map<string, Sized[]>();
  for (const [at, row] of rows.entries()) {
    const entries = streams.get(row.labels);
    if (entries === undefined) streams.set(row.labels, [sized(row, at)]);
    else entries.push(sized(row, at));
  }
  const labelled = [...streams].map(([text, entries]) => {
    const labels = Buffer.from(text);
    let bytes = fieldBytes(labels.length);
    for (const entry of entries) bytes += fieldBytes(entry.bytes);
    return { labels, entries, bytes };
  });
  const writer = new Writer(labelled.reduce((sum, { bytes }) => sum + fieldBytes(bytes), 0));
  for (const { labels, entries, bytes } of labelled) {
    writer.message(FIELD_1, bytes);
    writer.bytes(FIELD_1, labels);
    for (const entry of entries) writeEntry(entry, writer);
  }
  return { body: writer.buffer, order: labelled.flatMap(({ entries }) => entries.map(({ at }) => at)) };
}

function sized(row: MappedRow, at: number): Sized {
  const seconds = Number(row.timeNs / NS_PER_SECOND);
  const nanos = Number(row.timeNs % NS_PER_SECOND);
  const pairs = row.metadata.map((text) => Buffer.from(text));
  const timeBytes = 1 + varintBytes(seconds) + 1 + varintBytes(nanos);
  let bytes = fieldBytes(timeBytes) + fieldBytes(row.line.length);
  for (let index = 0; index < pairs.length; index += 2) bytes += fieldBytes(pairBytes(pairs, index));
  return { at, row, seconds, nanos, timeBytes, pairs, bytes };
}

function writeEntry({ row, seconds, nanos, timeBytes, pairs, bytes }: Sized, writer: Writer): void {
  writer.message(FIELD_2, bytes);
  writer.message(FIELD_1, timeBytes);
  writer.number(SECONDS, seconds);
  writer.number(NANOS, nanos);
  writer.bytes(FIELD_2, row.line);
  for (let index = 0; index < pairs.length; index += 2) {
    writer.message(FIELD_3, pairBytes(pairs, index));
    writer.bytes(FIELD_1, pairs[index]);
    writer.bytes(FIELD_2, pairs[index + 1]);
  }
}

function pairBytes(pairs: readonly Buffer[], index: number): number {
  return fieldBytes(pairs[index].length) + fieldBytes(pairs[index + 1].length);
}

/** Of a field with so many bytes, its tag and length included. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

class Writer {
  readonly buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size);
  }

  /** The tag and the length of what follows. */
  message(tag: number, length: number): void {
    this.number(tag, length);
  }

  bytes(tag: number, bytes: Buffer): void {
    this.message(tag, bytes.length);
    this.#at += bytes.copy(this.buffer, this.#at);
  }

  number(tag: number, value: number): void {
    this.buffer[this.#at++] = tag;
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.buffer[this.#at++] = (rest % 128) | 128;
    this.buffer[this.#at++] = rest;
  }
}
