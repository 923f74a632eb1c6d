import type { Fault } from '../../ops/base/fault.ts';

/** A handler's stream that holds its place in the mailbox until it was read to its end, left, or failed.
 *  `release` is called once then, with what the handler threw. */
export class HeldStream implements AsyncIterable<unknown>, AsyncIterator<unknown, undefined> {
  readonly #source: AsyncIterator<unknown>;
  readonly #release: (error?: unknown) => void;
  #held = true;
  #fault: Fault | undefined;
  /** Fails the step that the reader waits for. */
  #fail: ((fault: Fault) => void) | undefined;

  constructor(stream: AsyncIterable<unknown>, release: (error?: unknown) => void) {
    this.#source = stream[Symbol.asyncIterator]();
    this.#release = release;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    try {
      const step = await this.#step();
      if (step.done) this.#end();
      return step;
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    try {
      await this.#source.return?.();
    } finally {
      this.#end();
    }
    return { done: true, value: undefined };
  }

  /** The reader's next step throws `fault`, even while the handler is silent. */
  fail(fault: Fault): void {
    this.#fault = fault;
    this.#fail?.(fault);
  }

  /** Not Promise.race: the promise of a failure would keep every step of a long stream. */
  #step(): Promise<IteratorResult<unknown, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) return reject(this.#fault);
      this.#fail = reject;
      this.#source.next().then(resolve, reject);
    });
  }

  #end(error?: unknown): void {
    if (!this.#held) return;
    this.#held = false;
    this.#release(error);
  }
}
