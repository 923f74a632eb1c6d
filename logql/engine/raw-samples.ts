import type { Columns } from './accumulate.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Span } from './panes.ts';
import type { Windows } from './windows.ts';

/** Pane, time and value. */
const SAMPLE_BYTES = 20;

/** Every sample of one series, for what cannot be computed from aggregates. Times are nanoseconds after the first window's start; beyond 2^53 they are
 *  rounded, so it is the panes that say which windows a sample is in. */
export class RawSamples {
  #panes = new Uint32Array(16);
  #times = new Float64Array(16);
  #values = new Float64Array(16);
  #length = 0;
  #ordered = true;
  readonly #memory: MemoryBudget | undefined;

  constructor(memory?: MemoryBudget) {
    this.#memory = memory;
  }

  add(pane: number, value: number, time: number): void {
    const at = this.#length++;
    if (at === this.#times.length) {
      this.#memory?.take(at * SAMPLE_BYTES);
      this.#panes = grown(this.#panes, new Uint32Array(at * 2));
      this.#times = grown(this.#times, new Float64Array(at * 2));
      this.#values = grown(this.#values, new Float64Array(at * 2));
    }
    if (at > 0 && (time < this.#times[at - 1] || pane < this.#panes[at - 1])) this.#ordered = false;
    this.#panes[at] = pane;
    this.#times[at] = time;
    this.#values[at] = value;
  }

  /** The value of every window that has samples, as count and value. */
  evaluate(windows: Windows, compute: WindowFunction): Span {
    this.#sort();
    const counts = new Float64Array(windows.steps);
    const values = new Float64Array(windows.steps);
    let from = 0;
    let to = 0;
    for (let window = 0; window < windows.steps; window++) {
      const first = windows.firstPane(window);
      const end = windows.endPane(window);
      while (to < this.#length && this.#panes[to] < end) to++;
      while (from < to && this.#panes[from] < first) from++;
      counts[window] = to - from;
      if (to > from) values[window] = compute(this.#times.subarray(from, to), this.#values.subarray(from, to), window * windows.stepNs);
    }
    return { from: 0, columns: [counts, values] as Columns };
  }

  #sort(): void {
    if (this.#ordered) return;
    const [panes, times, values] = [this.#panes, this.#times, this.#values];
    const order = Uint32Array.from({ length: this.#length }, (_, index) => index);
    order.sort((a, b) => panes[a] - panes[b] || times[a] - times[b] || a - b);
    this.#panes = Uint32Array.from(order, (index) => panes[index]);
    this.#times = Float64Array.from(order, (index) => times[index]);
    this.#values = Float64Array.from(order, (index) => values[index]);
    this.#ordered = true;
  }
}

function grown<A extends Float64Array | Uint32Array>(column: A, larger: A): A {
  larger.set(column);
  return larger;
}

/** The value of a window that starts at `startNs`, exclusive, from its samples in the order of time; there is at least one. */
export type WindowFunction = (times: Float64Array, values: Float64Array, startNs: number) => number;

/** The φ-quantile, interpolated between the two nearest ranks. Below 0 and above 1 it is infinite, as in Prometheus. */
export function quantileOf(parameter: number): WindowFunction {
  let scratch = new Float64Array(0);
  return (_times, values) => {
    if (Number.isNaN(parameter)) return Number.NaN;
    if (parameter < 0) return Number.NEGATIVE_INFINITY;
    if (parameter > 1) return Number.POSITIVE_INFINITY;
    const { length } = values;
    if (scratch.length < length) scratch = new Float64Array(length * 2);
    scratch.set(values);
    const position = parameter * (length - 1);
    const rank = Math.floor(position);
    const low = selectRank(scratch, length, rank);
    let high = rank + 1 < length ? scratch[rank + 1] : low;
    for (let at = rank + 2; at < length; at++) if (scratch[at] < high) high = scratch[at];
    // Not the difference's share: of an infinite value that gives something else, and a weight of 0 makes NaN of it.
    return low * (1 - (position - rank)) + high * (position - rank);
  };
}

/** Reorders values[0, length) so that none before `rank` is above the value there and none behind it is below, and returns that value. NaN counts as the
 *  lowest. Quickselect, linear on average; where its pivots are bad it sorts what is left, so that no data can make it quadratic. */
function selectRank(values: Float64Array, length: number, rank: number): number {
  let low = 0;
  for (let at = 0; at < length; at++) {
    if (!Number.isNaN(values[at])) continue;
    values[at] = values[low];
    values[low++] = Number.NaN;
  }
  let high = length - 1;
  for (let turns = 2 * Math.log2(length); low < high && rank >= low; turns--) {
    if (turns < 0) {
      values.subarray(low, high + 1).sort();
      break;
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
