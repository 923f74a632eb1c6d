import type { Fault } from '../../ops/base/fault.ts';

/** Where an actor is asked: `<component>/<instance>`, as `ingester/0`, or `<component>/any` for whichever instance is free. */
export type Address = string;

/** One message. `body` is plain data (null, undefined, boolean, number, bigint, string, Uint8Array, arrays and objects of those): no class, Map, Date, function
 *  or other typed array, so that a thread or a network between two actors changes nothing. Uint8Arrays travel as raw frames and arrive as Buffers.
 *  Sender and receiver may hold the same objects: neither changes a body, or the bytes in it, once it was sent. */
export interface Message {
  readonly kind: string;
  readonly tenant: string;
  readonly body: unknown;
  /** W3C traceparent of the caller, '' without. */
  readonly trace: string;
}

export interface RequestOptions {
  /** World clock's monotonic milliseconds; a request past it is not started, and fails with `deadline`. One that is under way fails then too, and the other
   *  side's signal is aborted. Infinity for none. */
  readonly deadlineMs: number;
  /** Aborted: the request fails with `cancelled` at once and the other side's signal is aborted. */
  readonly signal?: AbortSignal;
  /** The Uint8Arrays in `body` that are whole ArrayBuffers are given away: where that saves a copy they are moved, and the sender's are then empty. */
  readonly transfer?: boolean;
}

/** What a server is given beside the message. */
export interface RequestContext {
  /** By the server's own clock. */
  readonly deadlineMs: number;
  /** Aborted, with a Fault as its reason, when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** The reason that `signal` is aborted with, or would be if anybody had asked for it: looking here costs nothing. */
  readonly over: Fault | undefined;
  /** Gives away the Uint8Arrays of the answers from here on, as `RequestOptions.transfer` does for a request. */
  transferReply(): void;
}

/** Answers once, or with a stream, or with a promise of a stream. Throws Faults; anything else becomes an `internal` one.
 *  A stream is always either read to its end or returned, even if nobody reads it. */
export type Handler = (message: Message, context: RequestContext) => Promise<unknown> | AsyncIterable<unknown>;

export interface Subscription {
  close(): void;
}

export interface Service extends Subscription {
  /** Whether `<component>/any` may choose this instance; true at first. Requests that name the instance arrive either way. */
  setAvailable(available: boolean): void;
}

/** Carries messages between actors. Makes: in process, worker thread (later NATS); one suite runs against all of them.
 *  Requests from one sender to one address start in the order they were sent. Faults arrive as the same typed Fault. A peer that is gone, or was never there,
 *  fails its requests with `unavailable`. */
export interface Transport {
  /** The one answer; a handler that answers with a stream fails it with `unsupported`. */
  request(to: Address, message: Message, options: RequestOptions): Promise<unknown>;
  /** The answers of a streaming handler in order (the only answer of another). Sent when the iteration starts; to be iterated once. Credit-based: a slow
   *  reader holds the sender back. Leaving the loop cancels the other side. */
  requestMany(to: Address, message: Message, options: RequestOptions): AsyncIterable<unknown>;
  /** To every subscriber of `subject` (an exact match), at most once, no answer. */
  publish(subject: string, message: Message): void;
  /** `receive` must not throw; what it throws is logged. */
  subscribe(subject: string, receive: (message: Message) => void): Subscription;
  /** Makes `handler` reachable under `address` from everywhere that this transport reaches. Throws Fault exists if it is served here already. */
  serve(address: Address, handler: Handler): Service;
  /** Ends services, subscriptions and requests (with `unavailable`); later requests fail with it too. */
  close(): Promise<void>;
}
