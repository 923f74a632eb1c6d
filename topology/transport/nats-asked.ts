import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { ClusterSubjects } from '../nats/subjects.ts';
import type { Window } from './call.ts';
import type { Endpoint, Exchange, Line } from './exchange.ts';
import { ABORT, ACCEPT, type BulkParcel, CREDIT, END, FAULT, ITEM, PING, REQUEST, VALUE } from './nats-parcels.ts';
import { Lane, type Post, type Sending } from './nats-post.ts';
import type { Address, Message, RequestOptions } from './transport.ts';
import { encode, faultOf } from './wire.ts';

export const NATS_WINDOW: Window = { messages: 64, bytes: 8 * MiB };

/** How it is found out that a peer is gone, or that a message was lost: a broker tells nobody. */
export interface Vigilance {
  /** How often a peer is asked whether it still works on what it was asked. Who is answered earlier asks nothing. */
  readonly pingMs: number;
  /** A peer that answers so many pings in a row with nothing is gone. */
  readonly missed: number;
}

/** Ticks after which what has not been heard of is taken to be gone. They are counted, not timed: a process that stood still has not listened. */
export function silentTicks({ missed }: Vigilance): number {
  return missed + 1;
}

interface Request {
  readonly to: Address;
  readonly exchange: Exchange;
  sending: Sending | undefined;
  /** Who works on it, once that was heard. */
  peer: string | undefined;
  /** Since the last sign that somebody has it, or will. */
  ticks: number;
  items: number;
  /** Items that the peer said it had sent, when it answered last, and the time before. */
  sent: number;
  sentBefore: number;
  /** Of the stream. */
  readMessages: number;
  readBytes: number;
  /** The peer said once that it knows nothing of it; a second time, and its answer was lost. */
  isDoubtful: boolean;
  /** Nobody waits for it: to be told to the peer when that is known. */
  left: Fault | undefined;
}

interface AskedParts {
  readonly post: Post;
  readonly subjects: ClusterSubjects;
  readonly world: World;
  readonly vigilance: Vigilance;
  readonly connected: () => boolean;
  /** Something is under way. */
  readonly begun: () => void;
}

/** The requests of this peer that are under way. */
export class AskedRequests {
  readonly #parts: AskedParts;
  readonly #open = new Map<number, Request>();
  /** Of addresses to which something long is being sent. */
  readonly #lanes = new Map<Address, Lane>();
  /** Pings that a peer did not answer yet. */
  readonly #unanswered = new Map<string, number>();
  #lastId = 0;

  constructor(parts: AskedParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  endpoint(address: Address): Endpoint {
    return {
      address,
      available: true,
      window: NATS_WINDOW,
      load: 0,
      open: (message, options, exchange) => this.#ask(address, message, options, exchange),
    };
  }

  #ask(to: Address, { kind, tenant, trace, body }: Message, options: RequestOptions, exchange: Exchange): Line {
    const { post, subjects, world, connected, begun } = this.#parts;
    if (!connected()) throw new Fault('unavailable', `${to} cannot be asked while the connection to NATS is lost`, { retryAfterS: 1 });
    const id = ++this.#lastId;
    const nowMs = world.clock.monotonicMs();
    const encoded = encode([REQUEST, id, to, kind, tenant, trace, options.deadlineMs - nowMs], body);
    const request: Request = {
      to,
      exchange,
      sending: undefined,
      peer: undefined,
      ticks: 0,
      items: 0,
      sent: 0,
      sentBefore: 0,
      readMessages: 0,
      readBytes: 0,
      isDoubtful: false,
      left: undefined,
    };
    const destination = { subject: subjects.request(to, kind), peer: undefined, id, tellNobody: true };
    const lane = this.#laneTo(to, post.isLong(encoded));
    request.sending = post.send(encoded, options.transfer ?? false, destination, lane, () => {
      this.#fail(id, `a part of the question to ${to} was lost`);
    });
    this.#open.set(id, request);
    begun();
    return {
      abort: (reason) => this.#leave(id, reason),
      credit: (messages, bytes) => {
        request.readMessages += messages;
        request.readBytes += bytes;
        if (request.peer !== undefined) post.control(request.peer, [CREDIT, post.me, id, request.readMessages, request.readBytes]);
      },
    };
  }

  #laneTo(to: Address, isLong: boolean): Lane {
    const known = this.#lanes.get(to);
    if (known !== undefined && !known.isIdle) return known;
    const lane = new Lane();
    if (isLong && !to.endsWith('/any')) this.#lanes.set(to, lane);
    else this.#lanes.delete(to);
    return lane;
  }

  #leave(id: number, reason: Fault): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    request.sending?.drop();
    if (request.peer === undefined) request.left = reason;
    else {
      this.#open.delete(id);
      this.#tellLeft(request.peer, id, reason);
    }
  }

  #tellLeft(peer: string, id: number, { code, message }: Fault): void {
    const { post } = this.#parts;
    post.control(peer, [ABORT, post.me, id, code, message]);
  }

  /** What came for this peer's inbox. */
  take(parcel: BulkParcel, sizeBytes: number): void {
    switch (parcel[0]) {
      case ACCEPT:
        this.#accepted(parcel[1], parcel[2]);
        break;
      case VALUE:
        this.#last(parcel[1])?.exchange.value(parcel[2]);
        break;
      case ITEM: {
        const request = this.#open.get(parcel[1]);
        if (request === undefined) break;
        if (parcel[2] === ++request.items) request.exchange.item(parcel[3], sizeBytes);
        else this.#lost(parcel[1], request);
        break;
      }
      case END: {
        const request = this.#open.get(parcel[1]);
        if (request === undefined) break;
        if (parcel[2] === request.items) this.#last(parcel[1])?.exchange.end();
        else this.#lost(parcel[1], request);
        break;
      }
      case FAULT: {
        const [, id, code, message, retryAfterS] = parcel;
        this.#last(id)?.exchange.fault(faultOf(code, message, retryAfterS));
      }
    }
  }

  #accepted(id: number, peer: string): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    request.peer = peer;
    request.ticks = 0;
    if (request.left === undefined) return;
    this.#open.delete(id);
    this.#tellLeft(peer, id, request.left);
  }

  #last(id: number): Request | undefined {
    const request = this.#open.get(id);
    this.#open.delete(id);
    return request;
  }

  #lost(id: number, { peer, to }: Request): void {
    const reason = `a part of the answer of ${to} was lost`;
    this.#fail(id, reason);
    if (peer !== undefined) this.#tellLeft(peer, id, new Fault('unavailable', reason));
  }

  /** Nobody serves what was asked. */
  nobody(id: number): void {
    if (this.#open.get(id)?.peer !== undefined) return; // it was taken before a probe came
    const request = this.#last(id);
    request?.sending?.drop();
    request?.exchange.fault(new Fault('unavailable', `nothing serves ${request.to}`, { retryAfterS: 1 }));
  }

  #fail(id: number, why: string): void {
    this.#last(id)?.exchange.fault(new Fault('unavailable', why, { retryAfterS: 1 }));
  }

  /** The connection is lost, and with it what is under way. */
  failAll(why: string): void {
    for (const [id, { sending }] of this.#open) {
      sending?.drop();
      this.#fail(id, why);
    }
  }

  /** Asks those who have worked for a while on something whether they still do, and gives up what has not been heard of. */
  tick(): void {
    const { post, vigilance } = this.#parts;
    const pinged = new Map<string, number[]>();
    for (const [id, request] of this.#open) {
      if (request.sending?.isOver === false) continue; // a transfer looks after itself
      const { peer, to } = request;
      const isNew = request.ticks++ === 0;
      if (peer === undefined) {
        if (request.ticks > silentTicks(vigilance)) this.#fail(id, `${to} does not answer`);
        else post.probe(to, id); // it may have been sent to a process that was dying
      } else if (isNew) continue;
      else if ((this.#unanswered.get(peer) ?? 0) >= vigilance.missed)
        this.#fail(id, `the process that works for ${to} does not answer any more`);
      else pinged.set(peer, [...(pinged.get(peer) ?? []), id]);
    }
    for (const peer of this.#unanswered.keys()) if (!pinged.has(peer)) this.#unanswered.delete(peer);
    for (const [peer, ids] of pinged) {
      this.#unanswered.set(peer, (this.#unanswered.get(peer) ?? 0) + 1);
      const read = ids.flatMap((id) => {
        const { readMessages, readBytes } = this.#open.get(id)!;
        return [readMessages, readBytes];
      });
      post.control(peer, [PING, post.me, ids, read], true);
    }
  }

  /** The broker says that nobody hears what is sent to the peer: its process is gone, or has lost a connection, and may have lost what it would answer. */
  unheard(peer: string): void {
    for (const [id, request] of this.#open) {
      if (request.peer !== peer) continue;
      request.sending?.drop();
      this.#fail(id, `the process that works for ${request.to} is gone`);
    }
  }

  /** `sent`: an id, how many items of its stream are out, the next id … */
  answered(peer: string, unknown: readonly number[], sent: readonly number[]): void {
    this.#unanswered.delete(peer);
    for (const id of unknown) {
      const request = this.#open.get(id);
      if (request === undefined) continue;
      if (request.isDoubtful) this.#fail(id, `the answer of ${request.to} was lost`);
      request.isDoubtful = true;
    }
    for (let at = 0; at < sent.length; at += 2) {
      const request = this.#open.get(sent[at]);
      if (request === undefined) continue;
      // Pongs overtake items, which may wait behind others: what was out two answers ago must have come by now.
      if (request.items < request.sentBefore) this.#lost(sent[at], request);
      request.sentBefore = request.sent;
      request.sent = sent[at + 1];
    }
  }
}
