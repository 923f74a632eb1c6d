import { parseLabels } from '../labels-text.ts';
import { formatLabels, type Labels } from '../model.ts';

/** Values of one series at the evaluation steps [from, from + length); steps where `present` is 0 have none. What belongs to step `from` stands at `start` of
 *  the columns, which other series may share: objects of its own for each series are what a query of 100,000 of them would spend its memory and time on. */
export class Series {
  /** Canonical text of the labels. */
  readonly text: string;
  readonly from: number;
  readonly start: number;
  readonly length: number;
  readonly values: Float64Array;
  readonly present: Uint8Array;

  constructor(text: string, from: number, columns: SeriesColumns) {
    this.text = text;
    this.from = from;
    this.start = columns.start;
    this.length = columns.length;
    this.values = columns.values;
    this.present = columns.present;
  }

  /** Parsed anew each time. */
  get labels(): Labels {
    return parseLabels(this.text);
  }

  /** Behind the last place in the columns. */
  get end(): number {
    return this.start + this.length;
  }

  /** The same series with other values, at the same steps. */
  with(values: Float64Array, present: Uint8Array): Series {
    return new Series(this.text, this.from, { values, present, start: 0, length: this.length });
  }

  /** The same values under other labels. */
  relabelled(labels: Labels): Series {
    return new Series(formatLabels(labels), this.from, this);
  }
}

export interface SeriesColumns {
  readonly values: Float64Array;
  readonly present: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** Series over the steps of a query. Labels differ, except in what label_replace made. */
export interface Matrix {
  readonly steps: number;
  readonly series: readonly Series[];
}

/** A series without values yet for steps [from, to). */
export function emptySeries(labels: Labels, from: number, to: number): Series {
  const length = Math.max(0, to - from);
  return new Series(formatLabels(labels), from, { values: new Float64Array(length), present: new Uint8Array(length), start: 0, length });
}

/** The same value at every step. */
export function constantSeries(value: number, steps: number): Series {
  const series = emptySeries([], 0, steps);
  series.values.fill(value);
  series.present.fill(1);
  return series;
}

/** Where the value at a step is in the series' columns; -1 if it has none. */
export function positionAt({ from, start, length, present }: Series, step: number): number {
  const at = step - from;
  return at >= 0 && at < length && present[start + at] === 1 ? start + at : -1;
}

export function isEmpty({ present, start, end }: Series): boolean {
  for (let at = start; at < end; at++) if (present[at] === 1) return false;
  return true;
}

/** The steps [from, to) outside of which none of the series has a value. */
export function stepsOf(series: readonly Series[]): { from: number; to: number } {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const one of series) {
    from = Math.min(from, one.from);
    to = Math.max(to, one.from + one.length);
  }
  return { from: Math.min(from, to), to };
}
