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

interface BadPart {
  readonly key: string;
  /** How often in a row it could not be read, without being known as damaged. */
  tries: number;
  /** When it is to be tried again, monotonic; undefined: it was not left out yet. */
  retryMs: number | undefined;
}

/** Parts of objects that could not be merged. Compactions leave them out for a while, so that they hold up nothing but themselves. */
export class DamagedParts {
  readonly #clock: Clock;
  readonly #parts = new Map<string, BadPart>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many objects have any that are, or were, left out. */
  get objects(): number {
    return new Set([...this.#parts.values()].flatMap(({ key, retryMs }) => (retryMs === undefined ? [] : [key]))).size;
  }

  /** Whether the part is to be left out for now. */
  has(part: PartName): boolean {
    const retryMs = this.#parts.get(nameOf(part))?.retryMs;
    return retryMs !== undefined && this.#clock.monotonicMs() < retryMs;
  }

  /** Takes down that the part could not be read, which may pass; returns whether it has happened so often that it counts as damaged. */
  failed(part: PartName): boolean {
    return ++this.#known(part).tries >= MOST_TRIES;
  }

  /** Returns whether it is news. */
  add(part: PartName): boolean {
    const known = this.#known(part);
    const isNews = known.retryMs === undefined;
    known.tries = 0;
    known.retryMs = this.#clock.monotonicMs() + RETRY_MS;
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

  #known(part: PartName): BadPart {
    const name = nameOf(part);
    let known = this.#parts.get(name);
    if (known === undefined) {
      known = { key: part.key, tries: 0, retryMs: undefined };
      this.#parts.set(name, known);
    }
    return known;
  }
}

const nameOf = ({ tenant, day, key }: PartName): string => `${day} ${key} ${tenant}`;
