/** Names that are remembered from entry to entry. */
const MOST_NAMES = 4_096;

interface Slot {
  readonly name: string;
  value: string;
  /** The number of the entry for which it was set last. */
  entry: number;
  /** Where it stands in the order of that entry; -1 once it was deleted. */
  place: number;
}

/** Values by name, in the order in which they were set, of one entry after the other. Names recur, so that they keep their places: to go on to the next entry
 *  is to raise a number, where clearing a Map takes a new table each time. */
export class EntryLabels {
  /** How many names the entry was given, even if they were taken away again. */
  everSet = 0;
  readonly #slots = new Map<string, Slot>();
  readonly #order: Slot[] = [];
  /** How far the order goes for this entry. */
  #places = 0;
  #entry = 1;
  /** Found last: mostly what is asked for next. */
  #last: Slot | undefined;

  /** Goes on to the next entry, which has no names yet. */
  clear(): void {
    if (this.#places === 0) return;
    this.#places = 0;
    this.everSet = 0;
    this.#entry++;
    if (this.#slots.size <= MOST_NAMES) return;
    this.#slots.clear();
    this.#order.length = 0;
    this.#last = undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Whether the entry was given the name, even if it was taken away again. */
  wasSet(name: string): boolean {
    return this.#places > 0 && this.#find(name)?.entry === this.#entry;
  }

  get(name: string): string | undefined {
    if (this.#places === 0) return undefined;
    const slot = this.#find(name);
    return slot !== undefined && slot.entry === this.#entry && slot.place >= 0 ? slot.value : undefined;
  }

  set(name: string, value: string): void {
    let slot = this.#find(name);
    if (slot === undefined) {
      slot = { name, value, entry: 0, place: -1 };
      this.#slots.set(name, slot);
      this.#last = slot;
    }
    slot.value = value;
    if (slot.entry !== this.#entry) {
      slot.entry = this.#entry;
      this.everSet++;
    } else if (slot.place >= 0) return;
    slot.place = this.#places;
    this.#order[this.#places++] = slot;
  }

  delete(name: string): void {
    const slot = this.#find(name);
    if (slot !== undefined && slot.entry === this.#entry) slot.place = -1;
  }

  #find(name: string): Slot | undefined {
    if (this.#last?.name === name) return this.#last;
    const slot = this.#slots.get(name);
    if (slot !== undefined) this.#last = slot;
    return slot;
  }

  pairs(): [name: string, value: string][] {
    const pairs: [string, string][] = [];
    for (let place = 0; place < this.#places; place++) {
      const slot = this.#order[place];
      // One that was deleted, and perhaps set again behind, has left its place.
      if (slot.place === place) pairs.push([slot.name, slot.value]);
    }
    return pairs;
  }

  /** Differs for different pairs. */
  text(): string {
    let text = '';
    for (let place = 0; place < this.#places; place++) {
      const { name, value, place: own } = this.#order[place];
      if (own === place) text += `${name}\0${value.length}\0${value}`;
    }
    return text;
  }
}
