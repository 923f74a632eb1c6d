import { asFault, type Fault } from '../../ops/base/fault.ts';
import type { Timers } from '../../ops/base/world.ts';
import type { Handler, Message, RequestContext } from './transport.ts';

/** How much of a stream may be on its way to a reader that has not read it. At least one answer may, whatever its size. */
export interface Window {
  readonly messages: number;
  readonly bytes: number;
}

/** Where a call's answers go. `value`, `end` and `fault` are the last; a sink whose caller has left ignores them all.
 *  `transfer`: the answer's frames are given away. */
export interface AnswerSink {
  value(answer: unknown, transfer: boolean): void;
  /** Returns the bytes that the answer takes of the window; the caller's side counts the same. */
  item(answer: unknown, transfer: boolean): number;
  end(): void;
  fault(fault: Fault): void;
}

/** Answers of a stream after which everything else gets its turn: a stream that never waits for I/O would otherwise hold up timers, deadlines and sockets. */
const ANSWERS_PER_TURN = 16;

/** The serving side of one request: runs the handler, keeps a stream within its window, and carries the caller's leaving to the handler. */
export class Call implements RequestContext {
  readonly deadlineMs: number;
  readonly #sink: AnswerSink;
  readonly #window: Window;
  readonly #timers: Timers;
  #controller: AbortController | undefined;
  #over: Fault | undefined;
  #transfer = false;
  #unreadMessages = 0;
  #unreadBytes = 0;
  #resume: (() => void) | undefined;

  constructor(deadlineMs: number, window: Window, sink: AnswerSink, timers: Timers) {
    this.deadlineMs = deadlineMs;
    this.#window = window;
    this.#sink = sink;
    this.#timers = timers;
  }

  /** Made when first asked for: most handlers never look. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over !== undefined) this.#controller.abort(this.#over);
    }
    return this.#controller.signal;
  }

  get over(): Fault | undefined {
    return this.#over;
  }

  transferReply(): void {
    this.#transfer = true;
  }

  /** Never rejects: what the handler throws goes to the sink. */
  async answer(handler: Handler, message: Message): Promise<void> {
    try {
      const answer = await handler(message, this);
      if (isStream(answer)) await this.#pump(answer);
      else this.#sink.value(answer, this.#transfer);
    } catch (error) {
      this.#sink.fault(asFault(error));
    }
  }

  /** The caller left, for `reason`. */
  abort(reason: Fault): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#controller?.abort(reason);
    this.#resume?.();
  }

  /** The caller has read so much more of the stream. */
  credit(messages: number, bytes: number): void {
    this.#unreadMessages -= messages;
    this.#unreadBytes -= bytes;
    if (this.#hasRoom()) this.#resume?.();
  }

  async #pump(stream: AsyncIterable<unknown>): Promise<void> {
    if (this.#over !== undefined) {
      await stream[Symbol.asyncIterator]().return?.();
      return;
    }
    let answers = 0;
    for await (const answer of stream) {
      if (this.#over !== undefined) return;
      this.#unreadMessages++;
      this.#unreadBytes += this.#sink.item(answer, this.#transfer);
      while (!this.#hasRoom() && this.#over === undefined) {
        await new Promise<void>((resolve) => {
          this.#resume = resolve;
        });
      }
      if (++answers % ANSWERS_PER_TURN === 0) await this.#timers.yield();
      if (this.#over !== undefined) return;
    }
    this.#sink.end();
  }

  #hasRoom(): boolean {
    return this.#unreadMessages < this.#window.messages && this.#unreadBytes < this.#window.bytes;
  }
}

/** Plain data is never iterable this way, so an answer and a stream of answers cannot be confused. */
export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
}
