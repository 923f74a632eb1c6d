import type { MessagePort, Transferable } from 'node:worker_threads';
import { asBuffer, detachFrame } from './frames.ts';
import { decode, type Encoded } from './wire.ts';

/** What goes over a port at once: parcels end to end, each as uint32 LE envelope length, uint32 LE frame count, envelope; then the frames of all of them in order. */
export type Batch = readonly [parcels: Uint8Array, frames: readonly Uint8Array[]];

const HEADER_BYTES = 8;

/** Gathers the parcels of one turn and posts them together: a post costs several times what packing does. */
export class Outbox {
  readonly #port: MessagePort;
  #envelopes: Buffer[] = [];
  #frameCounts: number[] = [];
  #frames: Uint8Array[] = [];
  #bytes = 0;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** The frames are copied or moved before this returns. Throws Fault internal if one was moved away before. */
  add({ envelope, frames }: Encoded, transfer: boolean): void {
    const detached = frames.map((frame) => detachFrame(frame, transfer));
    this.#frames.push(...detached);
    this.#bytes += HEADER_BYTES + envelope.length;
    this.#frameCounts.push(frames.length);
    if (this.#envelopes.push(envelope) === 1) void Promise.resolve().then(this.flush);
  }

  readonly flush = (): void => {
    if (this.#envelopes.length === 0) return;
    const parcels = Buffer.allocUnsafeSlow(this.#bytes);
    let at = 0;
    for (let index = 0; index < this.#envelopes.length; index++) {
      const envelope = this.#envelopes[index];
      at = parcels.writeUInt32LE(envelope.length, at);
      at = parcels.writeUInt32LE(this.#frameCounts[index], at);
      at += envelope.copy(parcels, at);
    }
    const transfers: Transferable[] = [parcels.buffer];
    for (const { buffer } of this.#frames) if (buffer instanceof ArrayBuffer) transfers.push(buffer);
    const batch: Batch = [parcels, this.#frames];
    this.#envelopes = [];
    this.#frameCounts = [];
    this.#frames = [];
    this.#bytes = 0;
    this.#port.postMessage(batch, transfers);
  };
}

/** Calls `receive` with each parcel and the bytes that it took, in the order they were added. */
export function openBatch([parcels, frames]: Batch, receive: (parcel: unknown[], sizeBytes: number) => void): void {
  const bytes = asBuffer(parcels);
  let frameAt = 0;
  for (let at = 0; at < bytes.length; ) {
    const envelopeBytes = bytes.readUInt32LE(at);
    const frameCount = bytes.readUInt32LE(at + 4);
    const own = frames.slice(frameAt, frameAt + frameCount).map(asBuffer);
    frameAt += frameCount;
    at += HEADER_BYTES;
    let sizeBytes = envelopeBytes;
    for (const frame of own) sizeBytes += frame.length;
    receive(decode(bytes.subarray(at, at + envelopeBytes), own), sizeBytes);
    at += envelopeBytes;
  }
}

/** Bytes that {@link openBatch} will report for `encoded`. */
export function sizeOf({ envelope, frames }: Encoded): number {
  let sizeBytes = envelope.length;
  for (const frame of frames) sizeBytes += frame.length;
  return sizeBytes;
}
