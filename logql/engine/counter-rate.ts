import type { Span } from './panes.ts';
import type { Samples } from './samples-by-series.ts';
import { STEP_NUMBERS, type Steps } from './steps.ts';
import type { Windows } from './windows.ts';

/** The rate of a counter in every window, as count and value, from the samples of its series, which are put in the order of their times. */
export function* counterRates(samples: Samples, windows: Windows): Steps<Span> {
  const { panes, extras: times, values } = yield* byTime(samples);
  const rate = counterRateOf(windows.rangeNs);
  const counts = new Float64Array(windows.steps);
  const results = new Float64Array(windows.steps);
  let from = 0;
  let to = 0;
  let looked = 0;
  for (let window = 0; window < windows.steps; window++) {
    const firstPane = windows.firstPane(window);
    const endPane = windows.endPane(window);
    while (to < panes.length && panes[to] < endPane) to++;
    while (from < to && panes[from] < firstPane) from++;
    counts[window] = to - from;
    if (to > from) results[window] = rate(times.subarray(from, to), values.subarray(from, to), window * windows.stepNs);
    looked += 1 + to - from;
    if (looked < STEP_NUMBERS) continue;
    looked = 0;
    yield;
  }
  return { from: 0, columns: [counts, results] };
}

/** The samples in the order of their times; equal ones stay as they came. They come as long runs that are in order, which are merged two at a time. */
function* byTime(samples: Samples): Steps<Samples> {
  const { panes, extras: times, values } = samples;
  const { length } = panes;
  const isBefore = (a: number, b: number): boolean => (panes[a] - panes[b] || times[a] - times[b]) < 0;
  let starts = [0];
  for (let at = 1; at < length; at++) if (isBefore(at, at - 1)) starts.push(at);
  if (starts.length === 1) return samples;
  let order = Uint32Array.from({ length }, (_, at) => at);
  let merged = new Uint32Array(length);
  while (starts.length > 1) {
    const next: number[] = [];
    for (let run = 0; run < starts.length; run += 2) {
      const [start, middle = length, end = length] = starts.slice(run, run + 3);
      next.push(start);
      for (let to = start, one = start, other = middle; to < end; to++) {
        merged[to] = other === end || (one < middle && !isBefore(order[other], order[one])) ? order[one++] : order[other++];
        if (to % STEP_NUMBERS === STEP_NUMBERS - 1) yield;
      }
    }
    [order, merged, starts] = [merged, order, next];
    yield;
  }
  return {
    panes: Uint32Array.from(order, (at) => panes[at]),
    extras: Float64Array.from(order, (at) => times[at]),
    values: Float64Array.from(order, (at) => values[at]),
  };
}

/** The value of a window that starts at `startNs`, exclusive, from its samples in the order of time; there is at least one. */
type WindowFunction = (times: Float64Array, values: Float64Array, startNs: number) => number;

/** Increase per second of a counter that may start again at 0. As in Prometheus it is extrapolated to the borders of the window where samples come close to
 *  them, by half the samples' distance elsewhere, and never to before the time at which the counter would have been 0. One sample gives 0. */
export function counterRateOf(rangeNs: number): WindowFunction {
  return (times, values, startNs) => {
    const last = values.length - 1;
    if (last === 0) return 0;
    let increase = values[last] - values[0];
    for (let at = 1; at <= last; at++) if (values[at] < values[at - 1]) increase += values[at - 1];
    const sampled = times[last] - times[0];
    const spacing = sampled / last;
    const near = (distance: number): number => (distance < spacing * 1.1 ? distance : spacing / 2);
    let before = near(times[0] - startNs);
    if (increase > 0 && values[0] >= 0) before = Math.min(before, sampled * (values[0] / increase));
    const extrapolated = sampled + before + near(startNs + rangeNs - times[last]);
    return (increase * (extrapolated / sampled)) / (rangeNs / 1e9);
  };
}
