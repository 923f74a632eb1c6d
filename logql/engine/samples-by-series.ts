import type { MemoryBudget } from './memory-budget.ts';
import type { Steps } from './steps.ts';

/** Samples of a page: as many as are worked on between two stops, too. Of the first one. */
const PAGE_SAMPLES = 32_768;
const FIRST_PAGE_SAMPLES = 256;

/** Samples as columns. */
export interface Samples {
  readonly panes: Uint32Array;
  readonly values: Float64Array;
  /** Nanoseconds after the first window's start. Beyond 2^53 they are rounded, so it is the panes that say which windows a sample is in. Empty where nobody asks. */
  readonly times: Float64Array;
}

interface Page extends Samples {
  /** Empty once the samples are put by series. */
  series: Uint32Array;
}

const SERIES_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const VALUE_BYTES = Float64Array.BYTES_PER_ELEMENT;
const PLACE_BYTES = Uint32Array.BYTES_PER_ELEMENT;

/** Every sample of the series of a query, for what cannot be computed from aggregates: written down as they come, and put by series when all are there. */
export class SamplesBySeries {
  readonly #hasTimes: boolean;
  readonly #memory: MemoryBudget | undefined;
  readonly #pages: Page[] = [];
  /** Samples in the last page. */
  #taken = 0;
  /** Samples by series. */
  #counts = new Uint32Array(16);
  /** Where each sample is (page × PAGE_SAMPLES + place), by series and in the order in which they came; and where each series ends. */
  #order: { readonly places: Uint32Array; readonly ends: Uint32Array } | undefined;

  constructor({ times }: { readonly times: boolean }, memory?: MemoryBudget) {
    this.#hasTimes = times;
    this.#memory = memory;
  }

  /** Of samples, without their series. */
  #bytes(length: number): number {
    return length * (this.#hasTimes ? 20 : 12);
  }

  add(series: number, pane: number, value: number, time: number): void {
    let page = this.#pages.at(-1);
    if (page === undefined || this.#taken === page.series.length) page = this.#newPage(page);
    if (series >= this.#counts.length) this.#moreSeries(series);
    this.#counts[series]++;
    const at = this.#taken++;
    page.series[at] = series;
    page.panes[at] = pane;
    page.values[at] = value;
    if (this.#hasTimes) page.times[at] = time;
  }

  #newPage(last: Page | undefined): Page {
    const length = last === undefined ? FIRST_PAGE_SAMPLES : Math.min(PAGE_SAMPLES, last.series.length * 2);
    this.#memory?.take(this.#bytes(length) + length * SERIES_BYTES);
    const page = { series: new Uint32Array(length), ...this.#samples(length) };
    this.#pages.push(page);
    this.#taken = 0;
    return page;
  }

  #samples(length: number): Samples {
    return { panes: new Uint32Array(length), values: new Float64Array(length), times: new Float64Array(this.#hasTimes ? length : 0) };
  }

  #moreSeries(series: number): void {
    const grown = new Uint32Array(Math.max(2 * this.#counts.length, series + 1));
    this.#memory?.take((grown.length - this.#counts.length) * Uint32Array.BYTES_PER_ELEMENT);
    grown.set(this.#counts);
    this.#counts = grown;
  }

  /** Hands the samples of one series, in the order in which they came, to `work`, which may put values and times into another order. Nothing is added after the
   *  first call. Throws Fault limit_exceeded. */
  *of<T>(series: number, work: (samples: Samples) => Steps<T>): Steps<T> {
    this.#order ??= yield* this.#bySeries();
    const { places, ends } = this.#order;
    const first = series === 0 ? 0 : ends[series - 1];
    const length = ends[series] - first;
    const bytes = this.#bytes(length) + length * VALUE_BYTES * (this.#hasTimes ? 2 : 1); // and once more in another order
    this.#memory?.take(bytes);
    const samples = this.#samples(length);
    for (let at = 0; at < length; at++) {
      const place = places[first + at];
      const { panes, values, times } = this.#pages[Math.floor(place / PAGE_SAMPLES)];
      samples.panes[at] = panes[place % PAGE_SAMPLES];
      samples.values[at] = values[place % PAGE_SAMPLES];
      if (this.#hasTimes) samples.times[at] = times[place % PAGE_SAMPLES];
      if (at % PAGE_SAMPLES === PAGE_SAMPLES - 1) yield;
    }
    try {
      return yield* work(samples);
    } finally {
      this.#memory?.give(bytes);
    }
  }

  *#bySeries(): Steps<{ places: Uint32Array; ends: Uint32Array }> {
    const ends = new Uint32Array(this.#counts.length);
    let total = 0;
    for (const [series, count] of this.#counts.entries()) {
      ends[series] = total;
      total += count;
    }
    this.#memory?.take(total * PLACE_BYTES);
    const places = new Uint32Array(total);
    for (const [number, page] of this.#pages.entries()) {
      const length = number === this.#pages.length - 1 ? this.#taken : page.series.length;
      for (let at = 0; at < length; at++) places[ends[page.series[at]]++] = number * PAGE_SAMPLES + at;
      this.#memory?.give(page.series.length * SERIES_BYTES);
      page.series = new Uint32Array(0);
      yield;
    }
    return { places, ends };
  }
}
