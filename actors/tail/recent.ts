/** As many are remembered at least. */
export const REMEMBERED = 65_536;
const LEAST_SLOTS = 64;
/** Marks a free slot; an identity that is 0 counts as 1. */
const FREE = 0n;

/** Tells 64-bit identities that come again from new ones, among the latest: memory grows to 4 MiB and no further. */
export class Recent {
  #current = new Table();
  #previous = new Table();
  #count = 0;

  /** New ones so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether it is new; it is not the next time. `identity`: hashed, as the table takes its low bits. */
  isNew(identity: bigint): boolean {
    const key = identity === FREE ? 1n : identity;
    if (this.#previous.has(key) || !this.#current.add(key)) return false;
    this.#count++;
    if (this.#current.size >= REMEMBERED) {
      this.#previous = this.#current;
      this.#current = new Table();
    }
    return true;
  }
}

/** A set in one piece of memory: open addressing, at most half full. */
class Table {
  size = 0;
  #slots = new BigUint64Array(LEAST_SLOTS);

  has(key: bigint): boolean {
    return this.#slots[this.#slotOf(key)] === key;
  }

  /** False if it is there. */
  add(key: bigint): boolean {
    const slot = this.#slotOf(key);
    if (this.#slots[slot] === key) return false;
    this.#slots[slot] = key;
    if (++this.size * 2 > this.#slots.length) this.#grow();
    return true;
  }

  /** Where the key is, or would be. */
  #slotOf(key: bigint): number {
    const mask = this.#slots.length - 1;
    let slot = Number(BigInt.asUintN(32, key)) & mask;
    while (this.#slots[slot] !== FREE && this.#slots[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new BigUint64Array(before.length * 2);
    for (const key of before) if (key !== FREE) this.#slots[this.#slotOf(key)] = key;
  }
}
