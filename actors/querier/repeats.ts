import type { LinelessBlock } from '../../logql/engine/extent.ts';
import type { BlockHeader } from '../../storage/chunk/block.ts';
import type { SourceUnit } from './sources.ts';

/** A block, and where it is from: rows of one source never repeat each other. */
export interface SourcedBlock {
  readonly source: number;
  readonly block: LinelessBlock;
}

/** Whether an entry may be in two of the blocks: rows of two sources agree in time and in the length of their lines. Lines are not read. */
export function mayRepeat(blocks: readonly SourcedBlock[]): boolean {
  for (let one = 0; one < blocks.length; one++) {
    for (let other = one + 1; other < blocks.length; other++) {
      if (blocks[one].source !== blocks[other].source && meet(blocks[one].block, blocks[other].block)) return true;
    }
  }
  return false;
}

/** Of pairs of blocks in storage, which never change, that no entry is in both: what was seen once need not be read again. Kept as long as their headers are. */
export class KnownApart {
  readonly #pairs = new WeakMap<BlockHeader, WeakSet<BlockHeader>>();

  /** Whether no entry is in two of the units, as far as is known. */
  has(units: readonly SourceUnit[]): boolean {
    return units.every((unit, index) =>
      units.slice(index + 1).every((other) => {
        if (unit.source === other.source || unit.maxNs < other.minNs || other.maxNs < unit.minNs) return true;
        return unit.kind === 'stored' && other.kind === 'stored' && this.#pairs.get(unit.block)?.has(other.block) === true;
      }),
    );
  }

  /** No entry is in two of them. */
  add(units: readonly SourceUnit[]): void {
    for (const [index, unit] of units.entries()) {
      for (const other of units.slice(index + 1)) {
        if (unit.kind !== 'stored' || other.kind !== 'stored' || unit.source === other.source) continue;
        if (unit.maxNs < other.minNs || other.maxNs < unit.minNs) continue;
        const pairs = this.#pairs.get(unit.block);
        if (pairs === undefined) this.#pairs.set(unit.block, new WeakSet([other.block]));
        else pairs.add(other.block);
      }
    }
  }
}

function meet(a: LinelessBlock, b: LinelessBlock): boolean {
  const shift = Number(b.baseNs - a.baseNs);
  if (a.maxOffset < b.minOffset + shift || b.maxOffset + shift < a.minOffset) return false;
  const timesA = a.times();
  const timesB = b.times();
  let rowA = 0;
  let rowB = 0;
  while (rowA < a.rows && rowB < b.rows) {
    const time = timesA[rowA];
    const distance = timesB[rowB] + shift - time;
    if (distance > 0) rowA++;
    else if (distance < 0) rowB++;
    else {
      const endA = runEnd(timesA, rowA);
      const endB = runEnd(timesB, rowB);
      const lengths = new Set(lengthsOf(a.ends(), rowA, endA));
      for (const length of lengthsOf(b.ends(), rowB, endB)) if (lengths.has(length)) return true;
      rowA = endA;
      rowB = endB;
    }
  }
  return false;
}

/** Behind the rows that are at the time of `row`. */
function runEnd(times: Float64Array, row: number): number {
  let end = row + 1;
  while (end < times.length && times[end] === times[row]) end++;
  return end;
}

function* lengthsOf(ends: Uint32Array, from: number, to: number): Generator<number> {
  for (let row = from; row < to; row++) yield ends[row] - (row === 0 ? 0 : ends[row - 1]);
}
