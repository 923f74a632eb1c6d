import type { RangeAggregation } from '../syntax/ast.ts';
import { operationOf } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { PaneStore, type Span, slide } from './panes.ts';
import { counterRateOf, quantileOf, RawSamples, type WindowFunction } from './raw-samples.ts';
import type { Windows } from './windows.ts';

/** The samples of the series of a range aggregation, aggregated as far as its operation allows. Series are numbered from 0 on without gaps. */
export interface SeriesStore {
  /** One sample. `time`: nanoseconds after the start of the first window, as a float64 rounds them. `tie` orders samples of equal `time`. */
  add(series: number, pane: number, value: number, time: number, tie: number): void;
  /** `samples` samples of one pane that are worth `sum` together. For operations that count or sum. */
  addMany(series: number, pane: number, samples: number, sum: number): void;
  /** Aggregates of the windows; windows without samples have a count of 0. Called when all is added, once for each series. */
  windows(series: number): Span;
}

/** What the series hold counts in `memory`. */
export function seriesStore(range: RangeAggregation, windows: Windows, memory?: MemoryBudget): SeriesStore {
  const whole = wholeWindowFunction(range);
  if (whole !== undefined) return new WholeStore(windows, whole, memory);
  const { accumulation } = operationOf(range);
  const panes = new PaneStore(accumulation, windows.panes, memory);
  return {
    add: (series, pane, value, time, tie) => panes.add(series, pane, value, time, tie),
    addMany: (series, pane, samples, sum) => panes.addMany(series, pane, samples, sum),
    windows: (series) => slide(panes.span(series), windows, accumulation),
  };
}

/** How the value of a window is computed from all of its samples, where aggregates do not do. */
function wholeWindowFunction({ op, parameter, rangeNs }: RangeAggregation): WindowFunction | undefined {
  if (op === 'quantile_over_time') return quantileOf(parameter ?? Number.NaN);
  return op === 'rate_counter' ? counterRateOf(rangeNs) : undefined;
}

class WholeStore implements SeriesStore {
  readonly #windows: Windows;
  readonly #compute: WindowFunction;
  readonly #samples: RawSamples;

  constructor(windows: Windows, compute: WindowFunction, memory: MemoryBudget | undefined) {
    this.#windows = windows;
    this.#compute = compute;
    this.#samples = new RawSamples(memory);
  }

  add(series: number, pane: number, value: number, time: number): void {
    this.#samples.add(series, pane, value, time);
  }

  addMany(): void {
    throw new Error('samples of quantiles and counter rates have no sum');
  }

  windows(series: number): Span {
    return this.#samples.evaluate(series, this.#windows, this.#compute);
  }
}
