import type { Span } from './panes.ts';
import type { Samples } from './samples-by-series.ts';
import { STEP_NUMBERS, type Steps } from './steps.ts';

/** The different values of the samples of one series: column 0 of a row says how many of `values` are its, row by row. */
export interface ValueSpan extends Span {
  readonly values: Float64Array;
  /** How many samples have each. */
  readonly weights: Float64Array;
}

/** Of a series that has samples, in whatever order. */
export function* valuesByPane({ panes, values, extras: weights }: Samples): Steps<ValueSpan> {
  let [from, last] = [panes[0], panes[0]];
  let inOrder = true;
  for (let at = 1; at < panes.length; at++) {
    inOrder &&= panes[at] >= panes[at - 1];
    if (panes[at] < from) from = panes[at];
    if (panes[at] > last) last = panes[at];
    if (at % STEP_NUMBERS === 0) yield;
  }
  const counts = new Float64Array(last - from + 1);
  for (const pane of panes) counts[pane - from]++;
  if (inOrder) return { from, columns: [counts], values, weights };
  const next = startsOf(counts);
  const sorted = { values: new Float64Array(values.length), weights: new Float64Array(values.length) };
  for (let at = 0; at < values.length; at++) {
    const to = next[panes[at] - from]++;
    sorted.values[to] = values[at];
    sorted.weights[to] = weights[at];
    if (at % STEP_NUMBERS === STEP_NUMBERS - 1) yield;
  }
  return { from, columns: [counts], ...sorted };
}

/** Where the values of each row start, and where the last one's end. */
export function startsOf(counts: Float64Array): Uint32Array {
  const starts = new Uint32Array(counts.length + 1);
  for (let row = 0; row < counts.length; row++) starts[row + 1] = starts[row] + counts[row];
  return starts;
}
