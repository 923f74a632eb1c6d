/** The first index in [from, to) of ascending `values` that is at or above `bound`; `to` if there is none. */
export function lowerBound(values: Float64Array, bound: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first index in [from, to) of ascending `values` that is above `bound`; `to` if there is none. */
export function upperBound(values: Float64Array, bound: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A row array that grows to the largest block seen, so that no block allocates one. */
export class RowBuffer {
  #rows = new Uint32Array(1024);
  atLeast(length: number): Uint32Array {
    if (this.#rows.length < length) this.#rows = new Uint32Array(Math.max(length, this.#rows.length * 2));
    return this.#rows;
  }
}
