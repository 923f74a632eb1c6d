import { Fault } from '../../ops/base/fault.ts';
import type { Incarnation } from './define.ts';

/** One start of an actor, from the kernel's side: told to end, over, drained. */
export class ActiveIncarnation implements Incarnation {
  readonly epoch: number;
  readonly #actor: string;
  readonly #report: (error: unknown) => void;
  readonly #ending = new AbortController();
  #over = false;
  #underWay = 0;
  #drained: (() => void)[] = [];

  constructor(actor: string, epoch: number, report: (error: unknown) => void) {
    this.#actor = actor;
    this.epoch = epoch;
    this.#report = report;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  check(): void {
    if (this.#over) throw this.#stale();
  }

  fail(error: unknown): void {
    if (!this.#ending.signal.aborted) this.#report(error);
  }

  fence<T extends object>(target: T): T {
    const guarded = new Map<unknown, unknown>();
    // Over a stand-in: a proxy must not answer for a frozen object's own methods with others.
    return new Proxy(Object.create(target), {
      get: (_, key) => {
        const member = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        let guard = guarded.get(member);
        if (guard === undefined) {
          guard = (...args: unknown[]) => this.#call(() => Reflect.apply(member, target, args));
          guarded.set(member, guard);
        }
        return guard;
      },
      set: (_, key, value) => Reflect.set(target, key, value, target),
    });
  }

  /** First step of the end. */
  beginEnd(): void {
    this.#ending.abort(this.#stale());
  }

  /** Second step: fenced calls are refused from here on. */
  end(): void {
    this.beginEnd();
    this.#over = true;
  }

  /** Resolves once no fenced call is under way. */
  whenDrained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#underWay === 0) resolve();
      else this.#drained.push(resolve);
    });
  }

  #call(call: () => unknown): unknown {
    this.check();
    const answer = call();
    if (isThenable(answer)) return this.#count(answer);
    if (isAsyncIterable(answer)) return this.#guardIteration(answer);
    return answer;
  }

  async #count<T>(call: PromiseLike<T>): Promise<T> {
    this.#underWay++;
    try {
      return await call;
    } finally {
      if (--this.#underWay === 0) {
        for (const drained of this.#drained) drained();
        this.#drained = [];
      }
    }
  }

  #guardIteration(source: AsyncIterable<unknown>): AsyncIterable<unknown> {
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = source[Symbol.asyncIterator]();
        return {
          next: async () => {
            this.check();
            return this.#count(iterator.next());
          },
          return: () => this.#count(iterator.return?.() ?? Promise.resolve({ done: true as const, value: undefined })),
        };
      },
    };
  }

  #stale(): Fault {
    return new Fault('stale_incarnation', `incarnation ${this.epoch} of ${this.#actor} is over`);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
