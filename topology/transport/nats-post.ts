import { KiB, release } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Broker } from '../nats/broker.ts';
import type { ClusterSubjects } from '../nats/subjects.ts';
import { type ControlParcel, DROPPED } from './nats-parcels.ts';
import { type Outgoing, OutgoingTransfers } from './nats-transfers.ts';
import { parcelBytes, putParcel } from './parcel.ts';
import type { Address } from './transport.ts';
import { type Encoded, encode } from './wire.ts';

/** Longer parcels are cut: they wait for who receives them, and others pass between their pieces. */
const MOST_AT_ONCE = 256 * KiB;
/** A broker that takes less takes nothing: pieces always make some way. */
const LEAST_AT_ONCE = KiB;
/** Of a payload that is left free. */
const RESERVED_BYTES = KiB;

const NOTHING = new Uint8Array(0);

/** Where a parcel goes. */
export interface Destination {
  readonly subject: string;
  /** The peer behind `subject`; undefined where the broker chooses one. */
  readonly peer: string | undefined;
  /** Of the request that it is or answers. */
  readonly id: number;
  /** Whether the broker is to say so if nobody gets it. */
  readonly tellNobody: boolean;
}

/** A parcel that was handed over. */
export interface Sending {
  /** Whether nothing is to be done for it any more: it was short, has come, or was given up. */
  readonly isOver: boolean;
  /** Nobody waits for it any more: what of it is not sent yet is not sent at all. */
  drop(): void;
}

interface Waiting {
  readonly bytes: Buffer;
  readonly destination: Destination;
  readonly onGone: () => void;
  outgoing: Outgoing | undefined;
  isOver: boolean;
}

/** Parcels that arrive in the order in which they were sent, however long each is. */
export class Lane {
  /** The long one that is being sent. */
  current: Waiting | undefined;
  readonly waiting: Waiting[] = [];

  get isIdle(): boolean {
    return this.current === undefined && this.waiting.length === 0;
  }
}

const OVER: Sending = { isOver: true, drop: () => {} };

export interface PostParts {
  /** Name of this peer. */
  readonly me: string;
  readonly subjects: ClusterSubjects;
  readonly control: Broker;
  readonly bulk: Broker;
}

/** How parcels leave this peer. */
export class Post {
  readonly me: string;
  readonly transfers: OutgoingTransfers;
  readonly #parts: PostParts;
  readonly #inbox: string;

  constructor(parts: PostParts) {
    this.me = parts.me;
    this.#parts = parts;
    this.#inbox = parts.subjects.inbox(parts.me);
    this.transfers = new OutgoingTransfers(() => this.#mostBytes);
  }

  get #mostBytes(): number {
    return Math.max(LEAST_AT_ONCE, Math.min(MOST_AT_ONCE, this.#parts.bulk.maxPayload - RESERVED_BYTES));
  }

  /** Whether it takes more than one message. */
  isLong(encoded: Encoded): boolean {
    return parcelBytes(encoded) > this.#mostBytes;
  }

  /** Throws Fault too_large if it takes more than one message. */
  publish(subject: string, encoded: Encoded): void {
    if (this.isLong(encoded))
      throw new Fault('too_large', `a published message takes ${parcelBytes(encoded)} bytes, limit: ${this.#mostBytes}`);
    this.#parts.bulk.publish(subject, packed(encoded, false));
  }

  /** Beside all else, to a peer that is known to be there. `tellUnheard`: the broker is to say so if it is there no more. */
  control(peer: string, parcel: ControlParcel, tellUnheard = false): void {
    const { control, subjects } = this.#parts;
    const head = parcel.slice(0, -1) as (string | number)[];
    control.publish(
      subjects.control(peer),
      packed(encode(head, parcel.at(-1)), false),
      tellUnheard ? subjects.unheard(this.me, peer) : undefined,
    );
  }

  /** Behind what was sent before: the broker is to say, as an answer to request `id`, if nobody is there who could be asked. */
  probe(to: Address, id: number): void {
    this.#parts.bulk.publish(this.#parts.subjects.probe(to), NOTHING, `${this.#inbox}.${id}`);
  }

  /** Frames are copied before this returns; with `transfer` the sender's are empty then. `onGone`: a part of a long one was lost, or is not wanted. Throws Fault internal
   *  if a frame was moved away before. */
  send(encoded: Encoded, transfer: boolean, destination: Destination, lane: Lane, onGone: () => void): Sending {
    const waiting: Waiting = { bytes: packed(encoded, transfer), destination, onGone, outgoing: undefined, isOver: false };
    if (lane.current === undefined) return this.#begin(waiting, lane);
    lane.waiting.push(waiting);
    return this.#sending(waiting, lane);
  }

  #begin(waiting: Waiting, lane: Lane): Sending {
    const { bytes, destination } = waiting;
    if (bytes.length <= this.#mostBytes) {
      waiting.isOver = true;
      this.#parts.bulk.publish(destination.subject, bytes, destination.tellNobody ? `${this.#inbox}.${destination.id}` : undefined);
      return OVER;
    }
    lane.current = waiting;
    const next = (): void => {
      if (lane.current === waiting) this.#goOn(lane);
    };
    const { subjects, bulk } = this.#parts;
    waiting.outgoing = this.transfers.start({
      bytes,
      peer: destination.peer,
      publish: ({ id, sent, peer = '' }, piece) => {
        if (sent === 0) bulk.publish(destination.subject, piece, `${this.#inbox}.${destination.id}.${id}.${bytes.length}`);
        else bulk.publish(`${subjects.inbox(peer)}.piece.${id}.${sent}`, piece, `${this.#inbox}.0`);
      },
      onSent: next,
      onReceived: () => {
        waiting.isOver = true;
      },
      onGone: () => {
        waiting.isOver = true;
        waiting.onGone();
        next();
      },
    });
    return this.#sending(waiting, lane);
  }

  #goOn(lane: Lane): void {
    lane.current = undefined;
    while (lane.current === undefined) {
      const next = lane.waiting.shift();
      if (next === undefined) return;
      this.#begin(next, lane);
    }
  }

  #sending(waiting: Waiting, lane: Lane): Sending {
    return {
      get isOver() {
        return waiting.isOver;
      },
      drop: () => {
        waiting.isOver = true;
        const at = lane.waiting.indexOf(waiting);
        if (at >= 0) lane.waiting.splice(at, 1);
        if (waiting.outgoing !== undefined) {
          const peer = this.transfers.drop(waiting.outgoing);
          if (peer !== undefined) this.control(peer, [DROPPED, this.me, waiting.outgoing.id]);
        }
        if (lane.current === waiting) this.#goOn(lane);
      },
    };
  }
}

function packed(encoded: Encoded, transfer: boolean): Buffer {
  for (const { buffer } of encoded.frames) {
    if (buffer instanceof ArrayBuffer && buffer.detached) throw new Fault('internal', 'frame was moved away by an earlier message');
  }
  const bytes = Buffer.allocUnsafeSlow(parcelBytes(encoded));
  putParcel(bytes, 0, encoded);
  if (transfer) for (const frame of encoded.frames) release(frame);
  return bytes;
}
