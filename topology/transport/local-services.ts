import { Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { Timers } from '../../ops/base/world.ts';
import { type AnswerSink, Call, type Window } from './call.ts';
import type { Endpoint, Exchange, Line } from './exchange.ts';
import { frameBytes } from './frames.ts';
import type { Address, Handler, Message, RequestOptions } from './transport.ts';

/** What happens to a body between two actors of one thread. */
export type Carry = (body: unknown, transfer: boolean) => unknown;

/** A stream within a thread is pulled answer by answer. */
const LOCAL_WINDOW: Window = { messages: 1, bytes: Number.POSITIVE_INFINITY };

/** What this thread serves and subscribes to. Handlers and receivers run in a later microtask, never inside the sender's call: an actor may count on nothing
 *  else running between two of its own statements. */
export class LocalServices {
  readonly #carry: Carry;
  readonly #timers: Timers;
  readonly #log: Logger;
  readonly #endpoints = new Map<Address, LocalEndpoint>();
  readonly #receivers = new Map<string, Set<(message: Message) => void>>();
  readonly #later = new Later();

  constructor(carry: Carry, timers: Timers, log: Logger) {
    this.#carry = carry;
    this.#timers = timers;
    this.#log = log;
  }

  handler(address: Address): Handler | undefined {
    return this.#endpoints.get(address)?.handler;
  }

  get endpoints(): Iterable<LocalEndpoint> {
    return this.#endpoints.values();
  }

  get subjects(): Iterable<string> {
    return this.#receivers.keys();
  }

  serve(address: Address, handler: Handler): LocalEndpoint {
    if (!/^[^/]+\/(?!any$)[^/]+$/.test(address)) throw new Fault('internal', `${address} is not the address of one instance`);
    if (this.#endpoints.has(address)) throw new Fault('exists', `${address} is served already`);
    const endpoint = new LocalEndpoint(address, handler, { carry: this.#carry, timers: this.#timers, later: this.#later });
    this.#endpoints.set(address, endpoint);
    return endpoint;
  }

  isServed(endpoint: LocalEndpoint): boolean {
    return this.#endpoints.get(endpoint.address) === endpoint;
  }

  /** Returns whether it was still served. */
  unserve(endpoint: LocalEndpoint): boolean {
    return this.isServed(endpoint) && this.#endpoints.delete(endpoint.address);
  }

  /** Returns whether this is the first subscription to `subject`. */
  subscribe(subject: string, receive: (message: Message) => void): boolean {
    const receivers = this.#receivers.get(subject);
    if (receivers !== undefined) {
      receivers.add(receive);
      return false;
    }
    this.#receivers.set(subject, new Set([receive]));
    return true;
  }

  /** Returns whether this was the last subscription to `subject`. */
  unsubscribe(subject: string, receive: (message: Message) => void): boolean {
    const receivers = this.#receivers.get(subject);
    if (!receivers?.delete(receive) || receivers.size > 0) return false;
    return this.#receivers.delete(subject);
  }

  publish(subject: string, message: Message): void {
    for (const receive of this.#receivers.get(subject) ?? []) {
      const copy = { ...message, body: this.#carry(message.body, false) };
      this.#later.run(() => {
        if (!this.#receivers.get(subject)?.has(receive)) return;
        try {
          receive(copy);
        } catch (error) {
          this.#log.error('subscriber failed', { subject, error });
        }
      });
    }
  }

  close(): void {
    this.#endpoints.clear();
    this.#receivers.clear();
  }
}

interface ThreadParts {
  readonly carry: Carry;
  readonly timers: Timers;
  readonly later: Later;
}

/** An address served by this thread. */
export class LocalEndpoint implements Endpoint {
  readonly address: Address;
  readonly handler: Handler;
  readonly window = LOCAL_WINDOW;
  available = true;
  load = 0;
  readonly #thread: ThreadParts;

  constructor(address: Address, handler: Handler, thread: ThreadParts) {
    this.address = address;
    this.handler = handler;
    this.#thread = thread;
  }

  open(message: Message, options: RequestOptions, exchange: Exchange): Line {
    const { carry, timers, later } = this.#thread;
    const body = carry(message.body, options.transfer ?? false);
    const carried = body === message.body ? message : { ...message, body };
    const call = new Call(options.deadlineMs, LOCAL_WINDOW, new LocalSink(exchange, carry), timers);
    later.run(() => void call.answer(this.handler, carried));
    return call;
  }
}

class LocalSink implements AnswerSink {
  readonly #exchange: Exchange;
  readonly #carry: Carry;

  constructor(exchange: Exchange, carry: Carry) {
    this.#exchange = exchange;
    this.#carry = carry;
  }

  value(answer: unknown, transfer: boolean): void {
    this.#exchange.value(this.#carry(answer, transfer));
  }
  item(answer: unknown, transfer: boolean): number {
    const sizeBytes = frameBytes(answer);
    this.#exchange.item(this.#carry(answer, transfer), sizeBytes);
    return sizeBytes;
  }
  end(): void {
    this.#exchange.end();
  }
  fault(fault: Fault): void {
    this.#exchange.fault(fault);
  }
}

/** Runs actions in order in one microtask, which costs less than one each. They do not throw. */
class Later {
  #actions: (() => void)[] = [];

  run(action: () => void): void {
    if (this.#actions.push(action) === 1) void Promise.resolve().then(this.#drain);
  }

  readonly #drain = (): void => {
    const actions = this.#actions;
    this.#actions = [];
    for (const action of actions) action();
  };
}
