import type { MessagePort, Transferable } from 'node:worker_threads';
import { KiB, release } from '../../ops/base/bytes.ts';
import { asBuffer, detachFrame } from './frames.ts';
import { OWN_MEMORY_FROM, openParcel, parcelBytes, putParcel } from './parcel.ts';
import type { Encoded } from './wire.ts';

/** What goes over a port at once: parcels end to end, and in order those frames of them that travel apart. */
export type Batch = readonly [parcels: Uint8Array, apart: readonly Uint8Array[]];

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
  add(encoded: Encoded, transfer: boolean): void {
    const { frames } = encoded;
    this.#apart.push(...frames.filter(travelsApart).map((frame) => detachFrame(frame, transfer)));
    const size = parcelBytes(encoded, travelsApart);
    putParcel(this.#room(size), this.#length, encoded, travelsApart);
    if (transfer) for (const frame of frames) if (!travelsApart(frame)) release(frame);
    if (this.#length === 0) void Promise.resolve().then(this.flush);
    this.#length += size;
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

/** Shorter frames travel within the parcel unless their memory is shared: posting one apart costs more than copying it, and the cost of many grows with the square of
 *  their number. One that was moved away has no length any more, and is told of by detachFrame. */
function travelsApart({ length, buffer }: Uint8Array): boolean {
  return length >= OWN_MEMORY_FROM || buffer instanceof SharedArrayBuffer || buffer.detached;
}

/** Calls `receive` with each parcel and the bytes that it took, in the order they were added. */
export function openBatch([parcels, apart]: Batch, receive: (parcel: unknown[], sizeBytes: number) => void): void {
  const bytes = asBuffer(parcels);
  let next = 0;
  for (let at = 0; at < bytes.length; ) {
    const { fields, sizeBytes, end } = openParcel(bytes, at, { apart: () => asBuffer(apart[next++]) });
    at = end;
    receive(fields, sizeBytes);
  }
}
