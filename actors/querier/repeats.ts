import type { LinelessBlock } from '../../logql/engine/extent.ts';

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
