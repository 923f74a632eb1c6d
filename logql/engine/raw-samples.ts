import type { Columns } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Span } from './panes.ts';
import type { Windows } from './windows.ts';

/** Samples of a page, and of the first one. */
const PAGE_SAMPLES = 32_768;
const FIRST_PAGE_SAMPLES = 256;

/** Samples as columns: times are nanoseconds after the first window's start. Beyond 2^53 they are rounded, so it is the panes that say which windows a sample is in. */
class Page {
  readonly series: Uint32Array;
  readonly panes: Uint32Array;
  readonly times: Float64Array;
  readonly values: Float64Array;

  constructor(length: number) {
    this.series = new Uint32Array(length);
    this.panes = new Uint32Array(length);
    this.times = new Float64Array(length);
    this.values = new Float64Array(length);
  }

  static bytes(length: number): number {
    return length * 24;
  }
}

/** Every sample of the series of a query, for what cannot be computed from aggregates: written down as they come, and put by series when all are there. */
export class RawSamples {
  #pages: Page[] = [];
  /** Samples in the last page. */
  #taken = 0;
  /** Samples by series. */
  #counts = new Uint32Array(16);
  #bySeries: { readonly samples: Page; readonly ends: Uint32Array } | undefined;
  readonly #memory: MemoryBudget | undefined;

  constructor(memory?: MemoryBudget) {
    this.#memory = memory;
  }

  add(series: number, pane: number, value: number, time: number): void {
    let page = this.#pages.at(-1);
    if (page === undefined || this.#taken === page.series.length) page = this.#newPage(page);
    if (series >= this.#counts.length) this.#moreSeries(series);
    this.#counts[series]++;
    const at = this.#taken++;
    page.series[at] = series;
    page.panes[at] = pane;
    page.times[at] = time;
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

  /** The value of every window of a series, as count and value. Nothing is added after the first call. */
  evaluate(series: number, windows: Windows, compute: WindowFunction): Span {
    this.#bySeries ??= this.#gather();
    const { samples, ends } = this.#bySeries;
    const [first, last] = [series === 0 ? 0 : ends[series - 1], ends[series]];
    sortByTime(samples, first, last);
    const { panes, times, values } = samples;
    const counts = new Float64Array(windows.steps);
    const results = new Float64Array(windows.steps);
    let from = first;
    let to = first;
    for (let window = 0; window < windows.steps; window++) {
      const firstPane = windows.firstPane(window);
      const endPane = windows.endPane(window);
      while (to < last && panes[to] < endPane) to++;
      while (from < to && panes[from] < firstPane) from++;
      counts[window] = to - from;
      if (to > from) results[window] = compute(times.subarray(from, to), values.subarray(from, to), window * windows.stepNs);
    }
    return { from: 0, columns: [counts, results] as Columns };
  }

  /** All samples in one page, those of each series together, in the order in which they came. */
  #gather(): { samples: Page; ends: Uint32Array } {
    const ends = new Uint32Array(this.#counts.length);
    let total = 0;
    this.#counts.forEach((count, series) => {
      ends[series] = total;
      total += count;
    });
    this.#memory?.take(Page.bytes(total));
    const samples = new Page(total);
    for (const [number, page] of this.#pages.entries()) {
      const length = number === this.#pages.length - 1 ? this.#taken : page.series.length;
      for (let from = 0; from < length; from++) {
        const at = ends[page.series[from]]++;
        samples.series[at] = page.series[from];
        samples.panes[at] = page.panes[from];
        samples.times[at] = page.times[from];
        samples.values[at] = page.values[from];
      }
      this.#memory?.give(Page.bytes(page.series.length));
    }
    this.#pages = [];
    return { samples, ends };
  }
}

/** Puts the samples [from, to) in the order of their times; equal ones stay as they came. */
function sortByTime({ panes, times, values }: Page, from: number, to: number): void {
  let ordered = true;
  for (let at = from + 1; at < to && ordered; at++) ordered = times[at] >= times[at - 1] && panes[at] >= panes[at - 1];
  if (ordered) return;
  const order = Uint32Array.from({ length: to - from }, (_, index) => from + index);
  order.sort((a, b) => panes[a] - panes[b] || times[a] - times[b] || a - b);
  panes.set(
    Uint32Array.from(order, (at) => panes[at]),
    from,
  );
  times.set(
    Float64Array.from(order, (at) => times[at]),
    from,
  );
  values.set(
    Float64Array.from(order, (at) => values[at]),
    from,
  );
}

/** The value of a window that starts at `startNs`, exclusive, from its samples in the order of time; there is at least one. */
export type WindowFunction = (times: Float64Array, values: Float64Array, startNs: number) => number;

/** Increase per second of a counter that may start again at 0. As in Prometheus it is extrapolated to the borders of the window where samples come close to
 *  them, by half the samples' distance elsewhere, and never to before the time at which the counter would have been 0. One sample gives 0. */
export function counterRateOf(rangeNs: number): WindowFunction {
  return (times, values, startNs) => {
    const last = values.length - 1;
    if (last === 0) return 0;
    let increase = values[last] - values[0];
    for (let at = 1; at <= last; at++) if (values[at] < values[at - 1]) increase += values[at - 1];
    const sampled = times[last] - times[0];
    const spacing = sampled / last;
    const near = (distance: number): number => (distance < spacing * 1.1 ? distance : spacing / 2);
    let before = near(times[0] - startNs);
    if (increase > 0 && values[0] >= 0) before = Math.min(before, sampled * (values[0] / increase));
    const extrapolated = sampled + before + near(startNs + rangeNs - times[last]);
    return (increase * (extrapolated / sampled)) / (rangeNs / 1e9);
  };
}
