import type { Labels } from '../model.ts';
import type { RangeAggregation } from '../syntax/ast.ts';
import { type Accumulation, operationOf } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { GrowingColumns, type Span, slide } from './panes.ts';
import { counterRateOf, quantileOf, RawSamples, type WindowFunction } from './raw-samples.ts';
import type { Windows } from './windows.ts';

/** The samples of one series of a range aggregation, aggregated as far as its operation allows. */
export interface SeriesAccumulator {
  readonly labels: Labels;
  /** One sample. `time`: nanoseconds after the start of the first window, as a float64 rounds them. `tie` orders samples of equal `time`. */
  add(pane: number, value: number, time: number, tie: number): void;
  /** `samples` samples of one pane that are worth `sum` together. For operations that count or sum. */
  addMany(pane: number, samples: number, sum: number): void;
  /** Aggregates of the windows; windows without samples have a count of 0. */
  windows(): Span;
}

/** Makes the accumulators of a range aggregation; their columns count in `memory`. */
export function accumulatorFactory(
  range: RangeAggregation,
  windows: Windows,
  memory?: MemoryBudget,
): (labels: Labels) => SeriesAccumulator {
  const { accumulation } = operationOf(range);
  const whole = wholeWindowFunction(range);
  if (whole !== undefined) return (labels) => new WholeAccumulator(labels, windows, whole, memory);
  return (labels) => new PaneAccumulator(labels, windows, accumulation, memory);
}

/** How the value of a window is computed from all of its samples, where aggregates do not do. */
function wholeWindowFunction({ op, parameter, rangeNs }: RangeAggregation): WindowFunction | undefined {
  if (op === 'quantile_over_time') return quantileOf(parameter ?? Number.NaN);
  return op === 'rate_counter' ? counterRateOf(rangeNs) : undefined;
}

class PaneAccumulator implements SeriesAccumulator {
  readonly labels: Labels;
  readonly #windows: Windows;
  readonly #accumulation: Accumulation;
  readonly #panes: GrowingColumns;
  constructor(labels: Labels, windows: Windows, accumulation: Accumulation, memory: MemoryBudget | undefined) {
    this.labels = labels;
    this.#windows = windows;
    this.#accumulation = accumulation;
    this.#panes = new GrowingColumns(accumulation, windows.panes, memory);
  }
  add(pane: number, value: number, time: number, tie: number): void {
    this.#panes.add(pane, value, time, tie);
  }
  addMany(pane: number, samples: number, sum: number): void {
    this.#panes.addMany(pane, samples, sum);
  }
  windows(): Span {
    return slide(this.#panes.span(), this.#windows, this.#accumulation);
  }
}

class WholeAccumulator implements SeriesAccumulator {
  readonly labels: Labels;
  readonly #windows: Windows;
  readonly #compute: WindowFunction;
  readonly #samples: RawSamples;
  constructor(labels: Labels, windows: Windows, compute: WindowFunction, memory: MemoryBudget | undefined) {
    this.#samples = new RawSamples(memory);
    this.labels = labels;
    this.#windows = windows;
    this.#compute = compute;
  }
  add(pane: number, value: number, time: number): void {
    this.#samples.add(pane, value, time);
  }
  addMany(): void {
    throw new Error('samples of quantiles and counter rates have no sum');
  }
  windows(): Span {
    return this.#samples.evaluate(this.#windows, this.#compute);
  }
}
