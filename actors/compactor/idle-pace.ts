import type { World } from '../../ops/base/world.ts';

/** Work gives way to other messages of the thread after this long. */
const SLICE_MS = 5;
/** Where CPU time is not known, a step that waited for storage looks like work: it is not rested for at any length. */
const MOST_REST_MS = 1_000;
/** Of the time, for work that is not late. */
const LEAST_SHARE = 1 / 15;
const HOUR_MS = 3_600_000;

/** What share of the time work may take while somebody waits for an answer, when some of it has been due for so long: as many fifteenths as it is hours, one at
 *  least. So work that a fifteenth is too little for gets what it needs, if need be all of the time, and never falls behind for ever. */
export function shareWhenLate(lateMs: number): number {
  return Math.min(1, LEAST_SHARE * Math.max(1, lateMs / HOUR_MS));
}

/** The pace of work that nobody waits for: in slices, and only a share of the time while anybody waits for something else. What counts as work is CPU time: a thread that
 *  others keep from running has its rest meanwhile. By the time that goes by, a thread that gets a tenth of a core would have a tenth of its share. */
export class IdlePace {
  /** See {@link shareWhenLate}. */
  share = LEAST_SHARE;
  readonly #world: World;
  readonly #signal: AbortSignal;
  readonly #busy: () => boolean;
  #startMs = 0;
  #startCpuMs = 0;

  constructor(world: World, signal: AbortSignal, busy: () => boolean) {
    this.#world = world;
    this.#signal = signal;
    this.#busy = busy;
    this.#begin();
  }

  /** To be awaited between steps of a few milliseconds. Throws the signal's reason once it is aborted. */
  readonly giveWay = async (): Promise<void> => {
    const { clock, timers } = this.#world;
    const tookMs = clock.monotonicMs() - this.#startMs;
    if (tookMs >= SLICE_MS) {
      const workedMs = clock.threadCpuMs === undefined ? tookMs : clock.threadCpuMs() - this.#startCpuMs;
      const restMs = this.#busy() ? Math.min(workedMs / this.share - tookMs, MOST_REST_MS) : 0;
      await (restMs > 0 ? timers.sleep(restMs, this.#signal) : timers.yield());
      this.#begin();
    }
    this.#signal.throwIfAborted();
  };

  #begin(): void {
    const { clock } = this.#world;
    this.#startMs = clock.monotonicMs();
    this.#startCpuMs = clock.threadCpuMs?.() ?? 0;
  }
}
