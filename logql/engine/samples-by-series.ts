import type { MemoryBudget } from './memory-budget.ts';
import type { Steps } from './steps.ts';

/** Samples of a page: as many as are worked on between two stops, too. Of the first one. */
const PAGE_SAMPLES = 32_768;
const FIRST_PAGE_SAMPLES = 256;

/** Samples as columns. */
export interface Samples {
  readonly panes: Uint32Array;
  readonly values: Float64Array;
  /** What else is known of each: its time as nanoseconds after the first window's start (beyond 2^53 they are rounded, so it is the panes that say which windows a
   *  sample is in), or how many samples it stands for. */
  readonly extras: Float64Array;
}

interface Page extends Samples {
  /** Empty once the samples are put by series. */
  series: Uint32Array;
}

/** Of a sample, without its series. */
const SAMPLE_BYTES = 20;
const SERIES_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const PLACE_BYTES = Uint32Array.BYTES_PER_ELEMENT;

/** Where a sample is: page × PAGE_SAMPLES + place. */
export type SamplePlace = number;

const FLOAT = new Float64Array(1);
const HALVES = new Uint32Array(FLOAT.buffer);

/** An unsigned 32-bit hash. */
export function hashSample(series: number, pane: number, value: number): number {
  FLOAT[0] = value;
  let hash =
    Math.imul(HALVES[0] ^ Math.imul(HALVES[1], 0x9e3779b1), 0x85ebca6b) ^ Math.imul(series ^ Math.imul(pane, 0xc2b2ae35), 0x27d4eb2f);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Every sample of the series of a query, for what cannot be computed from aggregates: written down as they come, and put by series when all are there. */
export class SamplesBySeries {
  readonly #memory: MemoryBudget | undefined;
  readonly #pages: Page[] = [];
  /** Samples in the last page. */
  #taken = 0;
  /** Samples by series. */
  #counts = new Uint32Array(16);
  /** By series and in the order in which they came; and where each series ends. */
  #order: { readonly places: Uint32Array; readonly ends: Uint32Array } | undefined;

  constructor(memory?: MemoryBudget) {
    this.#memory = memory;
  }

  add(series: number, pane: number, value: number, extra: number): SamplePlace {
    let page = this.#pages.at(-1);
    if (page === undefined || this.#taken === page.series.length) page = this.#newPage(page);
    if (series >= this.#counts.length) this.#moreSeries(series);
    this.#counts[series]++;
    const at = this.#taken++;
    page.series[at] = series;
    page.panes[at] = pane;
    page.values[at] = value;
    page.extras[at] = extra;
    return (this.#pages.length - 1) * PAGE_SAMPLES + at;
  }

  /** Before the first call of `of`, as the next two. */
  has(place: SamplePlace, series: number, pane: number, value: number): boolean {
    const page = this.#pages[Math.floor(place / PAGE_SAMPLES)];
    const at = place % PAGE_SAMPLES;
    return Object.is(page.values[at], value) && page.panes[at] === pane && page.series[at] === series;
  }

  /** See `hashSample`. */
  hash(place: SamplePlace): number {
    const page = this.#pages[Math.floor(place / PAGE_SAMPLES)];
    const at = place % PAGE_SAMPLES;
    return hashSample(page.series[at], page.panes[at], page.values[at]);
  }

  /** The sample stands for one more. */
  countOne(place: SamplePlace): void {
    this.#pages[Math.floor(place / PAGE_SAMPLES)].extras[place % PAGE_SAMPLES]++;
  }

  #newPage(last: Page | undefined): Page {
    const length = last === undefined ? FIRST_PAGE_SAMPLES : Math.min(PAGE_SAMPLES, last.series.length * 2);
    this.#memory?.take(length * (SAMPLE_BYTES + SERIES_BYTES));
    const page = { series: new Uint32Array(length), ...samplesOf(length) };
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

  /** Hands the samples of one series, in the order in which they came, to `work`, which may put them into another order. Nothing is added after the
   *  first call. Throws Fault limit_exceeded. */
  *of<T>(series: number, work: (samples: Samples) => Steps<T>): Steps<T> {
    this.#order ??= yield* this.#bySeries();
    const { places, ends } = this.#order;
    const first = series === 0 ? 0 : ends[series - 1];
    const length = ends[series] - first;
    const bytes = 2 * length * SAMPLE_BYTES; // once more in another order
    this.#memory?.take(bytes);
    const samples = samplesOf(length);
    for (let at = 0; at < length; at++) {
      const place = places[first + at];
      const { panes, values, extras } = this.#pages[Math.floor(place / PAGE_SAMPLES)];
      samples.panes[at] = panes[place % PAGE_SAMPLES];
      samples.values[at] = values[place % PAGE_SAMPLES];
      samples.extras[at] = extras[place % PAGE_SAMPLES];
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

function samplesOf(length: number): Samples {
  return { panes: new Uint32Array(length), values: new Float64Array(length), extras: new Float64Array(length) };
}
