import type { World } from '../../ops/base/world.ts';

/** Work gives way to other messages of the thread after this long. */
const SLICE_MS = 5;
/** While somebody waits for an answer, the work rests this many times as long as it worked. */
const REST = 9;
/** A step that waited for storage looks like work: it is not rested for at any length. */
const MOST_REST_MS = 500;

/** The pace of work that nobody waits for: in slices, and a tenth of the time only while anybody waits for something else. */
export class IdlePace {
  readonly #world: World;
  readonly #signal: AbortSignal;
  readonly #busy: () => boolean;
  #startMs: number;

  constructor(world: World, signal: AbortSignal, busy: () => boolean) {
    this.#world = world;
    this.#signal = signal;
    this.#busy = busy;
    this.#startMs = world.clock.monotonicMs();
  }

  /** To be awaited between steps of a few milliseconds. Throws the signal's reason once it is aborted. */
  readonly giveWay = async (): Promise<void> => {
    const { clock, timers } = this.#world;
    const workedMs = clock.monotonicMs() - this.#startMs;
    if (workedMs >= SLICE_MS) {
      if (this.#busy()) await timers.sleep(Math.min(workedMs * REST, MOST_REST_MS), this.#signal);
      else await timers.yield();
      this.#startMs = clock.monotonicMs();
    }
    this.#signal.throwIfAborted();
  };
}
