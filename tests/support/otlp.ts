import { field, integer, varint } from './push-proto.ts';

/** A value as tests write it: whole numbers and bigints are integers, other numbers doubles, objects lists of keys, null a value of no kind. */
export type Plain = null | string | boolean | number | bigint | Buffer | readonly Plain[] | { readonly [key: string]: Plain };

export interface PlainRecord {
  time?: bigint;
  observed?: bigint;
  severityNumber?: number;
  severityText?: string;
  body?: Plain;
  attributes?: readonly (readonly [key: string, value: Plain])[];
  dropped?: number;
  flags?: number;
  /** Hexadecimal. */
  traceId?: string;
  spanId?: string;
  eventName?: string;
}

export interface PlainScope {
  name?: string;
  version?: string;
  attributes?: readonly (readonly [key: string, value: Plain])[];
  dropped?: number;
  records: readonly PlainRecord[];
}

export interface PlainResource {
  attributes?: readonly (readonly [key: string, value: Plain])[];
  scopes: readonly PlainScope[];
}

/** A resource with records that have no scope. */
export const resource = (attributes: Readonly<Record<string, Plain>>, ...records: readonly PlainRecord[]): PlainResource => ({
  attributes: Object.entries(attributes),
  scopes: [{ records }],
});

// Protobuf

const fixed = (number: number, type: 1 | 5, write: (out: Buffer) => void): Buffer => {
  const out = Buffer.alloc(type === 1 ? 8 : 4);
  write(out);
  return Buffer.concat([varint((number << 3) | type), out]);
};
export const fixed64 = (number: number, value: bigint): Buffer =>
  fixed(number, 1, (out) => out.writeBigUInt64LE(BigInt.asUintN(64, value)));
export const fixed32 = (number: number, value: number): Buffer => fixed(number, 5, (out) => out.writeUInt32LE(value));

export function anyValue(value: Plain): Buffer {
  if (value === null) return Buffer.alloc(0);
  if (typeof value === 'string') return field(1, value);
  if (typeof value === 'boolean') return integer(2, value ? 1 : 0);
  if (typeof value === 'bigint' || Number.isInteger(value)) return integer(3, value as bigint);
  if (typeof value === 'number') return fixed(4, 1, (out) => out.writeDoubleLE(value));
  if (Buffer.isBuffer(value)) return field(7, value);
  if (Array.isArray(value)) return field(5, Buffer.concat(value.map((item) => field(1, anyValue(item)))));
  return field(6, Buffer.concat(Object.entries(value).map(([key, inner]) => keyValue(1, key, inner))));
}

export function keyValue(number: number, key: string | Buffer, value: Plain): Buffer {
  return field(number, field(1, key), field(2, anyValue(value)));
}

export function logRecord(record: PlainRecord): Buffer {
  const { time, observed, severityNumber, severityText, body, attributes = [], dropped, flags, traceId, spanId, eventName } = record;
  const parts = [
    time === undefined ? [] : [fixed64(1, time)],
    severityNumber === undefined ? [] : [integer(2, severityNumber)],
    severityText === undefined ? [] : [field(3, severityText)],
    body === undefined ? [] : [field(5, anyValue(body))],
    attributes.map(([key, value]) => keyValue(6, key, value)),
    dropped === undefined ? [] : [integer(7, dropped)],
    flags === undefined ? [] : [fixed32(8, flags)],
    traceId === undefined ? [] : [field(9, Buffer.from(traceId, 'hex'))],
    spanId === undefined ? [] : [field(10, Buffer.from(spanId, 'hex'))],
    observed === undefined ? [] : [fixed64(11, observed)],
    eventName === undefined ? [] : [field(12, eventName)],
  ];
  return Buffer.concat(parts.flat());
}

export function scopeLogs({ name, version, attributes = [], dropped, records }: PlainScope): Buffer {
  const scope = Buffer.concat([
    ...(name === undefined ? [] : [field(1, name)]),
    ...(version === undefined ? [] : [field(2, version)]),
    ...attributes.map(([key, value]) => keyValue(3, key, value)),
    ...(dropped === undefined ? [] : [integer(4, dropped)]),
  ]);
  return Buffer.concat([...(scope.length === 0 ? [] : [field(1, scope)]), ...records.map((record) => field(2, logRecord(record)))]);
}

export function protoRequest(resources: readonly PlainResource[]): Buffer {
  return Buffer.concat(
    resources.map(({ attributes = [], scopes }) =>
      field(
        1,
        field(1, ...attributes.map(([key, value]) => keyValue(1, key, value))),
        ...scopes.map((scope) => field(2, scopeLogs(scope))),
      ),
    ),
  );
}

// JSON

export function jsonValue(value: Plain): object {
  if (value === null) return {};
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'bigint' || Number.isInteger(value)) return { intValue: String(value) };
  if (typeof value === 'number') return { doubleValue: Number.isFinite(value) ? value : String(value) };
  if (Buffer.isBuffer(value)) return { bytesValue: value.toString('base64') };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(jsonValue) } };
  return { kvlistValue: { values: jsonAttributes(Object.entries(value)) } };
}

const jsonAttributes = (attributes: readonly (readonly [key: string, value: Plain])[]): object[] =>
  attributes.map(([key, value]) => ({ key, value: jsonValue(value) }));

export function jsonRequest(resources: readonly PlainResource[]): Buffer {
  const resourceLogs = resources.map(({ attributes = [], scopes }) => ({
    resource: { attributes: jsonAttributes(attributes) },
    scopeLogs: scopes.map(({ name, version, attributes = [], dropped, records }) => ({
      scope: { name, version, attributes: jsonAttributes(attributes), droppedAttributesCount: dropped },
      logRecords: records.map(({ time, observed, body, attributes = [], dropped, ...rest }) => ({
        ...rest,
        timeUnixNano: time?.toString(),
        observedTimeUnixNano: observed?.toString(),
        body: body === undefined ? undefined : jsonValue(body),
        attributes: jsonAttributes(attributes),
        droppedAttributesCount: dropped,
      })),
    })),
  }));
  return Buffer.from(JSON.stringify({ resourceLogs }));
}
