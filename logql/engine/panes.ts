import type { Accumulation, Columns } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Windows } from './windows.ts';

/** Rows [from, from + length) of columns, the length being that of the columns. */
export interface Span {
  readonly from: number;
  readonly columns: Columns;
}

/** Aggregates of one series for a run of rows (panes, or windows) that grows both ways. Rows never touched are empty. */
export class GrowingColumns {
  readonly #accumulation: Accumulation;
  /** Rows never go beyond this. */
  readonly #limit: number;
  readonly #memory: MemoryBudget | undefined;
  #from = 0;
  #columns: Float64Array[];

  constructor(accumulation: Accumulation, limit: number, memory?: MemoryBudget) {
    this.#accumulation = accumulation;
    this.#limit = limit;
    this.#memory = memory;
    this.#columns = Array.from({ length: accumulation.extra + 1 }, () => new Float64Array(0));
  }

  /** Counts one sample of `value` at `time`. */
  add(row: number, value: number, time: number, tie: number): void {
    const at = this.#at(row);
    this.#columns[0][at]++;
    this.#accumulation.add(this.#columns, at, value, time, tie);
  }

  /** Counts `samples` samples that are worth `sum` together. For counts and sums. */
  addMany(row: number, samples: number, sum: number): void {
    const at = this.#at(row);
    this.#columns[0][at] += samples;
    if (this.#columns.length > 1) this.#columns[1][at] += sum;
  }

  /** Combines row `from` of `other` into `row`. */
  combine(row: number, other: Columns, from: number): void {
    const at = this.#at(row); // may replace the columns
    combineRow(this.#accumulation, this.#columns, at, other, from);
  }

  span(): Span {
    return { from: this.#from, columns: this.#columns };
  }

  #at(row: number): number {
    const at = row - this.#from;
    const { length } = this.#columns[0];
    if (at >= 0 && at < length) return at;
    if (length === 0) this.#resize(row, Math.min(row + 4, this.#limit));
    else if (at < 0) this.#resize(Math.max(0, Math.min(row, this.#from - length)), this.#from + length);
    else this.#resize(this.#from, Math.min(Math.max(row + 1, this.#from + 2 * length), this.#limit));
    return row - this.#from;
  }

  #resize(from: number, to: number): void {
    this.#memory?.take((to - from - this.#columns[0].length) * this.#columns.length * Float64Array.BYTES_PER_ELEMENT);
    const shift = this.#columns[0].length === 0 ? 0 : this.#from - from;
    this.#columns = this.#columns.map((column) => {
      const grown = new Float64Array(to - from);
      grown.set(column, shift);
      return grown;
    });
    this.#from = from;
  }
}

function combineRow(accumulation: Accumulation, into: Columns, at: number, other: Columns, from: number): void {
  const samples = other[0][from];
  if (samples === 0) return;
  if (into[0][at] === 0) for (let index = 1; index < into.length; index++) into[index][at] = other[index][from];
  else accumulation.combine(into, at, other, from);
  into[0][at] += samples;
}

/** The aggregates of all windows from those of their panes, in time that is linear in both: the panes of a window are split in two at a pane up to which
 *  all suffixes have been combined; whatever a window adds behind it is combined one pane at a time (the two stacks of a queue). */
export function slide({ from, columns }: Span, windows: Windows, accumulation: Accumulation): Span {
  const end = from + columns[0].length;
  const firstWindow = lowestWindow(windows, (window) => windows.endPane(window) > from);
  const endWindow = lowestWindow(windows, (window) => windows.firstPane(window) >= end);
  const empty = (length: number): Float64Array[] => columns.map(() => new Float64Array(length));
  const out = empty(Math.max(0, endWindow - firstWindow));
  const suffixes = empty(columns[0].length);
  const tail = empty(1);
  let middle = from;
  let tailEnd = from;
  for (let window = firstWindow; window < endWindow; window++) {
    const first = Math.max(from, windows.firstPane(window));
    const last = Math.min(end, windows.endPane(window));
    if (first >= middle) {
      // Nothing is left of the suffixes: make them anew from all panes of this window.
      for (let pane = last - 1; pane >= first; pane--) {
        const at = pane - from;
        for (let index = 0; index < columns.length; index++) suffixes[index][at] = columns[index][at];
        if (pane + 1 < last) combineRow(accumulation, suffixes, at, suffixes, at + 1);
      }
      middle = last;
      tailEnd = last;
      tail[0][0] = 0;
    }
    for (; tailEnd < last; tailEnd++) combineRow(accumulation, tail, 0, columns, tailEnd - from);
    const row = window - firstWindow;
    combineRow(accumulation, out, row, suffixes, first - from);
    combineRow(accumulation, out, row, tail, 0);
  }
  return { from: firstWindow, columns: out };
}

/** The lowest window for which `holds`, which stays true once it is. */
function lowestWindow(windows: Windows, holds: (window: number) => boolean): number {
  let low = 0;
  let high = windows.steps;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
