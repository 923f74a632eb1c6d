/** Rows as columns, in the order in which they came. */
export interface UnorderedRows {
  readonly times: Float64Array;
  readonly ends: Uint32Array;
  readonly lines: Buffer;
  /** Per metadata key the number of each row's value: equal numbers, equal values. */
  readonly indexes: readonly Uint32Array[];
}

/** Rows [from, to) by time, equal times in their present order; undefined if that is how they stand. */
export function rowsByTime(times: Float64Array, from: number, to: number): Uint32Array | undefined {
  const starts = ascendingRuns(times, from, to);
  if (starts.length < 3) return undefined;
  let rows = new Uint32Array(to - from);
  for (let index = 0; index < rows.length; index++) rows[index] = from + index;
  let merged = new Uint32Array(rows.length);
  // What arrives is a few sorted runs far more often than chaos, so: a merge sort over the runs that are there.
  let borders = starts.map((start) => start - from);
  while (borders.length > 2) {
    const next: number[] = [0];
    let run = 0;
    for (; run + 2 < borders.length; run += 2) {
      mergeRuns(times, rows, borders[run], borders[run + 1], borders[run + 2], merged);
      next.push(borders[run + 2]);
    }
    if (run + 1 < borders.length) {
      merged.set(rows.subarray(borders[run], borders[run + 1]), borders[run]);
      next.push(borders[run + 1]);
    }
    [rows, merged] = [merged, rows];
    borders = next;
  }
  return rows;
}

/** Where each run of times that do not descend starts, and `to`. */
function ascendingRuns(times: Float64Array, from: number, to: number): number[] {
  const starts = [from];
  for (let row = from + 1; row < to; row++) if (times[row] < times[row - 1]) starts.push(row);
  if (from < to) starts.push(to);
  return starts;
}

function mergeRuns(times: Float64Array, rows: Uint32Array, from: number, middle: number, to: number, out: Uint32Array): void {
  let left = from;
  let right = middle;
  for (let at = from; at < to; at++) {
    if (right === to || (left < middle && times[rows[left]] <= times[rows[right]])) out[at] = rows[left++];
    else out[at] = rows[right++];
  }
}

/** Above this many rows at one time, duplicates are looked up rather than compared pair by pair. */
const PAIRWISE = 8;

/** Positions in the order `rows` (undefined: rows [from, to) as they stand) of entries that equal an earlier one; ascending. */
export function duplicatesIn(columns: UnorderedRows, rows: Uint32Array | undefined, from: number, to: number): number[] {
  const { times } = columns;
  const count = to - from;
  const duplicates: number[] = [];
  for (let start = 0; start < count; ) {
    const time = times[rows === undefined ? from + start : rows[start]];
    let end = start + 1;
    while (end < count && times[rows === undefined ? from + end : rows[end]] === time) end++;
    if (end - start > PAIRWISE) lookUp(columns, rows, from, start, end, duplicates);
    else if (end - start > 1) comparePairs(columns, rows, from, start, end, duplicates);
    start = end;
  }
  return duplicates;
}

function comparePairs(
  columns: UnorderedRows,
  rows: Uint32Array | undefined,
  from: number,
  start: number,
  end: number,
  duplicates: number[],
): void {
  for (let later = start + 1; later < end; later++) {
    const row = rows === undefined ? from + later : rows[later];
    for (let earlier = start; earlier < later; earlier++) {
      if (!sameEntry(columns, rows === undefined ? from + earlier : rows[earlier], row)) continue;
      duplicates.push(later);
      break;
    }
  }
}

function lookUp(
  columns: UnorderedRows,
  rows: Uint32Array | undefined,
  from: number,
  start: number,
  end: number,
  duplicates: number[],
): void {
  const { ends, lines, indexes } = columns;
  const seen = new Set<string>();
  for (let position = start; position < end; position++) {
    const row = rows === undefined ? from + position : rows[position];
    let key = lines.toString('latin1', row === 0 ? 0 : ends[row - 1], ends[row]);
    // No latin1 text contains U+0100, so line and numbers cannot be taken for each other.
    for (const index of indexes) key += `\u0100${index[row]}`;
    if (seen.has(key)) duplicates.push(position);
    else seen.add(key);
  }
}

/** Whether two rows at the same time have equal lines and metadata. */
function sameEntry({ ends, lines, indexes }: UnorderedRows, a: number, b: number): boolean {
  const startA = a === 0 ? 0 : ends[a - 1];
  const startB = b === 0 ? 0 : ends[b - 1];
  const size = ends[a] - startA;
  if (ends[b] - startB !== size) return false;
  for (const index of indexes) if (index[a] !== index[b]) return false;
  // Neighbours begin alike (time, level) more often than they end alike; a native call costs more than these few bytes.
  const tail = Math.max(0, size - 16);
  for (let at = size - 1; at >= tail; at--) if (lines[startA + at] !== lines[startB + at]) return false;
  return tail === 0 || lines.compare(lines, startB, startB + tail, startA, startA + tail) === 0;
}
