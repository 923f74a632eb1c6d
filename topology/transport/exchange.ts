import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { Window } from './call.ts';
import type { Address, Message, RequestOptions } from './transport.ts';

/** A way to the serving side of one request. */
export interface Line {
  /** Nobody waits for the answer any more. */
  abort(reason: Fault): void;
  /** So much more of the stream was read. */
  credit(messages: number, bytes: number): void;
}

/** Where requests to one address go. */
export interface Endpoint {
  readonly address: Address;
  /** Whether `any` may choose it. */
  readonly available: boolean;
  readonly window: Window;
  /** Requests that were sent from here and are not settled. */
  load: number;
  /** Sends a request whose answers go to `exchange`. Throws a Fault if the message cannot be sent. */
  open(message: Message, options: RequestOptions, exchange: Exchange): Line;
}

/** setTimeout fires at once for anything longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The caller's side of one request: gives up at the deadline or when the caller's signal is aborted, and tells the serving side. */
export abstract class Exchange {
  readonly #open: Set<Exchange>;
  #endpoint: Endpoint | undefined;
  #line: Line | undefined;
  #signal: AbortSignal | undefined;
  #stopTimer: (() => void) | undefined;
  #settled = false;

  /** `open`: the exchanges that are not settled; this one is in it between `begin` and its end. */
  constructor(open: Set<Exchange>) {
    this.#open = open;
  }

  /** Throws a Fault if there is nothing to wait for. */
  begin(world: World, endpoint: Endpoint, message: Message, options: RequestOptions): void {
    const leftMs = options.deadlineMs - world.clock.monotonicMs();
    if (leftMs <= 0) throw new Fault('deadline', `deadline passed before ${endpoint.address} was asked`);
    if (options.signal?.aborted) throw new Fault('cancelled', `request to ${endpoint.address} was cancelled`);
    this.#line = endpoint.open(message, options, this);
    this.#endpoint = endpoint;
    endpoint.load++;
    this.#open.add(this);
    if (leftMs <= LONGEST_TIMER_MS) this.#stopTimer = world.timers.after(leftMs, this.#onDeadline);
    if (options.signal !== undefined) {
      this.#signal = options.signal;
      options.signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** The only answer. */
  abstract value(answer: unknown): void;
  /** One answer of a stream. */
  abstract item(answer: unknown, sizeBytes: number): void;
  /** The end of a stream. */
  abstract end(): void;
  /** The serving side's fault, or that of the way there: the last that is heard of it. */
  abstract fault(fault: Fault): void;

  /** Ends the exchange from this side. */
  giveUp(reason: Fault): void {
    this.fault(reason);
    this.#line?.abort(reason);
  }

  /** Whether this was the end; false if it ended before. */
  protected settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#stopTimer?.();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    if (this.#endpoint !== undefined) this.#endpoint.load--;
    this.#open.delete(this);
    return true;
  }

  protected get settled(): boolean {
    return this.#settled;
  }

  protected credit(messages: number, bytes: number): void {
    this.#line?.credit(messages, bytes);
  }

  protected get window(): Window {
    return this.#endpoint?.window ?? { messages: 1, bytes: 1 };
  }

  readonly #onDeadline = (): void => {
    this.giveUp(new Fault('deadline', `${this.#endpoint?.address} did not answer before the deadline`));
  };

  readonly #onAbort = (): void => {
    this.giveUp(new Fault('cancelled', `request to ${this.#endpoint?.address} was cancelled`));
  };
}

/** Settles a promise. */
export class SingleExchange extends Exchange {
  readonly #resolve: (answer: unknown) => void;
  readonly #reject: (fault: Fault) => void;

  constructor(open: Set<Exchange>, resolve: (answer: unknown) => void, reject: (fault: Fault) => void) {
    super(open);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  value(answer: unknown): void {
    if (this.settle()) this.#resolve(answer);
  }
  item(): void {
    this.giveUp(new Fault('unsupported', 'the answer is a stream, one answer was asked for'));
  }
  end(): void {
    this.fault(new Fault('unsupported', 'the answer is an empty stream, one answer was asked for'));
  }
  fault(fault: Fault): void {
    if (this.settle()) this.#reject(fault);
  }
}

interface Reader {
  resolve(step: IteratorResult<unknown, undefined>): void;
  reject(fault: Fault): void;
}

/** Queues the answers for a reader, and asks for more as it reads. */
export class StreamExchange extends Exchange implements AsyncIterator<unknown, undefined> {
  readonly #unread: { answer: unknown; sizeBytes: number }[] = [];
  readonly #readers: Reader[] = [];
  #fault: Fault | undefined;
  #readMessages = 0;
  #readBytes = 0;

  value(answer: unknown): void {
    this.item(answer, 0);
    this.end();
  }

  item(answer: unknown, sizeBytes: number): void {
    if (this.settled) return;
    this.#unread.push({ answer, sizeBytes });
    this.#serveReaders();
  }

  end(): void {
    if (this.settle()) this.#serveReaders();
  }

  fault(fault: Fault): void {
    if (!this.settle()) return;
    this.#fault = fault;
    this.#serveReaders();
  }

  /** What was received goes too: a reader that gives up wants the fault at once. */
  override giveUp(reason: Fault): void {
    if (!this.settled) this.#unread.length = 0;
    super.giveUp(reason);
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#serveReaders();
    });
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.settled) this.giveUp(new Fault('cancelled', 'the reader left the stream'));
    this.#unread.length = 0;
    this.#fault = undefined;
    return { done: true, value: undefined };
  }

  #serveReaders(): void {
    while (this.#readers.length > 0) {
      const next = this.#unread.shift();
      if (next !== undefined) {
        this.#readers.shift()!.resolve({ done: false, value: next.answer });
        this.#countRead(next.sizeBytes);
      } else if (this.settled) {
        const reader = this.#readers.shift()!;
        if (this.#fault === undefined) reader.resolve({ done: true, value: undefined });
        else reader.reject(this.#fault);
        this.#fault = undefined; // thrown once, the iteration is over
      } else return;
    }
  }

  /** Credit goes back in halves of the window: few messages, and the sender never waits for a reader that has read all. */
  #countRead(sizeBytes: number): void {
    this.#readMessages++;
    this.#readBytes += sizeBytes;
    const { messages, bytes } = this.window;
    if (this.settled || (this.#readMessages * 2 < messages && this.#readBytes * 2 < bytes)) return;
    this.credit(this.#readMessages, this.#readBytes);
    this.#readMessages = 0;
    this.#readBytes = 0;
  }
}
