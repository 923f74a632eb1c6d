import { createHash } from 'node:crypto';
import type { FrameEntry } from '../../logql/engine/log-frame.ts';
import { Recent } from './recent.ts';

/** Streams whose hashes are remembered. */
const MOST_STREAMS = 10_000;
/** Odd, so that no two times come to the same: 2^64 over the golden ratio. */
const SPREAD = 0x9e3779b97f4a7c15n;

type Known = Pick<FrameEntry, 'timeNs' | 'origin' | 'mark'>;

/** Tells which entries a tail has had: all of those from before it began, and the latest of those since. They come again when a client sends a push again, when
 *  history and live entries overlap, and when a tail goes on after a failure; copies that ingesters have of one push are dropped before: see IngesterFeeds. */
export class Seen {
  #history: ReadonlySet<bigint> = new Set();
  readonly #live = new Recent();
  readonly #streams = new Map<string, bigint>();

  /** Entries from before. */
  keep(entries: readonly Known[]): void {
    this.#history = new Set(entries.map((entry) => this.#identity(entry)));
  }

  /** Whether the entry is new; it is not the next time. */
  isNew(entry: Known): boolean {
    const identity = this.#identity(entry);
    return !this.#history.has(identity) && this.#live.isNew(identity);
  }

  /** 64 bits over stream, time, line and metadata. */
  #identity({ timeNs, origin, mark }: Known): bigint {
    return BigInt.asUintN(64, timeNs * SPREAD) ^ this.#stream(origin) ^ mark;
  }

  #stream(origin: string): bigint {
    let hash = this.#streams.get(origin);
    if (hash === undefined) {
      hash = createHash('sha1').update(origin).digest().readBigUInt64LE();
      if (this.#streams.size >= MOST_STREAMS) this.#streams.clear();
      this.#streams.set(origin, hash);
    }
    return hash;
  }
}
