import { isMarkedAsUntransferable } from 'node:worker_threads';
import { Fault } from '../../ops/base/fault.ts';

/** Bytes of all Uint8Arrays anywhere in a plain body: what it costs to keep beside small change. */
export function frameBytes(body: unknown): number {
  if (typeof body !== 'object' || body === null) return 0;
  if (body instanceof Uint8Array) return body.byteLength;
  let bytes = 0;
  if (Array.isArray(body)) for (const item of body) bytes += frameBytes(item);
  else for (const key in body) bytes += frameBytes((body as Record<string, unknown>)[key]);
  return bytes;
}

/** `frame` as bytes that nobody on this side can change: shared memory as it is; with `transfer` a whole, unpooled ArrayBuffer moved (the sender's view is empty
 *  from here on); otherwise a copy in an ArrayBuffer of its own, since posting a small view of a large one would clone all of it.
 *  Throws Fault internal if the bytes were moved away before. */
export function detachFrame(frame: Uint8Array, transfer: boolean): Uint8Array {
  const { buffer } = frame;
  if (buffer instanceof SharedArrayBuffer) return frame;
  if (buffer.detached) throw new Fault('internal', 'frame was moved away by an earlier message');
  if (transfer && frame.byteLength === buffer.byteLength && frame.byteLength > 0 && !isMarkedAsUntransferable(buffer)) {
    return new Uint8Array(buffer.transfer());
  }
  const copy = Buffer.allocUnsafeSlow(frame.byteLength);
  copy.set(frame);
  return copy;
}

/** The frame as a Buffer over the same memory. */
export function asBuffer(frame: Uint8Array): Buffer {
  return Buffer.from(frame.buffer as ArrayBuffer, frame.byteOffset, frame.byteLength);
}

/** The same body with each bare Uint8Array as a Buffer over the same memory, as it arrives from afar; copies only the objects on the way to one. */
export function withBuffers(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body)) return body;
  if (body instanceof Uint8Array) return asBuffer(body);
  const source = body as Record<string | number, unknown>;
  let copy: typeof source | undefined;
  for (const key in source) {
    const part = source[key];
    if (typeof part !== 'object') continue;
    const wrapped = withBuffers(part);
    if (wrapped === part) continue;
    copy ??= (Array.isArray(body) ? body.slice() : { ...source }) as typeof source;
    copy[key] = wrapped;
  }
  return copy ?? body;
}
