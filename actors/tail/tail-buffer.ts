import { Heap } from '../../logql/engine/heap.ts';
import type { TailEntry } from '../../logql/engine/render-tail.ts';

interface Waiting {
  readonly entry: TailEntry;
  /** Order of arrival. */
  readonly sequence: number;
  readonly sizeBytes: number;
}

/** Memory of an entry beside its line and labels, about. */
const ENTRY_BYTES = 256;

/** Entries of one tail until they are old enough to be sent and the client takes them: bounded, and given out in the order of their times. */
export class TailBuffer {
  readonly #mostBytes: number;
  /** From before the tail, oldest first; beside the bound, since the query's limit bounds them. */
  #history: readonly TailEntry[] = [];
  #historyAt = 0;
  /** The earliest entry on top. */
  readonly #waiting = new Heap(before);
  #bytes = 0;
  #sequence = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get full(): boolean {
    return this.#bytes >= this.#mostBytes;
  }

  /** Entries from before the tail, oldest first. */
  begin(history: readonly TailEntry[]): void {
    this.#history = history;
    this.#historyAt = 0;
  }

  /** Takes `entry` in unless the buffer is full; `entry.value` is kept, so it should own its memory. */
  add(entry: TailEntry): boolean {
    if (this.full) return false;
    const sizeBytes = ENTRY_BYTES + entry.value.length + 2 * entry.text.length;
    this.#bytes += sizeBytes;
    this.#waiting.push({ entry, sequence: this.#sequence++, sizeBytes });
    return true;
  }

  /** Of the earliest entry. */
  nextNs(): bigint | undefined {
    const old = this.#history[this.#historyAt]?.timeNs;
    const live = this.#waiting.top?.entry.timeNs;
    return old === undefined || (live !== undefined && live < old) ? live : old;
  }

  /** Entries up to the time `toNs`, included, in order; no more than `most`, and about `bytes` of lines. */
  take(toNs: bigint, most: number, bytes: number): TailEntry[] {
    const taken: TailEntry[] = [];
    let size = 0;
    for (let next = this.nextNs(); next !== undefined && next <= toNs && taken.length < most && size < bytes; next = this.nextNs()) {
      const entry = this.#history[this.#historyAt]?.timeNs === next ? this.#nextOfHistory() : this.#nextWaiting();
      taken.push(entry);
      size += entry.value.length;
    }
    return taken;
  }

  #nextOfHistory(): TailEntry {
    const entry = this.#history[this.#historyAt++];
    if (this.#historyAt === this.#history.length) this.begin([]); // its memory is free
    return entry;
  }

  #nextWaiting(): TailEntry {
    const { entry, sizeBytes } = this.#waiting.pop()!;
    this.#bytes -= sizeBytes;
    return entry;
  }
}

function before(a: Waiting, b: Waiting): boolean {
  return a.entry.timeNs === b.entry.timeNs ? a.sequence < b.sequence : a.entry.timeNs < b.entry.timeNs;
}
