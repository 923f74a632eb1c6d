/** Writes logproto.PushRequest messages, without compression. */
export interface ProtoStream {
  readonly labels: string;
  readonly entries: readonly ProtoEntry[];
}

export interface ProtoEntry {
  readonly ns: bigint;
  readonly line: string | Buffer;
  readonly metadata?: readonly (readonly [name: string, value: string])[];
}

export function varint(value: bigint | number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

export function field(number: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)));
  return Buffer.concat([varint((number << 3) | 2), varint(body.length), body]);
}

export function integer(number: number, value: bigint | number): Buffer {
  return Buffer.concat([varint(number << 3), varint(value)]);
}

export function timestamp(ns: bigint): Buffer {
  return field(1, integer(1, ns / 1_000_000_000n), integer(2, ns % 1_000_000_000n));
}

export function entry({ ns, line, metadata = [] }: ProtoEntry): Buffer {
  return field(2, timestamp(ns), field(2, line), ...metadata.map(([name, value]) => field(3, field(1, name), field(2, value))));
}

export function pushRequest(streams: readonly ProtoStream[]): Buffer {
  return Buffer.concat(streams.map(({ labels, entries }) => field(1, field(1, labels), ...entries.map(entry))));
}
