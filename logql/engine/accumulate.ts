import type { RangeAggregation } from '../syntax/ast.ts';

/** Aggregates as columns, one row per pane or window. The first column counts the samples: a row without any is empty. */
export type Columns = readonly Float64Array[];

/** How samples become an aggregate. Aggregates of adjoining times, and of disjoint sets of streams, can be combined. */
export interface Accumulation {
  /** Columns behind the count. */
  readonly extra: number;
  /** Puts a sample into `row`, whose count is above 0 and includes it already unless this is the first. `tie` orders samples of equal `time`; where it is
   *  equal too, they come in their order. */
  readonly add: (columns: Columns, row: number, value: number, time: number, tie: number) => void;
  /** Combines row `at` of `into` (earlier) with row `from` of `other` (later) into the former; neither is empty. The count is the caller's. */
  readonly combine: (into: Columns, at: number, other: Columns, from: number) => void;
}

const count: Accumulation = { extra: 0, add: () => {}, combine: () => {} };

const sum: Accumulation = {
  extra: 1,
  add: ([, sums], row, value) => {
    sums[row] += value;
  },
  combine: ([, sums], at, [, others], from) => {
    sums[at] += others[from];
  },
};

function extreme(better: (a: number, b: number) => boolean): Accumulation {
  const keep = (values: Float64Array, row: number, value: number, first: boolean): void => {
    if (first || better(value, values[row]) || Number.isNaN(values[row])) values[row] = value;
  };
  return {
    extra: 1,
    add: ([counts, values], row, value) => keep(values, row, value, counts[row] === 1),
    combine: ([, values], at, [, others], from) => keep(values, at, others[from], false),
  };
}

/** Mean and sum of squared differences from it (Welford; Chan for two sets): no cancellation as with sums of squares. */
const moments: Accumulation = {
  extra: 2,
  add: ([counts, means, squares], row, value) => {
    const delta = value - means[row];
    means[row] += delta / counts[row];
    squares[row] += delta * (value - means[row]);
  },
  combine: ([counts, means, squares], at, [otherCounts, otherMeans, otherSquares], from) => {
    const total = counts[at] + otherCounts[from];
    const delta = otherMeans[from] - means[at];
    squares[at] += otherSquares[from] + (delta * delta * counts[at] * otherCounts[from]) / total;
    means[at] += (delta * otherCounts[from]) / total;
  },
};

/** The value at the first or last time, by its tie where times are equal. Of samples equal in both the first stays first and the last becomes last. */
function edge(replaces: (difference: number) => boolean): Accumulation {
  return {
    extra: 3,
    add: ([counts, values, times, ties], row, value, time, tie) => {
      if (counts[row] > 1 && !replaces(time - times[row] || tie - ties[row])) return;
      values[row] = value;
      times[row] = time;
      ties[row] = tie;
    },
    combine: ([, values, times, ties], at, [, otherValues, otherTimes, otherTies], from) => {
      if (!replaces(otherTimes[from] - times[at] || otherTies[from] - ties[at])) return;
      values[at] = otherValues[from];
      times[at] = otherTimes[from];
      ties[at] = otherTies[from];
    },
  };
}

const finished: Accumulation = {
  extra: 1,
  add: ([, values], row, value) => {
    values[row] = value;
  },
  combine: () => {
    throw new Error('results of quantiles and counter rates cannot be combined');
  },
};

export const ACCUMULATIONS = {
  count,
  sum,
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  moments,
  first: edge((difference) => difference < 0),
  last: edge((difference) => difference >= 0),
  /** A value computed from all samples of the window at once. */
  finished,
} as const;

interface Operation {
  readonly accumulation: Accumulation;
  /** What a sample is worth: 1, the line's length, or the unwrapped value. */
  readonly sample: 'one' | 'bytes' | 'value';
  /** The aggregate's value, from row `row`. */
  readonly finish: (columns: Columns, row: number, rangeS: number) => number;
}

const second = ([, values]: Columns, row: number): number => values[row];

/** What a range aggregation does. */
export function operationOf({ op, unwrap }: RangeAggregation): Operation {
  const A = ACCUMULATIONS;
  switch (op) {
    case 'count_over_time':
    case 'absent_over_time':
      return { accumulation: A.count, sample: 'one', finish: ([counts], row) => counts[row] };
    case 'rate':
      if (unwrap !== undefined) return { accumulation: A.sum, sample: 'value', finish: ([, sums], row, rangeS) => sums[row] / rangeS };
      return { accumulation: A.count, sample: 'one', finish: ([counts], row, rangeS) => counts[row] / rangeS };
    case 'bytes_over_time':
      return { accumulation: A.sum, sample: 'bytes', finish: second };
    case 'bytes_rate':
      return { accumulation: A.sum, sample: 'bytes', finish: ([, sums], row, rangeS) => sums[row] / rangeS };
    case 'sum_over_time':
      return { accumulation: A.sum, sample: 'value', finish: second };
    case 'avg_over_time':
      return { accumulation: A.sum, sample: 'value', finish: ([counts, sums], row) => sums[row] / counts[row] };
    case 'min_over_time':
      return { accumulation: A.min, sample: 'value', finish: second };
    case 'max_over_time':
      return { accumulation: A.max, sample: 'value', finish: second };
    case 'stddev_over_time':
      return { accumulation: A.moments, sample: 'value', finish: ([counts, , squares], row) => Math.sqrt(squares[row] / counts[row]) };
    case 'stdvar_over_time':
      return { accumulation: A.moments, sample: 'value', finish: ([counts, , squares], row) => squares[row] / counts[row] };
    case 'first_over_time':
      return { accumulation: A.first, sample: 'value', finish: second };
    case 'last_over_time':
      return { accumulation: A.last, sample: 'value', finish: second };
    case 'rate_counter':
    case 'quantile_over_time':
      return { accumulation: A.finished, sample: 'value', finish: second };
  }
}
