import type { MessagePort, Transferable } from 'node:worker_threads';
import { align8, KiB, release } from '../../ops/base/bytes.ts';
import { asBuffer, detachFrame } from './frames.ts';
import { decode, type Encoded } from './wire.ts';

/** What goes over a port at once: parcels end to end, and in order those frames of them that travel apart. A parcel begins at a multiple of 8: uint32 LE envelope
 *  length, uint32 LE frame count, for each frame uint32 LE its length or APART, the envelope, then the other frames, each at a multiple of 8. */
export type Batch = readonly [parcels: Uint8Array, apart: readonly Uint8Array[]];

const HEADER_BYTES = 8;
const FRAME_HEADER_BYTES = 4;
const APART = 0xffff_ffff;
/** Shorter frames travel within the parcel unless their memory is shared: posting one apart costs more than copying it, and the cost of many grows with the square of their number. */
const APART_FROM = 8 * KiB;
const FIRST_BYTES = 4 * KiB;

/** Gathers the parcels of one turn and posts them together: a post costs several times what packing does. */
export class Outbox {
  readonly #port: MessagePort;
  #parcels = Buffer.alloc(0);
  #length = 0;
  #apart: Uint8Array[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** The frames are copied or moved before this returns. Throws Fault internal if one was moved away before. */
  add({ envelope, frames }: Encoded, transfer: boolean): void {
    const apart = frames.map((frame) => travelsApart(frame));
    const detached = frames.filter((_, index) => apart[index]).map((frame) => detachFrame(frame, transfer));
    this.#apart.push(...detached);
    const within = frames.reduce((sum, frame, index) => (apart[index] ? sum : sum + align8(frame.length)), 0);
    const size = align8(HEADER_BYTES + FRAME_HEADER_BYTES * frames.length + envelope.length) + within;
    const parcels = this.#room(size);
    let at = this.#length;
    at = parcels.writeUInt32LE(envelope.length, at);
    at = parcels.writeUInt32LE(frames.length, at);
    for (const [index, frame] of frames.entries()) at = parcels.writeUInt32LE(apart[index] ? APART : frame.length, at);
    at = align8(at + envelope.copy(parcels, at));
    for (const [index, frame] of frames.entries()) {
      if (apart[index]) continue;
      parcels.set(frame, at);
      at += align8(frame.length);
      if (transfer) release(frame);
    }
    if (this.#length === 0) void Promise.resolve().then(this.flush);
    this.#length = at;
  }

  /** The buffer, with `bytes` more behind what was written. */
  #room(bytes: number): Buffer {
    const wanted = this.#length + bytes;
    if (wanted > this.#parcels.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * this.#length, wanted));
      this.#parcels.copy(grown, 0, 0, this.#length);
      this.#parcels = grown;
    }
    return this.#parcels;
  }

  readonly flush = (): void => {
    if (this.#length === 0) return;
    const batch: Batch = [this.#parcels.subarray(0, this.#length), this.#apart];
    const transfers: Transferable[] = [this.#parcels.buffer];
    for (const { buffer } of this.#apart) if (buffer instanceof ArrayBuffer) transfers.push(buffer);
    this.#parcels = Buffer.alloc(0);
    this.#length = 0;
    this.#apart = [];
    this.#port.postMessage(batch, transfers);
  };
}

/** One that was moved away has no length any more, and is told of by detachFrame. */
function travelsApart({ length, buffer }: Uint8Array): boolean {
  return length >= APART_FROM || buffer instanceof SharedArrayBuffer || buffer.detached;
}

/** Calls `receive` with each parcel and the bytes that it took, in the order they were added. */
export function openBatch([parcels, apart]: Batch, receive: (parcel: unknown[], sizeBytes: number) => void): void {
  const bytes = asBuffer(parcels);
  let apartAt = 0;
  for (let at = 0; at < bytes.length; ) {
    const envelopeBytes = bytes.readUInt32LE(at);
    const frameCount = bytes.readUInt32LE(at + 4);
    const lengthsAt = at + HEADER_BYTES;
    const envelopeAt = lengthsAt + FRAME_HEADER_BYTES * frameCount;
    at = align8(envelopeAt + envelopeBytes);
    let sizeBytes = envelopeBytes;
    const frames: Buffer[] = [];
    for (let index = 0; index < frameCount; index++) {
      const length = bytes.readUInt32LE(lengthsAt + FRAME_HEADER_BYTES * index);
      if (length === APART) frames.push(asBuffer(apart[apartAt++]));
      else {
        frames.push(bytes.subarray(at, at + length));
        at += align8(length);
      }
      sizeBytes += frames[index].length;
    }
    receive(decode(bytes.subarray(envelopeAt, envelopeAt + envelopeBytes), frames), sizeBytes);
  }
}

/** Bytes that {@link openBatch} will report for `encoded`. */
export function sizeOf({ envelope, frames }: Encoded): number {
  let sizeBytes = envelope.length;
  for (const frame of frames) sizeBytes += frame.length;
  return sizeBytes;
}
