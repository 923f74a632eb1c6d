import type { RangeAggregation } from '../syntax/ast.ts';
import { operationOf } from './accumulate.ts';
import { counterRates } from './counter-rate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { PaneStore, type Span, slide } from './panes.ts';
import { SamplesBySeries } from './samples-by-series.ts';
import type { Steps } from './steps.ts';
import { ValueCounts } from './value-counts.ts';
import { type ValueSpan, valuesByPane } from './value-span.ts';
import type { Windows } from './windows.ts';

/** The samples of the series of a range aggregation, aggregated as far as its operation allows. Series are numbered from 0 on without gaps. */
export interface SeriesStore {
  /** One sample. `time`: nanoseconds after the start of the first window, as a float64 rounds them. `tie` orders samples of equal `time`. */
  add(series: number, pane: number, value: number, time: number, tie: number): void;
  /** `samples` samples of one pane that are worth `sum` together. For operations that count or sum. */
  addMany(series: number, pane: number, samples: number, sum: number): void;
  /** Aggregates of the windows, or of a quantile the values of the panes; those without samples have a count of 0. Called when all is added, once for each series. */
  result(series: number): Steps<Span | ValueSpan>;
}

/** What the series hold counts in `memory`. */
export function seriesStore(range: RangeAggregation, windows: Windows, memory?: MemoryBudget): SeriesStore {
  if (range.op === 'quantile_over_time') return valueStore(new ValueCounts(memory));
  if (range.op === 'rate_counter') return counterStore(new SamplesBySeries(memory), windows);
  const { accumulation } = operationOf(range);
  const panes = new PaneStore(accumulation, windows.panes, memory);
  return {
    add: (series, pane, value, time, tie) => panes.add(series, pane, value, time, tie),
    addMany: (series, pane, samples, sum) => panes.addMany(series, pane, samples, sum),
    result: (series) => slide(panes.span(series), windows, accumulation),
  };
}

function valueStore(values: ValueCounts): SeriesStore {
  return {
    add: (series, pane, value) => values.add(series, pane, value),
    addMany: noSum,
    result: (series) => values.of(series, valuesByPane),
  };
}

function counterStore(samples: SamplesBySeries, windows: Windows): SeriesStore {
  return {
    add: (series, pane, value, time) => {
      samples.add(series, pane, value, time);
    },
    addMany: noSum,
    result: (series) => samples.of(series, (own) => counterRates(own, windows)),
  };
}

function noSum(): never {
  throw new Error('samples of quantiles and counter rates have no sum');
}
