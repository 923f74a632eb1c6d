import type { Span } from './panes.ts';
import { STEP_NUMBERS, type Steps } from './steps.ts';
import { startsOf, type ValueSpan } from './value-span.ts';
import type { Windows } from './windows.ts';

/** The φ-quantile of every window of a series, as count and value, from the values by pane that each querier has of it. */
export function* quantilesOf(parameter: number, spans: readonly ValueSpan[], windows: Windows): Steps<Span> {
  const { from, starts, values } = yield* joined(spans);
  const counts = new Float64Array(windows.steps);
  const results = new Float64Array(windows.steps);
  const scratch = new Float64Array(values.length);
  const startOf = (pane: number): number => starts[Math.max(0, Math.min(starts.length - 1, pane - from))];
  for (let window = 0; window < windows.steps; window++) {
    const own = values.subarray(startOf(windows.firstPane(window)), startOf(windows.endPane(window)));
    counts[window] = own.length;
    if (own.length === 0) continue;
    scratch.set(own);
    results[window] = yield* quantile(parameter, scratch.subarray(0, own.length));
    yield;
  }
  return { from: 0, columns: [counts, results] };
}

/** One span of all, and where the values of each of its panes start. */
function* joined(spans: readonly ValueSpan[]): Steps<{ from: number; starts: Uint32Array; values: Float64Array }> {
  if (spans.length === 1) return { from: spans[0].from, starts: startsOf(spans[0].columns[0]), values: spans[0].values };
  const from = spans.reduce((least, span) => Math.min(least, span.from), Number.POSITIVE_INFINITY);
  const end = spans.reduce((most, span) => Math.max(most, span.from + span.columns[0].length), 0);
  const counts = new Float64Array(end - from);
  for (const span of spans) for (const [row, count] of span.columns[0].entries()) counts[span.from - from + row] += count;
  const starts = startsOf(counts);
  const next = starts.slice();
  const values = new Float64Array(starts[starts.length - 1]);
  for (const span of spans) {
    let at = 0;
    for (const [row, count] of span.columns[0].entries()) {
      const pane = span.from - from + row;
      values.set(span.values.subarray(at, at + count), next[pane]);
      next[pane] += count;
      at += count;
    }
    yield;
  }
  return { from, starts, values };
}

/** The φ-quantile, interpolated between the two nearest ranks. Below 0 and above 1 it is infinite, as in Prometheus. Reorders `values`, of which there is at least
 *  one. */
export function* quantile(parameter: number, values: Float64Array): Steps<number> {
  if (Number.isNaN(parameter)) return Number.NaN;
  if (parameter < 0) return Number.NEGATIVE_INFINITY;
  if (parameter > 1) return Number.POSITIVE_INFINITY;
  const position = parameter * (values.length - 1);
  const rank = Math.floor(position);
  const low = yield* selectRank(values, rank);
  let high = rank + 1 < values.length ? values[rank + 1] : low;
  for (let at = rank + 2; at < values.length; at++) if (values[at] < high) high = values[at];
  // Not the difference's share: of an infinite value that gives something else, and a weight of 0 makes NaN of it.
  return low * (1 - (position - rank)) + high * (position - rank);
}

/** Reorders the values so that none before `rank` is above the one there and none behind it is below, and returns that one. NaN counts as the lowest.
 *  Quickselect, linear on average; where its pivots are bad it sorts what is left, so that no data can make it quadratic. */
function* selectRank(values: Float64Array, rank: number): Steps<number> {
  let low = 0;
  for (let at = 0; at < values.length; at++) {
    if (!Number.isNaN(values[at])) continue;
    values[at] = values[low];
    values[low++] = Number.NaN;
  }
  let high = values.length - 1;
  let looked = values.length;
  for (let turns = 2 * Math.log2(values.length); low < high && rank >= low; turns--) {
    if (turns < 0) {
      values.subarray(low, high + 1).sort();
      break;
    }
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
      if (left > right) break;
      const swapped = values[left];
      values[left++] = values[right];
      values[right--] = swapped;
    }
    if (rank <= right) high = right;
    else if (rank >= left) low = left;
    else break;
  }
  return values[rank];
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
