import type { IncomingMessage } from 'node:http';
import { KiB, MiB, release } from '../base/bytes.ts';
import { Fault } from '../base/fault.ts';

/** Bytes of request bodies that are in memory, in all requests together. */
export class BodyBudget {
  readonly capacityBytes: number;
  #usedBytes = 0;
  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }
  get usedBytes(): number {
    return this.#usedBytes;
  }
  /** Throws Fault rate_limited when `bytes` more do not fit. */
  take(bytes: number): void {
    if (this.#usedBytes + bytes > this.capacityBytes) {
      throw new Fault('rate_limited', `too many request bodies in memory, limit: ${this.capacityBytes} bytes`, { retryAfterS: 1 });
    }
    this.#usedBytes += bytes;
  }
  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** A body and its share of the budget. */
export interface HeldBody {
  /** The whole of its own ArrayBuffer, so it can be transferred to another thread. */
  readonly bytes: Buffer;
  /** Gives the share back and frees the bytes; to be called once, when nobody needs them any more. */
  release(): void;
}

/** Room is made in steps, so that a header announcing 100 MB costs nothing until bytes follow. Only what came is charged to the budget:
 *  untouched memory is not resident, and clients that announce much and send little would otherwise lock out the others. */
const FIRST_STEP = 1 * MiB;
const FIRST_STEP_OF_UNKNOWN = 64 * KiB;

/** Reads the body of `message`. Throws Fault too_large, rate_limited (over budget; both leave the rest unread) and cancelled (the client is gone). */
export function readBody(message: IncomingMessage, limitBytes: number, budget: BodyBudget): Promise<HeldBody> {
  const declared = message.headers['content-length'];
  const lengthBytes = declared === undefined ? undefined : Number(declared);
  return new Promise((resolve, reject) => {
    let buffer: Buffer<ArrayBuffer> = Buffer.alloc(0);
    let filled = 0;

    const settle = (): void => {
      message.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    };
    const refuse = (fault: unknown): void => {
      settle();
      message.pause();
      budget.give(filled);
      release(buffer);
      reject(fault);
    };
    const makeRoom = (wanted: number): void => {
      const first = lengthBytes === undefined ? FIRST_STEP_OF_UNKNOWN : FIRST_STEP;
      const most = lengthBytes ?? limitBytes;
      const capacity = Math.max(wanted, Math.min(most, Math.max(first, 2 * buffer.length)));
      const grown = Buffer.allocUnsafeSlow(capacity);
      buffer.copy(grown, 0, 0, filled);
      release(buffer);
      buffer = grown;
    };
    const onData = (chunk: Buffer): void => {
      const end = filled + chunk.length;
      try {
        if (end > limitBytes) throw tooLarge(limitBytes);
        budget.take(chunk.length);
      } catch (fault) {
        refuse(fault);
        return;
      }
      if (end > buffer.length) makeRoom(end);
      chunk.copy(buffer, filled);
      filled = end;
    };
    const onEnd = (): void => {
      settle();
      const bytes = filled === buffer.length ? buffer : Buffer.from(buffer.buffer.transfer(filled));
      const giveBack = (): void => {
        budget.give(filled);
        release(bytes);
      };
      resolve({ bytes, release: giveBack });
    };
    const onClose = (): void => refuse(new Fault('cancelled', 'the client is gone'));

    if (lengthBytes !== undefined && lengthBytes > limitBytes) {
      reject(tooLarge(limitBytes, lengthBytes));
      return;
    }
    message.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

function tooLarge(limitBytes: number, sizeBytes?: number): Fault {
  const size = sizeBytes === undefined ? 'more' : `${sizeBytes} bytes`;
  return new Fault('too_large', `request body too large, limit: ${limitBytes} bytes, got: ${size}`);
}

/** Most bytes thrown away to keep a connection whose request was refused. */
const DISCARD_LIMIT = 16 * MiB;

/** Reads on and forgets what is left of a body nobody wants: a client that is still sending when it is answered and cut off sees a broken connection,
 *  not the answer. Resolves with true once the body has ended, with false when too much of it follows or the client is gone. */
export async function discardBody(message: IncomingMessage): Promise<boolean> {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers;
  const hasBody = encoding !== undefined || Number(length ?? 0) > 0;
  if (!hasBody || message.complete) return true;
  if (message.destroyed || Number(length ?? 0) > DISCARD_LIMIT) return false;
  return new Promise((resolve) => {
    let discarded = 0;
    const done = (): void => {
      message.off('data', onData).off('end', done).off('close', done).off('error', done);
      resolve(message.complete);
    };
    const onData = (chunk: Buffer): void => {
      discarded += chunk.length;
      if (discarded > DISCARD_LIMIT) done();
    };
    message.on('data', onData).on('end', done).on('close', done).on('error', done);
    message.resume();
  });
}
