/** A run of rows of one stream with its time range, both ends included, ns since the epoch. Rows of one source never duplicate each other. */
export interface Unit {
  readonly source: number;
  readonly minNs: bigint;
  readonly maxNs: bigint;
}

/** The rule of counting: units that may hold the same entry, because they come from different sources and overlap in time, form a group that must be decoded
 *  and deduplicated; a unit alone in its group may be answered from its header. Groups come in order of their earliest time, units within one by source. */
export function groupOverlapping<U extends Unit>(units: readonly U[]): U[][] {
  const sorted = [...units].sort((a, b) => compare(a.minNs, b.minNs) || a.source - b.source);
  const parent = sorted.map((_, index) => index);
  const rootOf = (index: number): number => {
    let root = index;
    while (parent[root] !== root) root = parent[root];
    while (parent[index] !== root) [parent[index], index] = [root, parent[index]];
    return root;
  };
  let active: number[] = [];
  for (const [index, unit] of sorted.entries()) {
    active = active.filter((other) => sorted[other].maxNs >= unit.minNs);
    for (const other of active) if (sorted[other].source !== unit.source) parent[rootOf(other)] = rootOf(index);
    active.push(index);
  }
  const groups = new Map<number, U[]>();
  for (const [index, unit] of sorted.entries()) {
    const root = rootOf(index);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [unit]);
    else group.push(unit);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => a.source - b.source || compare(a.minNs, b.minNs)));
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
