import type { RangeAggregation } from '../syntax/ast.ts';
import { operationOf } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { PaneStore, type Span, slide } from './panes.ts';
import { counterRateOf, RawSamples } from './raw-samples.ts';
import { type ValueSpan, ValueStore } from './value-store.ts';
import type { Windows } from './windows.ts';

/** The samples of the series of a range aggregation, aggregated as far as its operation allows. Series are numbered from 0 on without gaps. */
export interface SeriesStore {
  /** One sample. `time`: nanoseconds after the start of the first window, as a float64 rounds them. `tie` orders samples of equal `time`. */
  add(series: number, pane: number, value: number, time: number, tie: number): void;
  /** `samples` samples of one pane that are worth `sum` together. For operations that count or sum. */
  addMany(series: number, pane: number, samples: number, sum: number): void;
  /** Aggregates of the windows, or of a quantile the values of the panes; those without samples have a count of 0. Called when all is added, once for each series. */
  result(series: number): Span | ValueSpan;
}

/** What the series hold counts in `memory`. */
export function seriesStore(range: RangeAggregation, windows: Windows, memory?: MemoryBudget): SeriesStore {
  if (range.op === 'quantile_over_time') return new ValuesByPane(memory);
  if (range.op === 'rate_counter') return new CounterRates(windows, memory);
  const { accumulation } = operationOf(range);
  const panes = new PaneStore(accumulation, windows.panes, memory);
  return {
    add: (series, pane, value, time, tie) => panes.add(series, pane, value, time, tie),
    addMany: (series, pane, samples, sum) => panes.addMany(series, pane, samples, sum),
    result: (series) => slide(panes.span(series), windows, accumulation),
  };
}

class ValuesByPane implements SeriesStore {
  readonly #values: ValueStore;

  constructor(memory: MemoryBudget | undefined) {
    this.#values = new ValueStore(memory);
  }

  add(series: number, pane: number, value: number): void {
    this.#values.add(series, pane, value);
  }

  addMany(): void {
    throw new Error('samples of quantiles have no sum');
  }

  result(series: number): ValueSpan {
    return this.#values.span(series);
  }
}

class CounterRates implements SeriesStore {
  readonly #windows: Windows;
  readonly #samples: RawSamples;

  constructor(windows: Windows, memory: MemoryBudget | undefined) {
    this.#windows = windows;
    this.#samples = new RawSamples(memory);
  }

  add(series: number, pane: number, value: number, time: number): void {
    this.#samples.add(series, pane, value, time);
  }

  addMany(): void {
    throw new Error('samples of counters have no sum');
  }

  result(series: number): Span {
    return this.#samples.evaluate(series, this.#windows, counterRateOf(this.#windows.rangeNs));
  }
}
