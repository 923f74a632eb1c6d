import type { Files, Random, Timers, World } from './world.ts';

/** A world that repeats itself: time stands still until the test moves it, and every random number follows from the seed. */
export interface FakeWorld extends World {
  /** Moves time on by `ms`, firing timers deadline by deadline; a timer armed by another one fires at its own deadline. Lets what they woke settle. */
  advance(ms: number): Promise<void>;
  /** Moves time on from deadline to deadline until `condition` holds. Throws once `withinMs` have gone by without it. */
  runUntil(condition: () => boolean, options: { withinMs: number }): Promise<void>;
  /** Runs what can run without time going on. */
  settle(): Promise<void>;
}

/** Wall clock of a fake world at its start: 2025-01-01T00:00:00Z. */
export const FAKE_START_MS = 1_735_689_600_000;

/** Without `files` every use of the file system fails. `startMs`: what the wall clock shows at first. */
export function fakeWorld(seed: number, files: Files = noFiles, startMs = FAKE_START_MS): FakeWorld {
  const time = new FakeTime();
  return {
    clock: { nowMs: () => startMs + time.elapsedMs, monotonicMs: () => time.elapsedMs },
    timers: time,
    random: seededRandom(seed),
    files,
    advance: (ms) => time.advance(ms),
    runUntil: (condition, { withinMs }) => time.runUntil(condition, withinMs),
    settle: () => time.settle(),
  };
}

/** Random numbers that follow from `seed` (sfc32). */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const u32 = (): number => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) u32();
  const word = (): string => u32().toString(16).padStart(8, '0');
  return { next: () => u32() / 2 ** 32, id: () => word() + word() + word() + word() };
}

interface Timer {
  readonly atMs: number;
  readonly action: () => void;
}

/** Turns of the event loop after which `settle` gives up on code that yields for ever. */
const MOST_TURNS = 1_000;

class FakeTime implements Timers {
  elapsedMs = 0;
  /** By deadline, then in the order they were armed. */
  readonly #timers: Timer[] = [];
  #yielding = 0;

  after(delayMs: number, action: () => void): () => void {
    const timer: Timer = { atMs: this.elapsedMs + Math.max(0, delayMs), action };
    const later = this.#timers.findIndex((other) => other.atMs > timer.atMs);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.after(delayMs, () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  async yield(): Promise<void> {
    this.#yielding++;
    await nextTurn();
    this.#yielding--;
  }

  async settle(): Promise<void> {
    let turns = 0;
    do await nextTurn();
    while (this.#yielding > 0 && ++turns < MOST_TURNS);
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    await this.settle();
    while (this.#timers.length > 0 && this.#timers[0].atMs <= untilMs) await this.#fireNext();
    this.elapsedMs = untilMs;
  }

  async runUntil(condition: () => boolean, withinMs: number): Promise<void> {
    const untilMs = this.elapsedMs + withinMs;
    await this.settle();
    while (!condition()) {
      if (this.#timers.length === 0) throw new Error(`nothing left to happen, ${this.elapsedMs} ms after the start`);
      if (this.#timers[0].atMs > untilMs) throw new Error(`did not happen within ${withinMs} ms`);
      await this.#fireNext();
    }
  }

  async #fireNext(): Promise<void> {
    const timer = this.#timers.shift()!;
    this.elapsedMs = timer.atMs;
    timer.action();
    await this.settle();
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const refuse = (): never => {
  throw new Error('this world has no files');
};

const noFiles: Files = {
  makeDirectory: refuse,
  list: refuse,
  stat: refuse,
  create: refuse,
  write: refuse,
  read: refuse,
  open: refuse,
  rename: refuse,
  link: refuse,
  unlink: refuse,
  removeDirectory: refuse,
  syncFile: refuse,
  syncDirectory: refuse,
};
