import type { Clock } from '../../ops/base/world.ts';
import type { SurveyedDay } from './survey.ts';

/** What could not be merged is tried again after this time: storage may have been repaired. */
const RETRY_MS = 3_600_000;

/** What an object holds of one tenant and day. */
export interface PartName {
  readonly tenant: string;
  /** UTC days since the epoch. */
  readonly day: number;
  readonly key: string;
}

/** Parts of objects that could not be merged because they are damaged. Compactions leave them out for a while, so that they hold up nothing but themselves. */
export class DamagedParts {
  readonly #clock: Clock;
  /** When each is to be tried again, monotonic. */
  readonly #parts = new Map<string, { readonly key: string; retryMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many objects have any. */
  get objects(): number {
    return new Set([...this.#parts.values()].map(({ key }) => key)).size;
  }

  /** Whether the part is to be left out for now. */
  has(part: PartName): boolean {
    const known = this.#parts.get(nameOf(part));
    return known !== undefined && this.#clock.monotonicMs() < known.retryMs;
  }

  /** Returns whether it is news. */
  add(part: PartName): boolean {
    const name = nameOf(part);
    const isNews = !this.#parts.has(name);
    this.#parts.set(name, { key: part.key, retryMs: this.#clock.monotonicMs() + RETRY_MS });
    return isNews;
  }

  /** Forgets what does not count any more: it was merged after all, or is gone. */
  keepOnly(days: readonly SurveyedDay[]): void {
    if (this.#parts.size === 0) return;
    const there = new Set<string>();
    for (const { tenant, day, live, levelZero } of days)
      for (const { key } of [...levelZero, ...live.accepted]) there.add(nameOf({ tenant, day, key }));
    for (const name of this.#parts.keys()) if (!there.has(name)) this.#parts.delete(name);
  }
}

const nameOf = ({ tenant, day, key }: PartName): string => `${day} ${key} ${tenant}`;
