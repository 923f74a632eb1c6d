import { Fault } from '../../ops/base/fault.ts';
import type { IngesterProcess } from '../protocol/ingest.ts';

/** Whether a shard takes pushes. It is closed when its process leaves for good, and never opened again. */
export class Seal {
  #successors: readonly IngesterProcess[] | undefined;
  #hasLeft = false;
  #underWay = 0;
  readonly #idle: (() => void)[] = [];

  get isClosed(): boolean {
    return this.#successors !== undefined;
  }

  /** The process is in no ring any more: what it had is with others. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  leave(): void {
    this.#successors ??= [];
    this.#hasLeft = true;
  }

  /** From now on pushes are the successors'; without any they are refused. Resolves once those that were begun before are done. */
  async close(successors: readonly IngesterProcess[]): Promise<void> {
    this.#successors = successors;
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** What is pushed goes to `take`, or else to `sendOn`. Throws Fault unavailable where there is nobody to send it on to. */
  async pushed<T>(take: () => Promise<T>, sendOn: (to: readonly IngesterProcess[]) => Promise<T>): Promise<T> {
    const successors = this.#successors;
    if (successors?.length === 0) throw new Fault('unavailable', 'this instance leaves the ring', { retryAfterS: 1 });
    if (successors !== undefined) return sendOn(successors);
    this.#underWay++;
    try {
      return await take();
    } finally {
      if (--this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}
