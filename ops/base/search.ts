/** The first index in [from, to) of ascending `values` whose value is at or above `bound`; `to` if there is none. */
export function lowerBound(values: Float64Array, from: number, to: number, bound: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
