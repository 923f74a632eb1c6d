import type { Position } from '../../storage/log/ingest-log.ts';

/** Ends that are remembered until they are reached. */
const MOST_ENDS = 120;

/** Up to when what a log took in is in the heads: everything before that moment is, whatever came later. Milliseconds since the epoch. */
export class Watermark {
  #ms: number;
  /** Where the log ended at times at which more was in it than had been read; ascending. */
  #ends: { readonly atMs: number; readonly end: Position }[] = [];

  /** `ms`: when the log took in the last record that is known here. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  get ms(): number {
    return this.#ms;
  }

  /** The log ended at `end` some time after `atMs`, and records below `appliedTo` are here. */
  sawEnd(atMs: number, end: Position, appliedTo: Position): void {
    if (end <= appliedTo) this.#raise(atMs);
    else if (this.#ends.length < MOST_ENDS) this.#ends.push({ atMs, end });
  }

  /** Records below `appliedTo` are here; the log took in the last of them at `lastMs`. */
  applied(appliedTo: Position, lastMs: number): void {
    this.#raise(lastMs);
    let reached = 0;
    while (reached < this.#ends.length && this.#ends[reached].end <= appliedTo) this.#raise(this.#ends[reached++].atMs);
    if (reached > 0) this.#ends = this.#ends.slice(reached);
  }

  #raise(ms: number): void {
    this.#ms = Math.max(this.#ms, ms);
  }
}
