import type { World } from '../ops/base/world.ts';

/** Work gives way to other messages of the thread after this long. */
const SLICE_MS = 8;

/** Cuts long work into slices: other messages of the thread have their turn between them, and work that nobody waits for any more ends. */
export class Slices {
  readonly #world: World;
  readonly #signal: AbortSignal;
  #startMs: number;

  constructor(world: World, signal: AbortSignal) {
    this.#world = world;
    this.#signal = signal;
    this.#startMs = world.clock.monotonicMs();
  }

  /** To be awaited between parts of the work that take no longer than a slice. Throws the signal's reason once it is aborted. */
  async giveWay(): Promise<void> {
    if (this.#world.clock.monotonicMs() - this.#startMs > SLICE_MS) {
      await this.#world.timers.yield();
      this.#startMs = this.#world.clock.monotonicMs();
    }
    this.#signal.throwIfAborted();
  }
}
