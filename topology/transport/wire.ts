import { addExtension, Packr } from 'msgpackr';
import { asFault, Fault, type FaultCode, faultFromWire } from '../../ops/base/fault.ts';

/** A body ready to travel: `envelope` is msgpack without any binary value, `frames` the Uint8Arrays of the body in the order they were met, still the sender's. */
export interface Encoded {
  readonly envelope: Buffer;
  readonly frames: Uint8Array[];
}

/** Bodies nested deeper than this are refused: recursion over them would end in a stack overflow. */
const MAX_DEPTH = 200;

/** Stands in an envelope for frame number `index`. */
class FrameRef {
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
}

/** Stands for -0, which msgpack's integers do not know. */
class NegativeZero {}
const negativeZero = new NegativeZero();

/** The frames of the message being decoded; extensions are registered for the process and have no other way to reach them. */
let decoding: readonly Buffer[] = [];

addExtension({
  Class: FrameRef,
  type: 1,
  pack({ index }: FrameRef) {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32LE(index);
    return bytes;
  },
  unpack(bytes: Uint8Array) {
    const frame = decoding[bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)];
    if (frame === undefined) throw new Fault('internal', 'message names a frame that did not come with it');
    return frame;
  },
});
addExtension({ Class: NegativeZero, type: 2, pack: () => Buffer.alloc(1), unpack: () => -0 });

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, useBigIntExtension: true, moreTypes: false });

/** Packs `[...head, body]`. Throws Fault internal, naming the path, for anything in `body` that is not plain data: it would arrive as something else. */
export function encode(head: readonly (string | number | boolean | null)[], body: unknown): Encoded {
  const frames: Uint8Array[] = [];
  const path: (string | number)[] = [];
  const plain = withoutFrames(body, frames, path);
  try {
    return { envelope: packr.pack([...head, plain]), frames };
  } catch (error) {
    throw asFault(error);
  }
}

/** A fault from the fields of a parcel. */
export function faultOf(code: FaultCode, message: string, retryAfterS: number | null): Fault {
  return faultFromWire({ code, message, ...(retryAfterS !== null && { retryAfterS }) });
}

/** What {@link encode} packed, with `frames` in their places. Throws Fault internal if it is not whole. */
export function decode(envelope: Uint8Array, frames: readonly Buffer[]): unknown[] {
  decoding = frames;
  try {
    return packr.unpack(envelope) as unknown[];
  } catch (error) {
    throw asFault(error);
  } finally {
    decoding = [];
  }
}

/** `value` with a FrameRef for each Uint8Array; copies only the objects on the way to one. */
function withoutFrames(value: unknown, frames: Uint8Array[], path: (string | number)[]): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
    case 'bigint':
      return value;
    case 'number':
      return Object.is(value, -0) ? negativeZero : value;
    case 'object':
      if (value === null) return value;
      if (value instanceof Uint8Array) return new FrameRef(frames.push(value) - 1);
      if (path.length >= MAX_DEPTH) return refuse(path, `nests deeper than ${MAX_DEPTH} levels`);
      if (Array.isArray(value)) return arrayWithoutFrames(value, frames, path);
      return objectWithoutFrames(value, frames, path);
    default:
      return refuse(path, `is a ${typeof value}, not plain data`);
  }
}

function arrayWithoutFrames(items: readonly unknown[], frames: Uint8Array[], path: (string | number)[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < items.length; index++) {
    path.push(index);
    const item = withoutFrames(items[index], frames, path);
    path.pop();
    if (Object.is(item, items[index])) continue;
    copy ??= items.slice();
    copy[index] = item;
  }
  return copy ?? items;
}

function objectWithoutFrames(object: object, frames: Uint8Array[], path: (string | number)[]): object {
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null)
    return refuse(path, `is a ${prototype.constructor?.name ?? 'class instance'}, not plain data`);
  const source = object as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const key in source) {
    path.push(key);
    if (key === '__proto__') return refuse(path, 'cannot travel under this name');
    const item = withoutFrames(source[key], frames, path);
    path.pop();
    if (Object.is(item, source[key])) continue;
    copy ??= { ...source };
    copy[key] = item;
  }
  return copy ?? object;
}

function refuse(path: readonly (string | number)[], what: string): never {
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  throw new Fault('internal', `message body${where} ${what}`);
}
