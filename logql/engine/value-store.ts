import type { MemoryBudget } from './memory-budget.ts';
import type { Span } from './panes.ts';

/** The values of the samples of one series: column 0 of a row says how many of `values` are its, row by row. */
export interface ValueSpan extends Span {
  readonly values: Float64Array;
}

/** Samples of a page, and of the first one. */
const PAGE_SAMPLES = 32_768;
const FIRST_PAGE_SAMPLES = 256;

class Page {
  readonly series: Uint32Array;
  readonly panes: Uint32Array;
  readonly values: Float64Array;

  constructor(length: number) {
    this.series = new Uint32Array(length);
    this.panes = new Uint32Array(length);
    this.values = new Float64Array(length);
  }

  static bytes(length: number): number {
    return length * 16;
  }
}

interface Samples {
  readonly panes: Uint32Array;
  readonly values: Float64Array;
}

/** The values of all samples, by series and pane, for what is computed from them whatever their order: written down as they come, and put by series when all are
 *  there. */
export class ValueStore {
  #pages: Page[] = [];
  /** Samples in the last page. */
  #taken = 0;
  /** Samples by series. */
  #counts = new Uint32Array(16);
  #bySeries: { readonly samples: Samples; readonly ends: Uint32Array } | undefined;
  readonly #memory: MemoryBudget | undefined;

  constructor(memory?: MemoryBudget) {
    this.#memory = memory;
  }

  add(series: number, pane: number, value: number): void {
    let page = this.#pages.at(-1);
    if (page === undefined || this.#taken === page.series.length) page = this.#newPage(page);
    if (series >= this.#counts.length) this.#moreSeries(series);
    this.#counts[series]++;
    const at = this.#taken++;
    page.series[at] = series;
    page.panes[at] = pane;
    page.values[at] = value;
  }

  #newPage(last: Page | undefined): Page {
    const length = last === undefined ? FIRST_PAGE_SAMPLES : Math.min(PAGE_SAMPLES, last.series.length * 2);
    this.#memory?.take(Page.bytes(length));
    const page = new Page(length);
    this.#pages.push(page);
    this.#taken = 0;
    return page;
  }

  #moreSeries(series: number): void {
    const grown = new Uint32Array(Math.max(2 * this.#counts.length, series + 1));
    this.#memory?.take((grown.length - this.#counts.length) * Uint32Array.BYTES_PER_ELEMENT);
    grown.set(this.#counts);
    this.#counts = grown;
  }

  /** Of a series that has samples. Nothing is added after the first call. */
  span(series: number): ValueSpan {
    this.#bySeries ??= this.#gather();
    const { samples, ends } = this.#bySeries;
    const first = series === 0 ? 0 : ends[series - 1];
    const panes = samples.panes.subarray(first, ends[series]);
    const values = samples.values.subarray(first, ends[series]);
    let [from, last] = [panes[0], panes[0]];
    let inOrder = true;
    for (let at = 1; at < panes.length; at++) {
      inOrder &&= panes[at] >= panes[at - 1];
      if (panes[at] < from) from = panes[at];
      if (panes[at] > last) last = panes[at];
    }
    const counts = new Float64Array(last - from + 1);
    for (const pane of panes) counts[pane - from]++;
    return { from, columns: [counts], values: inOrder ? values : byPane(panes, values, from, counts) };
  }

  /** All samples, those of each series together. */
  #gather(): { samples: Samples; ends: Uint32Array } {
    const ends = new Uint32Array(this.#counts.length);
    let total = 0;
    this.#counts.forEach((count, series) => {
      ends[series] = total;
      total += count;
    });
    this.#memory?.take(12 * total);
    const samples = { panes: new Uint32Array(total), values: new Float64Array(total) };
    for (const [number, page] of this.#pages.entries()) {
      const length = number === this.#pages.length - 1 ? this.#taken : page.series.length;
      for (let from = 0; from < length; from++) {
        const at = ends[page.series[from]]++;
        samples.panes[at] = page.panes[from];
        samples.values[at] = page.values[from];
      }
      this.#memory?.give(Page.bytes(page.series.length));
    }
    this.#pages = [];
    return { samples, ends };
  }
}

function byPane(panes: Uint32Array, values: Float64Array, from: number, counts: Float64Array): Float64Array {
  const next = startsOf(counts);
  const sorted = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) sorted[next[panes[at] - from]++] = values[at];
  return sorted;
}

/** Where the values of each row start, and where the last one's end. */
export function startsOf(counts: Float64Array): Uint32Array {
  const starts = new Uint32Array(counts.length + 1);
  for (let row = 0; row < counts.length; row++) starts[row + 1] = starts[row] + counts[row];
  return starts;
}
