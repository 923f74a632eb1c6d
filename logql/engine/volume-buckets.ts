const MS_NS = 1_000_000n;

/** The times that volumes are of: from startNs to endNs, both included, cut at multiples of stepNs since the epoch, or in one piece if stepNs is 0. */
export interface VolumeTimes {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly stepNs: number;
}

/** Numbers the pieces from 0. There is one at least. */
export class VolumeBuckets {
  readonly count: number;
  readonly #times: VolumeTimes;
  readonly #stepNs: bigint;
  /** Where the first would start if it were whole. */
  readonly #originNs: bigint;

  constructor(times: VolumeTimes) {
    const { startNs, endNs, stepNs } = times;
    const whole = endNs > startNs ? endNs - startNs : 1n;
    this.#times = times;
    this.#stepNs = stepNs > 0 ? BigInt(stepNs) : whole;
    this.#originNs = stepNs > 0 ? startNs - positiveRest(startNs, this.#stepNs) : startNs;
    this.count = endNs > startNs ? Number((endNs - 1n - this.#originNs) / this.#stepNs) + 1 : 1;
  }

  /** Of a time within the range. The end belongs to the last piece even where another would begin. */
  bucketOf(timeNs: bigint): number {
    return Math.min(Number((timeNs - this.#originNs) / this.#stepNs), this.count - 1);
  }

  startNs(bucket: number): bigint {
    return bucket === 0 ? this.#times.startNs : this.#originNs + BigInt(bucket) * this.#stepNs;
  }

  /** Exclusive. */
  endNs(bucket: number): bigint {
    return bucket === this.count - 1 ? this.#times.endNs + 1n : this.startNs(bucket + 1);
  }

  /** The time that the answer gives a bucket's volume: its last millisecond, of the last bucket its end, as Loki has it. */
  stampNs(bucket: number): bigint {
    return bucket === this.count - 1 ? this.#times.endNs : this.endNs(bucket) - MS_NS;
  }
}

function positiveRest(value: bigint, divisor: bigint): bigint {
  return ((value % divisor) + divisor) % divisor;
}
