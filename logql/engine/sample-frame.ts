import { bytesOf, float64View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { formatLabels, type Label, type Labels } from '../model.ts';
import type { Leaf } from '../plan.ts';
import { operationOf } from './accumulate.ts';
import { emptySeries, type Matrix, type Series } from './matrix.ts';
import { GrowingColumns, type Span } from './panes.ts';
import { STEP_ITEMS, type Steps, sorted } from './steps.ts';

/** A leaf's result from one querier: aggregates of windows by series. */
export interface SampleFrame {
  readonly steps: number;
  readonly series: readonly (Span & { readonly labels: Labels })[];
}

interface Header {
  steps: number;
  columns: number;
  /** Parts that hold labels. */
  labelParts: number;
  /** First window and number of windows of each series. */
  from: number[];
  length: number[];
}

/** A header as JSON; the labels of the series as JSON, so many in each part; then each column as Float64s, the series one after the other. */
export function* encodeSampleFrame(steps: number, series: SampleFrame['series']): Steps<Uint8Array[]> {
  const columns = series.length === 0 ? 0 : series[0].columns.length;
  const labels: Uint8Array[] = [];
  for (let at = 0; at < series.length; at += STEP_ITEMS) {
    labels.push(Buffer.from(JSON.stringify(series.slice(at, at + STEP_ITEMS).map((one) => one.labels))));
    yield;
  }
  const header: Header = {
    steps,
    columns,
    labelParts: labels.length,
    from: series.map((one) => one.from),
    length: series.map((one) => one.columns[0].length),
  };
  const total = header.length.reduce((sum, length) => sum + length, 0);
  const frames: Uint8Array[] = [Buffer.from(JSON.stringify(header)), ...labels];
  for (let index = 0; index < columns; index++) {
    const values = new Float64Array(total);
    let at = 0;
    for (const one of series) {
      values.set(one.columns[index], at);
      at += one.columns[index].length;
    }
    frames.push(bytesOf(values));
    yield;
  }
  return frames;
}

/** Columns are views into `frames`. Throws Fault corrupt. */
export function* decodeSampleFrame(frames: readonly Uint8Array[]): Steps<SampleFrame> {
  const header = JSON.parse(Buffer.from(frames[0]).toString()) as Header;
  const total = header.length.reduce((sum, length) => sum + length, 0);
  const columns = frames.slice(1 + header.labelParts);
  if (columns.length !== header.columns || columns.some((column) => column.length !== total * 8)) {
    throw new Fault('corrupt', `a sample frame of ${frames.length} parts does not hold its ${header.columns} columns of ${total} values`);
  }
  const views = columns.map((column) => float64View(column, 0, total));
  const series: (Span & { readonly labels: Labels })[] = [];
  let at = 0;
  for (const part of frames.slice(1, 1 + header.labelParts)) {
    for (const labels of JSON.parse(Buffer.from(part).toString()) as Labels[]) {
      const start = at;
      const number = series.length;
      at += header.length[number];
      series.push({ labels, from: header.from[number], columns: views.map((view) => view.subarray(start, at)) });
    }
    yield;
  }
  if (series.length !== header.length.length)
    throw new Fault('corrupt', `a sample frame names ${series.length} of its ${header.length.length} series`);
  return { steps: header.steps, series };
}

/** The values of a leaf from the frames of queriers, each over its own set of streams. Frames of a leaf that is not mergeable have no series in common. Series are in the order
 *  of their labels, so that what is computed from them (the first of equal values in a topk) does not depend on where their entries lie. */
export function* mergeSampleFrames(leaf: Leaf, frames: readonly (readonly Uint8Array[])[]): Steps<Matrix> {
  const { accumulation, finish } = operationOf(leaf.range);
  const decoded: SampleFrame[] = [];
  for (const frame of frames) decoded.push(yield* decodeSampleFrame(frame));
  const steps = decoded[0]?.steps ?? 0;
  const merged = new Map<string, Span & { labels: Labels }>();
  let done = 0;
  for (const one of decoded.flatMap(({ series }) => series)) {
    if (++done % STEP_ITEMS === 0) yield;
    const text = formatLabels(one.labels);
    const known = merged.get(text);
    if (known === undefined) {
      merged.set(text, one);
      continue;
    }
    if (!leaf.mergeable) throw new Fault('internal', `results of ${leaf.range.op} for the series ${text} cannot be merged`);
    const sum = new GrowingColumns(accumulation, steps);
    for (const { from, columns } of [known, one]) {
      for (let row = 0; row < columns[0].length; row++) if (columns[0][row] > 0) sum.combine(from + row, columns, row);
    }
    merged.set(text, { labels: one.labels, ...sum.span() });
  }
  if (leaf.range.op === 'absent_over_time') return absence(leaf, steps, [...merged.values()]);
  const rangeS = leaf.range.rangeNs / 1e9;
  const series: Series[] = [];
  for (const { labels, from, columns } of merged.values()) {
    if (++done % STEP_ITEMS === 0) yield;
    const one = emptySeries(labels, from, from + columns[0].length);
    for (let row = 0; row < columns[0].length; row++) {
      if (columns[0][row] === 0) continue;
      one.present[row] = 1;
      one.values[row] = finish(columns, row, rangeS);
    }
    series.push(one);
  }
  return { steps, series: yield* sorted(series, (a, b) => (a.text < b.text ? -1 : 1)) };
}

/** 1 wherever no series has a sample, under the labels that the selector's equalities give. */
function absence({ range }: Leaf, steps: number, series: readonly Span[]): Matrix {
  const equal = range.log.matchers.filter(({ op }) => op === '=');
  const labels = equal
    .filter(({ name, value }) => value !== '' && range.log.matchers.filter((other) => other.name === name).length === 1)
    .map(({ name, value }): Label => [name, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const absent = emptySeries(labels, 0, steps);
  absent.present.fill(1);
  absent.values.fill(1);
  for (const { from, columns } of series) {
    for (let row = 0; row < columns[0].length; row++) if (columns[0][row] > 0) absent.present[from + row] = 0;
  }
  return { steps, series: absent.present.includes(1) ? [absent] : [] };
}
