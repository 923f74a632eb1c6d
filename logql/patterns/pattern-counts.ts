import type { Template } from './template-tree.ts';

/** Times are counted at, in milliseconds. */
export const SAMPLE_MS = 10_000;
/** Counts of a template that belong together: between them there are zeros, beyond there is nothing. */
const RUN_MS = 3_600_000;

/** How often a template's lines were seen, by time. */
export class PatternCounts {
  readonly template: Template;
  /** Each in ascending order of time. */
  readonly #runs: { readonly fromMs: number; readonly counts: Map<number, number> }[] = [];

  constructor(template: Template) {
    this.template = template;
  }

  /** `timeMs` is a multiple of SAMPLE_MS, and not before the last one. */
  add(timeMs: number, count: number): void {
    let run = this.#runs.at(-1);
    if (run === undefined || timeMs - run.fromMs >= RUN_MS) {
      run = { fromMs: timeMs, counts: new Map() };
      this.#runs.push(run);
    }
    run.counts.set(timeMs, (run.counts.get(timeMs) ?? 0) + count);
  }

  /** Counts by multiples of the step; where that is as fine as they are kept, without zeros. */
  byStep(stepMs: number): Map<number, number> {
    const steps = new Map<number, number>();
    if (stepMs === SAMPLE_MS) {
      for (const { counts } of this.#runs) for (const [timeMs, count] of counts) steps.set(timeMs, count);
      return steps;
    }
    for (const { counts } of this.#runs) {
      let nextMs: number | undefined;
      for (const [timeMs, count] of counts) {
        const step = timeMs - (timeMs % stepMs);
        for (nextMs ??= step; nextMs < step; nextMs += stepMs) if (!steps.has(nextMs)) steps.set(nextMs, 0);
        steps.set(step, (steps.get(step) ?? 0) + count);
      }
    }
    return steps;
  }
}
