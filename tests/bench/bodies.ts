import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { compressSync, uncompressSync } from 'snappy';
import { ByteReader, ByteWriter } from '../../ops/base/bytes.ts';

const FILE = 'push.bin';

/** Entries of a push, encoded, by the text of their stream's labels. */
export type EncodedStreams = ReadonlyMap<string, readonly Buffer[]>;

/** Writes push bodies to push.bin in a folder, each after its length (u32, little-endian). */
export class BodyWriter {
  readonly #file: number;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#file = openSync(join(folder, FILE), 'w');
  }

  /** Returns the size of the body. */
  write(streams: EncodedStreams): number {
    const body = pushBodyOf(streams);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(body.length);
    writeSync(this.#file, length);
    writeSync(this.#file, body);
    return body.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The push bodies in a folder, as views into one buffer. */
export function readBodies(folder: string): Buffer[] {
  const file = readFileSync(join(folder, FILE));
  const bodies: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at);
    bodies.push(file.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return bodies;
}

/** The push bodies in a folder, one in memory at a time. */
export function* eachBody(folder: string): Generator<Buffer> {
  const file = openSync(join(folder, FILE), 'r');
  try {
    const { size } = fstatSync(file);
    const length = Buffer.alloc(4);
    for (let at = 0; at < size; ) {
      readSync(file, length, 0, 4, at);
      const body = Buffer.allocUnsafeSlow(length.readUInt32LE(0));
      readSync(file, body, 0, body.length, at + 4);
      at += 4 + body.length;
      yield body;
    }
  } finally {
    closeSync(file);
  }
}

/** A push request: protobuf in snappy. */
export function pushBodyOf(streams: EncodedStreams): Buffer {
  return compressSync(
    Buffer.concat([...streams].map(([labels, entries]) => field(1, Buffer.concat([field(1, Buffer.from(labels)), ...entries])))),
  );
}

/** An EntryAdapter of Loki's push.proto: timestamp (seconds, nanos) and line. */
export function entry(timeMs: number, line: string | Buffer): Buffer {
  const time = new ByteWriter(16)
    .varint(1 << 3)
    .varint(Math.floor(timeMs / 1_000))
    .varint(2 << 3)
    .varint((timeMs % 1_000) * 1e6)
    .view();
  return field(2, Buffer.concat([field(1, time), field(2, Buffer.from(line as Buffer))]));
}

/** A length-delimited protobuf field. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([
    new ByteWriter(12)
      .varint((number << 3) | 2)
      .varint(content.length)
      .view(),
    content,
  ]);
}

/** Where an entry of a push request has its parts. */
export interface EntryPlace {
  /** Text of the stream's labels. */
  readonly labels: string;
  /** Of the varint of the timestamp's seconds. */
  readonly secondsAt: number;
  readonly lineAt: number;
  readonly lineEnd: number;
}

/** A body as `pushBodyOf` made it, decompressed, and the places of its entries in there. */
export function openBody(body: Buffer): { request: Buffer; entries: EntryPlace[] } {
  const request = uncompressSync(body) as Buffer;
  const reader = new ByteReader(request);
  const entries: EntryPlace[] = [];
  const enter = (): number => {
    reader.u8();
    const size = reader.varint();
    return reader.at + size;
  };
  while (reader.left > 0) {
    const streamEnd = enter();
    reader.u8();
    const labels = reader.text();
    while (reader.at < streamEnd) {
      enter();
      const timeEnd = enter();
      const secondsAt = reader.at + 1;
      reader.at = timeEnd;
      const lineEnd = enter();
      entries.push({ labels, secondsAt, lineAt: reader.at, lineEnd });
      reader.at = lineEnd;
    }
  }
  return { request, entries };
}
