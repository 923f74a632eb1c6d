import type { Accumulation, Columns } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { STEP_ITEMS, type Steps } from './steps.ts';
import type { Windows } from './windows.ts';

/** Rows [from, from + length) of columns, the length being that of the columns. */
export interface Span {
  readonly from: number;
  readonly columns: Columns;
}

/** Rows of a page, and of the first ones: a query of few series takes little. */
const PAGE_ROWS = 16_384;
const FIRST_PAGE_ROWS = 64;
/** What a new series that may grow begins with. */
const FIRST_ROWS = 4;
/** First row, length, page and place of each series. */
const PLACE_BYTES = 16;

/** Aggregates of many series, each for a run of rows (panes, or windows) that grows both ways; rows never touched are empty. The runs lie in pages that the
 *  series share: with arrays of its own for each, collecting the garbage of 100,000 series stops the thread for a third of a second. */
export class PaneStore {
  readonly #accumulation: Accumulation;
  /** Rows of a series never go beyond this. */
  readonly #limit: number;
  readonly #memory: MemoryBudget | undefined;
  readonly #pages: Float64Array[][] = [];
  #pageRows = 0;
  /** Rows of the last page that are taken. */
  #taken = 0;
  /** Runs given back, by the power of two that is their capacity, as page and place. */
  readonly #free: number[][] = [];
  /** By series. */
  #from = new Uint32Array(16);
  #length = new Uint32Array(16);
  #page = new Uint32Array(16);
  #start = new Uint32Array(16);

  constructor(accumulation: Accumulation, limit: number, memory?: MemoryBudget) {
    this.#accumulation = accumulation;
    this.#limit = limit;
    this.#memory = memory;
  }

  /** Counts one sample of `value` at `time`. Series are numbered from 0 on without gaps. */
  add(series: number, row: number, value: number, time: number, tie: number): void {
    const at = this.#at(series, row);
    const columns = this.#pages[this.#page[series]];
    columns[0][at]++;
    this.#accumulation.add(columns, at, value, time, tie);
  }

  /** Counts `samples` samples that are worth `sum` together. For counts and sums. */
  addMany(series: number, row: number, samples: number, sum: number): void {
    const at = this.#at(series, row);
    const columns = this.#pages[this.#page[series]];
    columns[0][at] += samples;
    if (columns.length > 1) columns[1][at] += sum;
  }

  /** Combines row `from` of `other` into `row`. */
  combine(series: number, row: number, other: Columns, from: number): void {
    const at = this.#at(series, row);
    combineRow(this.#accumulation, this.#pages[this.#page[series]], at, other, from);
  }

  /** Views, until the series is added to. */
  span(series: number): Span {
    if (series >= this.#from.length || this.#length[series] === 0) return { from: 0, columns: this.#newColumns(0) };
    const start = this.#start[series];
    const end = start + this.#length[series];
    return { from: this.#from[series], columns: this.#pages[this.#page[series]].map((column) => column.subarray(start, end)) };
  }

  /** Where `row` is in the series' page. */
  #at(series: number, row: number): number {
    if (series >= this.#from.length) this.#moreSeries(series);
    const at = row - this.#from[series];
    const length = this.#length[series];
    if (at >= 0 && at < length) return this.#start[series] + at;
    const from = this.#from[series];
    if (length === 0) this.#resize(series, row, Math.min(row + FIRST_ROWS, this.#limit));
    else if (at < 0) this.#resize(series, Math.max(0, Math.min(row, from - length)), from + length);
    else this.#resize(series, from, Math.min(Math.max(row + 1, from + 2 * length), this.#limit));
    return this.#start[series] + row - this.#from[series];
  }

  #moreSeries(series: number): void {
    const { length } = this.#from;
    const more = Math.max(length, series + 1 - length);
    this.#memory?.take(more * PLACE_BYTES);
    const grow = (column: Uint32Array<ArrayBuffer>) => {
      const grown = new Uint32Array(length + more);
      grown.set(column);
      return grown;
    };
    [this.#from, this.#length, this.#page, this.#start] = [this.#from, this.#length, this.#page, this.#start].map(grow);
  }

  #resize(series: number, from: number, to: number): void {
    const [page, start, length] = [this.#page[series], this.#start[series], this.#length[series]];
    this.#place(series, to - from);
    const columns = this.#pages[this.#page[series]];
    if (length > 0) {
      const shift = this.#start[series] + this.#from[series] - from;
      for (const [index, column] of this.#pages[page].entries()) columns[index].set(column.subarray(start, start + length), shift);
      const size = sizeOf(length);
      this.#free[size] ??= [];
      this.#free[size].push(page, start);
    }
    this.#from[series] = from;
    this.#length[series] = to - from;
  }

  /** Gives the series `rows` empty rows. */
  #place(series: number, rows: number): void {
    const size = sizeOf(rows);
    const free = this.#free[size];
    if (free !== undefined && free.length > 0) {
      const start = free.pop()!;
      const page = free.pop()!;
      for (const column of this.#pages[page]) column.fill(0, start, start + rows);
      this.#page[series] = page;
      this.#start[series] = start;
      return;
    }
    const capacity = 2 ** size;
    if (this.#taken + capacity > this.#pageRows) this.#morePages(capacity);
    this.#page[series] = this.#pages.length - 1;
    this.#start[series] = this.#taken;
    this.#taken += capacity;
  }

  #morePages(rows: number): void {
    this.#pageRows = Math.max(rows, Math.min(PAGE_ROWS, Math.max(FIRST_PAGE_ROWS, 2 * this.#pageRows)));
    const columns = this.#accumulation.extra + 1;
    this.#memory?.take(this.#pageRows * columns * Float64Array.BYTES_PER_ELEMENT);
    this.#pages.push(this.#newColumns(this.#pageRows));
    this.#taken = 0;
  }

  #newColumns(rows: number): Float64Array[] {
    return Array.from({ length: this.#accumulation.extra + 1 }, () => new Float64Array(rows));
  }
}

/** The power of two that is the capacity of a run of so many rows. */
function sizeOf(rows: number): number {
  return rows <= 1 ? 0 : 32 - Math.clz32(rows - 1);
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
export function* slide(panes: Span, windows: Windows, accumulation: Accumulation): Steps<Span> {
  if (windows.panes === 1 && windows.steps === 1) return panes;
  const { from, columns } = panes;
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
    if (row % STEP_ITEMS === STEP_ITEMS - 1) yield;
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
