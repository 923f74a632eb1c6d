/** Where a row's line starts in the column. */
export function lineStart(ends: Uint32Array, row: number): number {
  return row === 0 ? 0 : ends[row - 1];
}

/** Narrows rows[0, count) in place to those whose line contains `needle`; returns how many are left. `lines`: every line end to end;
 *  wants needle.length > 0. */
export function rowsContaining(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number, needle: Buffer): number {
  if (count === 0) return 0;
  const column = lines.subarray(0, ends[rows[count - 1]]);
  let kept = 0;
  let next = 0;
  let at = column.indexOf(needle, lineStart(ends, rows[0]));
  // One native search over the column instead of one for each line.
  while (at >= 0) {
    while (next < count && ends[rows[next]] <= at) next++;
    if (next === count) break;
    const row = rows[next];
    const start = lineStart(ends, row);
    if (start > at) {
      at = column.indexOf(needle, start); // the hit is in a row that was dropped before
      continue;
    }
    // Beyond the end, the needle straddles two lines, and no later hit can lie within this one.
    if (at + needle.length <= ends[row]) rows[kept++] = row;
    next++;
    at = column.indexOf(needle, ends[row]);
  }
  return kept;
}

/** Writes to `out`, which may be `all`, what of all[0, count) is not in without[0, withoutCount), a part of it; returns how many. */
export function rowsBut(all: Uint32Array, count: number, without: Uint32Array, withoutCount: number, out: Uint32Array): number {
  let left = 0;
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at < withoutCount && without[at] === all[index]) at++;
    else out[left++] = all[index];
  }
  return left;
}
