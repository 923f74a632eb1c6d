import type { Span } from './panes.ts';
import { STEP_NUMBERS, type Steps } from './steps.ts';
import { startsOf, type ValueSpan } from './value-span.ts';
import type { Windows } from './windows.ts';

/** Values, and how many samples have each. A value may be there several times. */
export type WeightedValues = Pick<ValueSpan, 'values' | 'weights'>;

/** The φ-quantile of every window of a series, as count and value, from the values by pane that each querier has of it. */
export function* quantilesOf(parameter: number, spans: readonly ValueSpan[], windows: Windows): Steps<Span> {
  const { from, starts, values, weights } = yield* joined(spans);
  const counts = new Float64Array(windows.steps);
  const results = new Float64Array(windows.steps);
  const scratch = { values: new Float64Array(values.length), weights: new Float64Array(values.length) };
  const startOf = (pane: number): number => starts[Math.max(0, Math.min(starts.length - 1, pane - from))];
  for (let window = 0; window < windows.steps; window++) {
    const [start, end] = [startOf(windows.firstPane(window)), startOf(windows.endPane(window))];
    if (start === end) continue;
    scratch.values.set(values.subarray(start, end));
    scratch.weights.set(weights.subarray(start, end));
    const own = { values: scratch.values.subarray(0, end - start), weights: scratch.weights.subarray(0, end - start) };
    counts[window] = sum(own.weights);
    results[window] = yield* quantile(parameter, own);
    yield;
  }
  return { from: 0, columns: [counts, results] };
}

/** One span of all, and where the values of each of its panes start. */
function* joined(spans: readonly ValueSpan[]): Steps<{ from: number; starts: Uint32Array } & WeightedValues> {
  const [{ from: only, columns, values: ownValues, weights: ownWeights }] = spans;
  if (spans.length === 1) return { from: only, starts: startsOf(columns[0]), values: ownValues, weights: ownWeights };
  const from = spans.reduce((least, span) => Math.min(least, span.from), Number.POSITIVE_INFINITY);
  const end = spans.reduce((most, span) => Math.max(most, span.from + span.columns[0].length), 0);
  const counts = new Float64Array(end - from);
  for (const span of spans) for (const [row, count] of span.columns[0].entries()) counts[span.from - from + row] += count;
  const starts = startsOf(counts);
  const next = starts.slice();
  const values = new Float64Array(starts[starts.length - 1]);
  const weights = new Float64Array(values.length);
  for (const span of spans) {
    let at = 0;
    for (const [row, count] of span.columns[0].entries()) {
      const pane = span.from - from + row;
      values.set(span.values.subarray(at, at + count), next[pane]);
      weights.set(span.weights.subarray(at, at + count), next[pane]);
      next[pane] += count;
      at += count;
    }
    yield;
  }
  return { from, starts, values, weights };
}

function sum(column: Float64Array): number {
  let total = 0;
  for (const value of column) total += value;
  return total;
}

/** The φ-quantile, interpolated between the two nearest ranks. Below 0 and above 1 it is infinite, as in Prometheus. Reorders the values, of which there is at least
 *  one. */
export function* quantile(parameter: number, all: WeightedValues): Steps<number> {
  if (Number.isNaN(parameter)) return Number.NaN;
  if (parameter < 0) return Number.NEGATIVE_INFINITY;
  if (parameter > 1) return Number.POSITIVE_INFINITY;
  const position = parameter * (sum(all.weights) - 1);
  const rank = Math.floor(position);
  const low = yield* valueAt(rank, all);
  const high = rank + 1 < weightUpTo(low, all) ? low : leastAbove(low, all);
  // Not the difference's share: of an infinite value that gives something else, and a weight of 0 makes NaN of it.
  return low * (1 - (position - rank)) + high * (position - rank);
}

/** Of all that are not above `value`; NaN is the lowest. */
function weightUpTo(value: number, { values, weights }: WeightedValues): number {
  let total = 0;
  for (let at = 0; at < values.length; at++) if (!(values[at] > value)) total += weights[at];
  return total;
}

/** `value` if none is. */
function leastAbove(value: number, { values }: WeightedValues): number {
  let least = Number.POSITIVE_INFINITY;
  let found = false;
  for (const other of values) {
    if (!(other > value)) continue;
    found = true;
    if (other < least) least = other;
  }
  return found ? least : value;
}

/** The value that has this rank, from 0 on, with each as often as it weighs. Reorders them. NaN counts as the lowest. Quickselect, linear on average; where its pivots are
 *  bad it sorts what is left, so that no data can make it quadratic. */
function* valueAt(rank: number, { values, weights }: WeightedValues): Steps<number> {
  const swap = (a: number, b: number): void => {
    const [value, weight] = [values[a], weights[a]];
    values[a] = values[b];
    weights[a] = weights[b];
    values[b] = value;
    weights[b] = weight;
  };
  let low = 0;
  /** Ranks before that of `low`. */
  let before = 0;
  for (let at = 0; at < values.length; at++) {
    if (!Number.isNaN(values[at])) continue;
    before += weights[at];
    swap(at, low++);
  }
  if (rank < before) return Number.NaN;
  let high = values.length - 1;
  let looked = values.length;
  for (let turns = 2 * Math.log2(values.length); low < high; turns--) {
    if (turns < 0) return bySorting(rank - before, { values: values.subarray(low, high + 1), weights: weights.subarray(low, high + 1) });
    looked += high - low;
    if (looked > STEP_NUMBERS) {
      looked = 0;
      yield;
    }
    const pivot = median(values[low], values[(low + high) >>> 1], values[high]);
    let left = low;
    let right = high;
    while (left <= right) {
      while (values[left] < pivot) left++;
      while (values[right] > pivot) right--;
      if (left <= right) swap(left++, right--);
    }
    const lower = before + sum(weights.subarray(low, right + 1));
    const middle = lower + sum(weights.subarray(right + 1, left));
    if (rank < lower) high = right;
    else if (rank < middle) return pivot;
    else {
      before = middle;
      low = left;
    }
  }
  return values[low];
}

/** As valueAt, in n log n. */
function bySorting(rank: number, all: WeightedValues): number {
  const order = all.values.slice().sort();
  let [low, high] = [0, order.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (weightUpTo(order[middle], all) > rank) high = middle;
    else low = middle + 1;
  }
  return order[low];
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
