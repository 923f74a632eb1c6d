import { outlineOf, type ScanGroup } from './scan-group.ts';

/** The groups of a scan that are still to come. Another querier may take over a share of them. */
export class GroupQueue {
  #groups: readonly ScanGroup[];
  #next = 0;
  /** The one taken last. */
  #taken: ScanGroup | undefined;

  constructor(groups: readonly ScanGroup[]) {
    this.#groups = groups;
  }

  take(): ScanGroup | undefined {
    const group = this.#groups[this.#next];
    if (group === undefined) return undefined;
    this.#next++;
    this.#taken = group;
    return group;
  }

  /** Takes about half of what is left out of it, from the end. Heads stay, and blocks of a stream that meet in one time stay together: which of their rows comes
   *  first is told by the order in which they are scanned. */
  split(): ScanGroup[] {
    const left = this.#groups.slice(this.#next);
    let bytes = left.reduce((sum, group) => sum + movableBytes(group), 0) / 2;
    let from = left.length;
    while (from > 0 && bytes > 0) bytes -= movableBytes(left[--from]);
    while (from < left.length && meet(from === 0 ? this.#taken : left[from - 1], left[from])) from++;
    const end = left.splice(from);
    this.#groups = [...left, ...end.filter((group) => !isStored(group))];
    this.#next = 0;
    return end.filter(isStored);
  }
}

function isStored({ units }: ScanGroup): boolean {
  return units.every(({ kind }) => kind === 'stored');
}

function movableBytes(group: ScanGroup): number {
  if (!isStored(group)) return 0;
  let bytes = 0;
  for (const { lineBytes, metadataBytes } of group.units.map(outlineOf)) bytes += lineBytes + metadataBytes;
  return bytes;
}

function meet(before: ScanGroup | undefined, group: ScanGroup): boolean {
  return before !== undefined && before.stream === group.stream && before.maxNs >= group.minNs;
}
