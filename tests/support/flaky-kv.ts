import { Fault } from '../../ops/base/fault.ts';
import type { Clock, Timers } from '../../ops/base/world.ts';
import type { Kv, KvEntry, KvWatch } from '../../topology/ring/kv.ts';

/** How late a client hears of changes. */
export interface Lateness {
  readonly timers: Timers;
  /** Asked for each time that there is news. */
  readonly ms: () => number;
}

/** One client's way to a store, which a test can cut. */
export class FlakyKv implements Kv {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #late: Lateness | undefined;
  readonly #held: (() => void)[] = [];
  #isAway = false;
  #awaySinceMs = 0;
  /** The next changes are made, but nobody hears of it. */
  doubtful = 0;

  constructor(kv: Kv, clock: Clock, late?: Lateness) {
    this.#kv = kv;
    this.#clock = clock;
    this.#late = late;
  }

  set away(away: boolean) {
    if (away && !this.#isAway) this.#awaySinceMs = this.#clock.monotonicMs();
    this.#isAway = away;
    if (!away) for (const tell of this.#held.splice(0)) tell();
  }

  async get(key: string): Promise<KvEntry | undefined> {
    this.#check();
    return this.#kv.get(key);
  }

  put(key: string, value: string, expected: number): Promise<number | undefined> {
    return this.#change(() => this.#kv.put(key, value, expected));
  }

  delete(key: string, expected: number): Promise<boolean> {
    return this.#change(() => this.#kv.delete(key, expected));
  }

  async watch(changed: (entry: KvEntry) => void): Promise<KvWatch> {
    this.#check();
    const queue: { readonly entry: KvEntry; readonly sinceMs: number }[] = [];
    let isOpen = false;
    const later = (entry: KvEntry): void => {
      if (this.#late === undefined || !isOpen) {
        changed(entry);
        return;
      }
      queue.push({ entry, sinceMs: this.#clock.monotonicMs() });
      if (queue.length > 1) return;
      this.#late.timers.after(this.#late.ms(), () => {
        for (const one of queue.splice(0)) changed(one.entry);
      });
    };
    const watch = await this.#kv.watch((entry) => {
      if (this.#isAway) this.#held.push(() => later(entry));
      else later(entry);
    });
    isOpen = true;
    const provenMs = (): number => (this.#isAway ? this.#awaySinceMs : watch.provenMs());
    return { provenMs: () => Math.min(provenMs(), queue[0]?.sinceMs ?? Number.POSITIVE_INFINITY), close: () => watch.close() };
  }

  async #change<T>(change: () => Promise<T>): Promise<T> {
    this.#check();
    const result = await change();
    if (this.doubtful === 0) return result;
    this.doubtful--;
    throw new Fault('in_doubt', 'nobody heard whether the change was made');
  }

  #check(): void {
    if (this.#isAway) throw new Fault('unavailable', 'the store is away');
  }
}
