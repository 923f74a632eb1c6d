import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';

export interface AskContext {
  /** To the query frontend several may stand here: see tenantsOf. */
  readonly tenant: string;
  /** World clock's monotonic milliseconds. */
  readonly deadlineMs: number;
  /** Aborted when the caller gave up, the deadline passed, or this incarnation ends. */
  readonly signal: AbortSignal;
  /** W3C traceparent, '' without. */
  readonly trace: string;
  /** Gives away the reply's Uint8Arrays that are whole ArrayBuffers: where that saves a copy they are moved. */
  transferReply(): void;
}

declare const item: unique symbol;

/** As the reply of a kind: not one reply but a stream of `T`. Never a value. */
export interface StreamOf<T> {
  readonly [item]: T;
}

/** One function per kind: leaving a kind out, or answering it with another kind's reply, does not compile. Handlers throw Faults for what the caller should
 *  know; what else they throw is a bug, is logged, and reaches the caller as `internal`. Neither restarts the actor: no message may bring it down.
 *  See {@link Incarnation.fail}. */
export type Handlers<A extends { kind: string }, R extends Record<A['kind'], unknown>> = {
  [K in A['kind']]: (
    ask: Extract<A, { kind: K }>,
    context: AskContext,
  ) => R[K] extends StreamOf<infer Item> ? AsyncIterable<Item> : Promise<R[K]>;
};

export interface MailboxPolicy {
  /** Most asks waiting or being handled. One that is answered with a stream is being handled until the stream's end. */
  readonly messages: number;
  /** Most bytes (of Uint8Arrays in them) waiting or being handled. An ask with more is `too_large`. */
  readonly bytes: number;
  /** Most asks being handled at once; the rest wait in order. */
  readonly concurrency: number;
  /** A full mailbox refuses at once with `mailbox_full` and a time to retry. */
  readonly whenFull: 'refuse';
  /** Kinds that are handled at once beside all others and are never refused: health, flush, cancel. */
  readonly control?: readonly string[];
  /** Kinds whose streams last for as long as they are read: a stop does not wait for their end. */
  readonly endless?: readonly string[];
}

export interface RestartPolicy {
  /** What a failure restarts: this actor, or with it all that were spawned after it in its system, since they build on it. */
  readonly strategy: 'one_for_one' | 'rest_for_one';
  /** More failures than this within `withinMs`: the supervisor gives up and escalates. */
  readonly max: number;
  readonly withinMs: number;
  /** The first restart waits about `min`, each further one within `withinMs` twice as long. */
  readonly backoffMs: { readonly min: number; readonly max: number };
}

/** One start of an actor. JavaScript cannot kill a running function, so what an old incarnation still tries to do must not count. It ends in two steps: `signal` is
 *  aborted, then `stop` runs and may still use fenced handles; once that has settled, or took too long, the incarnation is over. */
export interface Incarnation {
  /** Counts the starts of this actor in this process, from 1. */
  readonly epoch: number;
  /** Aborted, with a Fault as its reason, when the incarnation begins to end: loops and sleeps stop. */
  readonly signal: AbortSignal;
  /** Throws Fault stale_incarnation once the incarnation is over. */
  check(): void;
  /** `target` with its methods guarded: a call after the end throws stale_incarnation at once (async methods too), and the next incarnation starts only when
   *  the calls under way have settled. Async iterables that methods return are guarded too; other objects with effects of their own are to be fenced apart. */
  fence<T extends object>(target: T): T;
  /** Reports a failure outside any ask (a background loop died): the supervisor restarts the actor. Ignored once the incarnation is ending. */
  fail(error: unknown): void;
}

/** `restart`: another incarnation follows; close what is open, write nothing of doubtful state. `shutdown`: make durable what is not, keep what is one's own.
 *  `drained`: the actor leaves for good, nothing may be left behind; takes as long as it takes. */
export type StopReason = 'shutdown' | 'restart' | 'drained';

export interface Running<A extends { kind: string }, R extends Record<A['kind'], unknown>> {
  readonly handlers: Handlers<A, R>;
  /** What the console and tests see: plain data, cheap. */
  observe(): Record<string, unknown>;
  /** On shutdown and drain the asks being handled were given time to end before. */
  stop(reason: StopReason): Promise<void>;
}

export interface StartContext {
  readonly world: World;
  readonly instruments: Instruments;
  readonly incarnation: Incarnation;
  readonly instance: string;
  /** Whether asks to any instance of the component may come here once `start` has resolved. They may, until this says otherwise; asks to this instance come all the same. */
  readonly takesAny: (takes: boolean) => void;
}

export interface ActorDefinition<A extends { kind: string }, R extends Record<A['kind'], unknown>, D> {
  /** Component name, the first part of its address. */
  readonly name: string;
  readonly mailbox: MailboxPolicy;
  readonly restart: RestartPolicy;
  /** Runs again after a failure: state is recovered from what is durable, never inherited. Until it resolves all asks fail as `unavailable`: what takes long
   *  goes on in the background, its failure told by `incarnation.fail`. */
  start(deps: D, context: StartContext): Promise<Running<A, R>>;
}

export function defineActor<A extends { kind: string }, R extends Record<A['kind'], unknown>, D>(
  definition: ActorDefinition<A, R, D>,
): ActorDefinition<A, R, D> {
  return definition;
}

/** How actors ask each other; typed by the protocol of the asked component. `instance` may be `any`. */
export interface Asker {
  ask<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: { kind: K } & Extract<A, { kind: K }>,
    options: AskOptions,
  ): Promise<R[K]>;
}

/** The other ways to send. */
export interface Messenger extends Asker {
  /** For kinds whose reply is a StreamOf: sent when the iteration starts; leaving the loop ends the handler's. */
  stream<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: Extract<A, { kind: K }> & { kind: K },
    options: AskOptions,
  ): AsyncIterable<R[K] extends StreamOf<infer Item> ? Item : never>;
  /** An ask whose reply nobody waits for; a fault is only logged. */
  tell<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: Extract<A, { kind: K }> & { kind: K },
    options: AskOptions,
  ): void;
}

/** What an ask travels with. An AskContext is one: an actor that asks others in turn passes its own on. */
export interface AskOptions {
  readonly tenant: string;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly trace?: string;
  /** See RequestOptions.transfer. */
  readonly transfer?: boolean;
}

/** For an ask on behalf of the one being handled: its tenant, deadline, signal and trace go on. */
export function askOptions({ tenant, deadlineMs, signal, trace }: AskContext): AskOptions {
  return { tenant, deadlineMs, signal, trace };
}

/** Ties a component's name to its message types, so that an ask and its reply are checked. */
export interface Protocol<A extends { kind: string }, R extends Record<A['kind'], unknown>> {
  readonly component: string;
  /** Never set; carries the types. */
  readonly types?: { readonly ask: A; readonly reply: R };
}

export function protocol<A extends { kind: string }, R extends Record<A['kind'], unknown>>(component: string): Protocol<A, R> {
  return { component };
}
