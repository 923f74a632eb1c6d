import type { LabelState } from './label-state.ts';
import type { CompiledLineFilter } from './line-filter.ts';

/** What one stage of a query did with the rows that came to it. */
export interface StageProfile {
  /** As it stands in the query. */
  readonly stage: string;
  /** Whether it runs over columns, in front of everything else, or over one row at a time. */
  readonly over: 'columns' | 'rows';
  rowsIn: number;
  rowsOut: number;
  ms: number;
}

/** Measures the stages of a pipeline; a row stage is measured for every row, which costs more than many a stage does. */
export class PipelineProfile {
  readonly stages: StageProfile[] = [];
  readonly #nowMs: () => number;

  /** `nowMs`: a clock that never goes back, of less than a millisecond. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  filter(stage: string, filter: CompiledLineFilter): CompiledLineFilter {
    const profile = this.#add(stage, 'columns');
    return {
      ...filter,
      narrow: (lines, ends, rows, count) => {
        const startMs = this.#nowMs();
        const left = filter.narrow(lines, ends, rows, count);
        return this.#note(profile, startMs, count, left);
      },
    };
  }

  step(stage: string, step: (state: LabelState) => boolean): (state: LabelState) => boolean {
    const profile = this.#add(stage, 'rows');
    return (state) => {
      const startMs = this.#nowMs();
      return this.#note(profile, startMs, 1, Number(step(state))) === 1;
    };
  }

  #add(stage: string, over: StageProfile['over']): StageProfile {
    const profile = { stage, over, rowsIn: 0, rowsOut: 0, ms: 0 };
    this.stages.push(profile);
    return profile;
  }

  #note(profile: StageProfile, startMs: number, rowsIn: number, rowsOut: number): number {
    profile.ms += this.#nowMs() - startMs;
    profile.rowsIn += rowsIn;
    profile.rowsOut += rowsOut;
    return rowsOut;
  }
}

/** The same stages, measured in several places, added up. */
export function addProfiles(profiles: readonly (readonly StageProfile[])[]): StageProfile[] {
  const sums = (profiles[0] ?? []).map((stage) => ({ ...stage }));
  for (const stages of profiles.slice(1)) {
    for (const [index, { rowsIn, rowsOut, ms }] of stages.entries()) {
      sums[index].rowsIn += rowsIn;
      sums[index].rowsOut += rowsOut;
      sums[index].ms += ms;
    }
  }
  return sums;
}
