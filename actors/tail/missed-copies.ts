import type { MissedEntries } from '../protocol/ingest.ts';

/** Entries that were missed by too few to be told. */
const MOST_WAITING = 20_000;

/** Of what ingesters had no room for, tells what is missed indeed: an entry that more groups missed than may be away, once. */
export class MissedCopies {
  readonly #tolerated: number;
  /** Who missed it, by time and labels. */
  readonly #groups = new Map<string, Set<string>>();

  constructor(tolerated: number) {
    this.#tolerated = tolerated;
  }

  /** What is missed now that `group` missed these. */
  told(group: string, missed: readonly MissedEntries[]): readonly MissedEntries[] {
    if (this.#tolerated === 0) return missed;
    return missed.flatMap(({ labels, timesNs }) => {
      const lost = timesNs.filter((timeNs) => this.#isLost(`${timeNs} ${labels}`, group));
      return lost.length === 0 ? [] : { labels, timesNs: lost };
    });
  }

  #isLost(entry: string, group: string): boolean {
    const groups = this.#groups.get(entry) ?? new Set();
    if (groups.has(group)) return false;
    groups.add(group);
    if (this.#groups.size >= MOST_WAITING) this.#groups.clear();
    this.#groups.set(entry, groups);
    return groups.size === this.#tolerated + 1;
  }
}
