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

/** How often something that may pass has to go wrong before the part is left out. */
const MOST_TRIES = 3;

/** Parts of objects that could not be merged. Compactions leave them out for a while, so that they hold up nothing but themselves. */
export class DamagedParts {
  readonly #clock: Clock;
  /** When each is to be tried again, monotonic. */
  readonly #parts = new Map<string, { readonly key: string; retryMs: number }>();
  /** How often in a row each could not be read, without being known as damaged. */
  readonly #tries = new Map<string, number>();

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

  /** Takes down that the part could not be read, which may pass; returns whether it has happened so often that it counts as damaged. */
  failed(part: PartName): boolean {
    const name = nameOf(part);
    const tries = (this.#tries.get(name) ?? 0) + 1;
    this.#tries.set(name, tries);
    return tries >= MOST_TRIES;
  }

  /** Returns whether it is news. */
  add(part: PartName): boolean {
    const name = nameOf(part);
    this.#tries.delete(name);
    const isNews = !this.#parts.has(name);
    this.#parts.set(name, { key: part.key, retryMs: this.#clock.monotonicMs() + RETRY_MS });
    return isNews;
  }

  /** Forgets what does not count any more: it was merged after all, or is gone. */
  keepOnly(days: readonly SurveyedDay[]): void {
    if (this.#parts.size + this.#tries.size === 0) return;
    const there = new Set<string>();
    for (const { tenant, day, live, levelZero } of days)
      for (const { key } of [...levelZero, ...live.accepted]) there.add(nameOf({ tenant, day, key }));
    for (const name of this.#parts.keys()) if (!there.has(name)) this.#parts.delete(name);
    for (const name of this.#tries.keys()) if (!there.has(name)) this.#tries.delete(name);
  }
}

const nameOf = ({ tenant, day, key }: PartName): string => `${day} ${key} ${tenant}`;
