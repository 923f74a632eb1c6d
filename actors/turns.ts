import type { World } from '../ops/base/world.ts';

/** Work gives way to others after this long. A push or a small query comes through the thread's event loop several times, and waits for a slice each time. */
export const SLICE_MS = 1;
/** Work that has taken less than this is light: it waits for no place. */
const LIGHT_MS = 40;

interface Waiting {
  readonly workedMs: number;
  readonly resume: () => void;
}

/** Who of an actor's long work goes on. In each turn of the event loop one piece does: the one that has worked least so far, so that what is soon done does not
 *  wait for what is not, and messages of the thread have their turn in between. Light work begins at once; what goes on for longer needs one of the places,
 *  and waits for it in the order of asking. */
export class Turns {
  readonly #world: World;
  #freePlaces: number;
  readonly #forPlace: (() => void)[] = [];
  readonly #forTurn: Waiting[] = [];
  #isScheduled = false;

  /** `places`: pieces of work that are not light at a time; any number unless said. */
  constructor(world: World, places = Number.POSITIVE_INFINITY) {
    this.#world = world;
    this.#freePlaces = places;
  }

  /** For one piece of work; nobody waits for it any more once `signal` is aborted. To be ended. */
  begin(signal: AbortSignal): Slices {
    return new Slices(this.#world, this, signal);
  }

  /** Resolves with what gives the place back; at once, with nothing to give, when the signal is aborted. */
  async place(signal: AbortSignal): Promise<() => void> {
    if (this.#freePlaces > 0) this.#freePlaces--;
    else if (!(await waitIn(this.#forPlace, (resume) => resume, signal))) return () => {};
    return () => {
      const next = this.#forPlace.shift(); // who is done gives the place on
      if (next === undefined) this.#freePlaces++;
      else next();
    };
  }

  /** Resolves when work that has taken so long has its turn, or the signal is aborted. */
  async turn(workedMs: number, signal: AbortSignal): Promise<void> {
    this.#schedule();
    await waitIn(this.#forTurn, (resume) => ({ workedMs, resume }), signal);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    void this.#world.timers.yield().then(() => {
      this.#isScheduled = false;
      const [first, ...others] = this.#forTurn;
      if (first === undefined) return;
      const next = others.reduce((least, one) => (one.workedMs < least.workedMs ? one : least), first);
      this.#forTurn.splice(this.#forTurn.indexOf(next), 1);
      if (this.#forTurn.length > 0) this.#schedule();
      next.resume();
    });
  }
}

/** Waits in the queue until resumed: true. False when the signal is aborted before. */
function waitIn<T>(queue: T[], entryOf: (resume: () => void) => T, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const entry = entryOf(() => {
      signal.removeEventListener('abort', leave);
      resolve(true);
    });
    const leave = (): void => {
      const at = queue.indexOf(entry);
      if (at >= 0) queue.splice(at, 1);
      resolve(false);
    };
    if (signal.aborted) {
      resolve(false);
      return;
    }
    signal.addEventListener('abort', leave, { once: true });
    queue.push(entry);
  });
}

/** Cuts one piece of long work into slices. */
export class Slices {
  readonly #world: World;
  readonly #turns: Turns;
  readonly #signal: AbortSignal;
  /** When the work went on. */
  #startMs: number;
  /** Worked since it gave way, before then. */
  #sliceMs = 0;
  #workedMs = 0;
  #leave: (() => void) | undefined;

  constructor(world: World, turns: Turns, signal: AbortSignal) {
    this.#world = world;
    this.#turns = turns;
    this.#signal = signal;
    this.#startMs = world.clock.monotonicMs();
  }

  /** To be awaited between parts of the work that take no longer than a slice. Throws the signal's reason once it is aborted. */
  async giveWay(): Promise<void> {
    const tookMs = this.#sliceMs + this.#world.clock.monotonicMs() - this.#startMs;
    if (tookMs > SLICE_MS) {
      this.#sliceMs = 0;
      this.#workedMs += tookMs;
      if (this.#workedMs > LIGHT_MS) this.#leave ??= await this.#turns.place(this.#signal);
      await this.#turns.turn(this.#workedMs, this.#signal);
      this.#startMs = this.#world.clock.monotonicMs();
    }
    this.#signal.throwIfAborted();
  }

  /** Awaits what others do: that is no work, and makes nobody's turn later. */
  async waiting<T>(what: Promise<T>): Promise<T> {
    const startMs = this.#world.clock.monotonicMs();
    this.#sliceMs += startMs - this.#startMs;
    this.#startMs = startMs;
    try {
      return await what;
    } finally {
      this.#startMs = this.#world.clock.monotonicMs();
    }
  }

  /** As `waiting`, for what others do who may need a place for it: its own is given on meanwhile, or each could wait for the other for ever. */
  leaving<T>(what: Promise<T>): Promise<T> {
    this.end();
    return this.waiting(what);
  }

  /** Gives the place back. */
  end(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}
