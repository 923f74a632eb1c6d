import type { MemoryBudget } from './memory-budget.ts';
import { hashSample, type SamplePlace, type Samples, SamplesBySeries } from './samples-by-series.ts';
import type { Steps } from './steps.ts';

/** Parts of the index, each of which grows alone: no value that is added waits for all of it to be written anew. A power of two. */
const PARTS = 256;
const FIRST_SLOTS = 16;

/** How often each value is among the samples of a pane of a series. Durations, sizes and codes repeat themselves: what is held is mostly far less than one number for
 *  each sample. */
export class ValueCounts {
  readonly #memory: MemoryBudget | undefined;
  readonly #values: SamplesBySeries;
  #parts: IndexPart[] = [];

  constructor(memory?: MemoryBudget) {
    this.#memory = memory;
    this.#values = new SamplesBySeries(memory);
  }

  /** One sample. Throws Fault limit_exceeded, or what the memory's pool does. */
  add(series: number, pane: number, value: number): void {
    const hash = hashSample(series, pane, value);
    const part = this.#partOf(hash);
    let slot = part.first(hash);
    for (let place = part.at(slot); place !== FREE; place = part.at(slot)) {
      if (this.#values.has(place, series, pane, value)) {
        this.#values.countOne(place);
        return;
      }
      slot = part.next(slot);
    }
    if (part.isFull) {
      part.grow(this.#values, this.#memory);
      slot = part.freeSlot(hash);
    }
    part.put(slot, this.#values.add(series, pane, value, 1));
  }

  #partOf(hash: number): IndexPart {
    const number = hash % PARTS;
    const known = this.#parts[number];
    if (known !== undefined) return known;
    const part = new IndexPart();
    this.#parts[number] = part;
    return part;
  }

  /** Hands the values of one series and how often each is there to `work`. Nothing is added after the first call. Throws Fault limit_exceeded. */
  of<T>(series: number, work: (values: Samples) => Steps<T>): Steps<T> {
    for (const part of this.#parts) this.#memory?.give(part?.bytes ?? 0);
    this.#parts = [];
    return this.#values.of(series, work);
  }
}

const FREE: SamplePlace = -1;

/** Open addressing, at most three quarters full. */
class IndexPart {
  #places = new Int32Array(FIRST_SLOTS).fill(FREE);
  #used = 0;
  #taken = 0;

  /** Of the budget. */
  get bytes(): number {
    return this.#taken;
  }
  get isFull(): boolean {
    return 4 * this.#used >= 3 * this.#places.length;
  }

  first(hash: number): number {
    return Math.floor(hash / PARTS) & (this.#places.length - 1);
  }
  next(slot: number): number {
    return (slot + 1) & (this.#places.length - 1);
  }
  at(slot: number): SamplePlace {
    return this.#places[slot];
  }
  freeSlot(hash: number): number {
    let slot = this.first(hash);
    while (this.#places[slot] !== FREE) slot = this.next(slot);
    return slot;
  }
  put(slot: number, place: SamplePlace): void {
    this.#places[slot] = place;
    this.#used++;
  }

  grow(values: SamplesBySeries, memory: MemoryBudget | undefined): void {
    const before = this.#places;
    const bytes = 2 * before.byteLength;
    memory?.take(bytes - this.#taken);
    this.#taken = bytes;
    this.#places = new Int32Array(2 * before.length).fill(FREE);
    for (const place of before) if (place !== FREE) this.#places[this.freeSlot(values.hash(place))] = place;
  }
}
