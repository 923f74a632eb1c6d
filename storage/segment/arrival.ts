/** When an object's entries came into storage: of what a segment was made from, the first. */
export interface Arrival {
  /** When the oldest of the level-0 objects was created, whole milliseconds by the store's clock. */
  readonly oldestMs: number;
  /** Its key; of several that were created at that time the first. */
  readonly first: string;
}

/** Puts objects in the order in which the entries of a stream in them arrived: compactions merge neighbours in this order. */
export function byArrival(a: Arrival, b: Arrival): number {
  return a.oldestMs - b.oldestMs || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
}
