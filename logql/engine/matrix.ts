import { formatLabels, type Labels } from '../model.ts';

/** Values of one series at the evaluation steps [from, from + values.length); steps where `present` is 0 have none. */
export interface Series {
  readonly labels: Labels;
  /** Canonical text of the labels. */
  readonly text: string;
  readonly from: number;
  readonly values: Float64Array;
  readonly present: Uint8Array;
}

/** Series over the steps of a query. Labels differ, except in what label_replace made. */
export interface Matrix {
  readonly steps: number;
  readonly series: readonly Series[];
}

/** A series without values yet for steps [from, to). */
export function emptySeries(labels: Labels, from: number, to: number): Series {
  const length = Math.max(0, to - from);
  return { labels, text: formatLabels(labels), from, values: new Float64Array(length), present: new Uint8Array(length) };
}

/** The same value at every step. */
export function constantSeries(value: number, steps: number): Series {
  const series = emptySeries([], 0, steps);
  series.values.fill(value);
  series.present.fill(1);
  return series;
}

export function relabel(series: Series, labels: Labels): Series {
  return { ...series, labels, text: formatLabels(labels) };
}

/** Where the value at a step is in the series' columns; -1 if it has none. */
export function positionAt({ from, present }: Series, step: number): number {
  const at = step - from;
  return at >= 0 && at < present.length && present[at] === 1 ? at : -1;
}

export function isEmpty({ present }: Series): boolean {
  return !present.includes(1);
}

/** The steps [from, to) outside of which none of the series has a value. */
export function stepsOf(series: readonly Series[]): { from: number; to: number } {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const one of series) {
    from = Math.min(from, one.from);
    to = Math.max(to, one.from + one.values.length);
  }
  return { from: Math.min(from, to), to };
}
