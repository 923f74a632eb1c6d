import { align8, KiB, memoryOf } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { asBuffer } from './frames.ts';
import { decode, type Encoded } from './wire.ts';

/** A parcel is an encoded message as bytes: uint32 LE envelope length, uint32 LE frame count, for each frame uint32 LE its length or APART, the envelope, then those
 *  frames that do not travel apart, each at a multiple of 8, as is the parcel's end. */
const HEADER_BYTES = 8;
const FRAME_HEADER_BYTES = 4;
const APART = 0xffff_ffff;

/** Frames from here on have memory of their own where they arrive: to keep one keeps no others. */
export const OWN_MEMORY_FROM = 8 * KiB;

export type IsApart = (frame: Uint8Array) => boolean;
const nothingApart: IsApart = () => false;

export function parcelBytes({ envelope, frames }: Encoded, isApart = nothingApart): number {
  const within = frames.reduce((sum, frame) => (isApart(frame) ? sum : sum + align8(frame.length)), 0);
  return align8(HEADER_BYTES + FRAME_HEADER_BYTES * frames.length + envelope.length) + within;
}

/** Writes the parcel at `at`, a multiple of 8, where there is room for it. */
export function putParcel(target: Buffer, start: number, { envelope, frames }: Encoded, isApart = nothingApart): void {
  let at = target.writeUInt32LE(envelope.length, start);
  at = target.writeUInt32LE(frames.length, at);
  for (const frame of frames) at = target.writeUInt32LE(isApart(frame) ? APART : frame.length, at);
  at = align8(at + envelope.copy(target, at));
  for (const frame of frames) {
    if (isApart(frame)) continue;
    target.set(frame, at);
    at += align8(frame.length);
  }
}

export interface OpenedParcel {
  readonly fields: unknown[];
  /** As `sizeOf` the sender's. */
  readonly sizeBytes: number;
  /** Where it ends. */
  readonly end: number;
}

export interface FrameSource {
  /** Gives the frames that travelled apart, in order. */
  readonly apart?: () => Buffer;
  /** What becomes of a view into the parcel; stays as it is unless said otherwise. */
  readonly keep?: (view: Buffer) => Buffer;
}

export function openParcel(bytes: Buffer, start: number, { apart = noFrame, keep }: FrameSource): OpenedParcel {
  const envelopeBytes = bytes.readUInt32LE(start);
  const frameCount = bytes.readUInt32LE(start + 4);
  const lengthsAt = start + HEADER_BYTES;
  const envelopeAt = lengthsAt + FRAME_HEADER_BYTES * frameCount;
  let at = align8(envelopeAt + envelopeBytes);
  let sizeBytes = envelopeBytes;
  const frames: Buffer[] = [];
  for (let index = 0; index < frameCount; index++) {
    const length = bytes.readUInt32LE(lengthsAt + FRAME_HEADER_BYTES * index);
    if (length === APART) frames.push(apart());
    else {
      const view = bytes.subarray(at, at + length);
      frames.push(keep === undefined ? view : keep(view));
      at += align8(length);
    }
    sizeBytes += frames[index].length;
  }
  return { fields: decode(bytes.subarray(envelopeAt, envelopeAt + envelopeBytes), frames), sizeBytes, end: at };
}

function noFrame(): Buffer {
  throw new Fault('internal', 'a message lacks a frame that travelled apart');
}

/** Opens a parcel that came over a network: nothing of it is a view into `received`, which is a part of what a socket read. Throws a Fault if it is not whole. */
export function openReceived(received: Uint8Array): OpenedParcel {
  const bytes = asBuffer(received);
  try {
    const frames = bytes.readUInt32LE(4);
    let hasLong = false;
    for (let index = 0; index < frames; index++)
      hasLong ||= bytes.readUInt32LE(HEADER_BYTES + FRAME_HEADER_BYTES * index) >= OWN_MEMORY_FROM;
    return hasLong ? openParcel(bytes, 0, { keep: copyOf }) : openParcel(copyOf(bytes), 0, {});
  } catch (error) {
    throw error instanceof RangeError ? new Fault('internal', 'a message is cut short', { cause: error }) : error;
  }
}

function copyOf(bytes: Uint8Array): Buffer {
  const copy = memoryOf(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Bytes that the receiving side will report for `encoded`. */
export function sizeOf({ envelope, frames }: Encoded): number {
  let sizeBytes = envelope.length;
  for (const frame of frames) sizeBytes += frame.length;
  return sizeBytes;
}
