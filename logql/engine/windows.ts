/** When a metric query is evaluated: at startNs, startNs + stepNs, … up to endNs, both included. One time for an instant query. */
export interface EvaluationTimes {
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Whole, > 0 unless startNs is endNs. */
  readonly stepNs: number;
  /** Entries before are left out of every window. */
  readonly notBeforeNs?: bigint;
}

export function stepCount({ startNs, endNs, stepNs }: EvaluationTimes): number {
  return endNs <= startNs ? 1 : Number((endNs - startNs) / BigInt(stepNs)) + 1;
}

/** Loki aligns range queries to multiples of the step since the epoch: start down, end up. */
export function alignRange(startNs: bigint, endNs: bigint, stepNs: number): { startNs: bigint; endNs: bigint } {
  const step = BigInt(stepNs);
  return { startNs: floorDivide(startNs, step) * step, endNs: -floorDivide(-endNs, step) * step };
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

/** The windows (t - range, t] of every evaluation time t (less the offset), cut into panes at all of their borders. A sample is put into its one pane;
 *  a window is a run of panes, so overlapping windows share the work. What all windows have in common is one pane.
 *
 *  Per step the borders are the start of a window and, unless the range is a multiple of the step, the end of an earlier one: hence one or two panes. */
export class Windows {
  readonly steps: number;
  /** Number of panes. */
  readonly panes: number;
  /** Entries in [fromNs, toNs) can be in a window. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly rangeNs: number;
  /** Start, exclusive, of the first window. */
  readonly originNs: bigint;
  readonly stepNs: number;
  /** Length of a window beyond whole steps. */
  readonly #restNs: number;
  readonly #wholeSteps: number;
  readonly #commonFrom: number;
  /** How many panes the common one replaces, less itself. */
  readonly #merged: number;

  constructor(times: EvaluationTimes, rangeNs: number, offsetNs: number) {
    this.steps = stepCount(times);
    this.stepNs = this.steps === 1 ? Math.max(rangeNs, 1) : times.stepNs;
    this.rangeNs = rangeNs;
    const first = times.startNs - BigInt(offsetNs);
    this.originNs = first - BigInt(rangeNs);
    this.fromNs = this.originNs + 1n;
    this.toNs = rangeNs === 0 ? this.fromNs : first + BigInt(this.steps - 1) * BigInt(this.stepNs) + 1n;
    // In BigInt: a product of years is beyond what a float64 counts exactly.
    this.#wholeSteps = Number(BigInt(rangeNs) / BigInt(this.stepNs));
    this.#restNs = Number(BigInt(rangeNs) % BigInt(this.stepNs));
    this.#commonFrom = this.#stride * (this.steps - 1);
    this.#merged = Math.max(0, this.#rawEnd(0) - this.#commonFrom - 1);
    this.panes = rangeNs === 0 ? 0 : this.#rawEnd(this.steps - 1) - this.#merged;
  }

  get #stride(): 1 | 2 {
    return this.#restNs > 0 ? 2 : 1;
  }
  #rawEnd(window: number): number {
    return this.#stride * (window + this.#wholeSteps) + (this.#restNs > 0 ? 1 : 0);
  }
  #compress(raw: number): number {
    return raw <= this.#commonFrom ? raw : Math.max(this.#commonFrom, raw - this.#merged);
  }

  /** The first pane of a window. */
  firstPane(window: number): number {
    return this.#stride * window;
  }
  /** The pane after the last one of a window. */
  endPane(window: number): number {
    return this.#compress(this.#rawEnd(window) - 1) + 1;
  }

  /** Finds panes for times given as offsets from `baseNs`. */
  locator(baseNs: bigint): PaneLocator {
    const step = BigInt(this.stepNs);
    const delta = baseNs - this.originNs;
    const compress = (raw: number): number => this.#compress(raw);
    if (this.stepNs > LONGEST_FLOAT_STEP_NS) return new LongStepPanes(step, BigInt(this.#restNs), delta, this.#wholeSteps > 0, compress);
    const steps = floorDivide(delta, step);
    return new ShortStepPanes(this.stepNs, this.#restNs, Number(steps), Number(delta - steps * step), this.#wholeSteps > 0, compress);
  }
}

/** Steps up to this, and an offset within a block behind one, are counted exactly by a float64: half of 2^53 ns, 52 days. */
const LONGEST_FLOAT_STEP_NS = 2 ** 52;

/** Panes of the rows of one block. Exact to the nanosecond for offsets below 2^52, whatever the distance to the query's start. */
export interface PaneLocator {
  /** After `pane`: the last offset of that pane. */
  until: number;
  /** The pane of a time that is within [fromNs, toNs) of the windows; -1 if it is between two windows. */
  pane(offset: number): number;
}

class ShortStepPanes implements PaneLocator {
  until = Number.NEGATIVE_INFINITY;
  readonly #stepNs: number;
  readonly #restNs: number;
  readonly #steps: number;
  readonly #remainder: number;
  readonly #gapless: boolean;
  readonly #compress: (raw: number) => number;

  /** The base is `steps` whole steps and `remainder` ns after the first window's start. */
  constructor(stepNs: number, restNs: number, steps: number, remainder: number, gapless: boolean, compress: (raw: number) => number) {
    this.#stepNs = stepNs;
    this.#restNs = restNs;
    this.#steps = steps;
    this.#remainder = remainder;
    this.#gapless = gapless;
    this.#compress = compress;
  }

  pane(offset: number): number {
    const after = offset + this.#remainder;
    const step = Math.ceil(after / this.#stepNs) - 1;
    const start = step * this.#stepNs - this.#remainder;
    if (this.#restNs === 0) {
      this.until = start + this.#stepNs;
      return this.#compress(this.#steps + step);
    }
    const second = offset > start + this.#restNs;
    this.until = start + (second ? this.#stepNs : this.#restNs);
    return second && !this.#gapless ? -1 : this.#compress(2 * (this.#steps + step) + Number(second));
  }
}

/** As ShortStepPanes, slower, for steps of which a block sees one or two. */
class LongStepPanes implements PaneLocator {
  until = Number.NEGATIVE_INFINITY;
  readonly #stepNs: bigint;
  readonly #restNs: bigint;
  readonly #delta: bigint;
  readonly #gapless: boolean;
  readonly #compress: (raw: number) => number;

  /** The base is `delta` ns after the first window's start. */
  constructor(stepNs: bigint, restNs: bigint, delta: bigint, gapless: boolean, compress: (raw: number) => number) {
    this.#stepNs = stepNs;
    this.#restNs = restNs;
    this.#delta = delta;
    this.#gapless = gapless;
    this.#compress = compress;
  }

  pane(offset: number): number {
    const after = BigInt(offset) + this.#delta;
    const step = floorDivide(after - 1n, this.#stepNs);
    const start = step * this.#stepNs;
    const second = this.#restNs > 0n && after > start + this.#restNs;
    // A border that a float64 rounds is farther away than any row.
    this.until = Number(start + (second || this.#restNs === 0n ? this.#stepNs : this.#restNs) - this.#delta);
    if (this.#restNs === 0n) return this.#compress(Number(step));
    return second && !this.#gapless ? -1 : this.#compress(2 * Number(step) + Number(second));
  }
}
