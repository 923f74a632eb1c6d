import { bytesOf, float64View, uint32View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Label } from '../model.ts';
import type { Leaf } from '../plan.ts';
import type { RangeAggregation } from '../syntax/ast.ts';
import { operationOf } from './accumulate.ts';
import { GrowingFloats, GrowingIntegers } from './growing.ts';
import { emptySeries, type Matrix, Series } from './matrix.ts';
import { PaneStore, type Span } from './panes.ts';
import { quantilesOf, type WeightedValues } from './quantile.ts';
import { STEP_ITEMS, type Steps } from './steps.ts';
import type { ValueSpan } from './value-span.ts';
import { type EvaluationTimes, Windows } from './windows.ts';

/** Windows that are worked on between two stops. */
const STEP_ROWS = 8_192;

interface Header {
  readonly steps: number;
  readonly columns: number;
  /** Whether the last two columns are of values and their weights. */
  readonly values: boolean;
  /** Parts that hold texts. */
  readonly textParts: number;
}

/** Of one leaf's result from one querier. */
interface SampleFrame {
  readonly steps: number;
  /** Texts of series, so many in each: one per line. */
  readonly texts: readonly Uint8Array[];
  /** First window and number of windows of each series. */
  readonly from: Uint32Array;
  readonly lengths: Uint32Array;
  /** The windows of the series one after the other. */
  readonly columns: readonly Float64Array[];
  /** See ValueSpan; as many as the first column says. */
  readonly weighted: WeightedValues | undefined;
}

/** Writes a frame: a header as JSON; the texts of the series, one per line, so many in each part; first window and number of windows of each as Uint32s; then each
 *  column as Float64s, the series one after the other; values, if it is those, and their weights, as two more. */
export class SampleFrameWriter {
  readonly #steps: number;
  readonly #texts: Uint8Array[] = [];
  readonly #from = new GrowingIntegers();
  readonly #lengths = new GrowingIntegers();
  readonly #columns: GrowingFloats[] = [];
  #weighted: readonly [values: GrowingFloats, weights: GrowingFloats] | undefined;
  #part: string[] = [];
  /** Since the last stop. */
  #rows = 0;

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Aggregates of the windows of one series, or values of its panes. Series come in the order of their texts. */
  *add(text: string, span: Span | ValueSpan): Steps<void> {
    this.#part.push(text);
    this.#from.push(span.from);
    this.#lengths.push(span.columns[0].length);
    for (const [index, column] of span.columns.entries()) {
      this.#columns[index] ??= new GrowingFloats();
      this.#columns[index].append(column);
    }
    if ('values' in span) {
      this.#weighted ??= [new GrowingFloats(), new GrowingFloats()];
      this.#weighted[0].append(span.values);
      this.#weighted[1].append(span.weights);
    }
    this.#rows += span.columns[0].length;
    if (this.#part.length < STEP_ITEMS && this.#rows < STEP_ROWS) return;
    this.#rows = 0;
    if (this.#part.length >= STEP_ITEMS) this.#endPart();
    yield;
  }

  #endPart(): void {
    if (this.#part.length > 0) this.#texts.push(Buffer.from(this.#part.join('\n')));
    this.#part = [];
  }

  finish(): Uint8Array[] {
    this.#endPart();
    const columns = [...this.#columns, ...(this.#weighted ?? [])];
    const header: Header = {
      steps: this.#steps,
      columns: columns.length,
      values: this.#weighted !== undefined,
      textParts: this.#texts.length,
    };
    return [
      Buffer.from(JSON.stringify(header)),
      ...this.#texts,
      bytesOf(this.#from.values()),
      bytesOf(this.#lengths.values()),
      ...columns.map((column) => bytesOf(column.values())),
    ];
  }
}

/** Columns are views into `frames`. Throws Fault corrupt. */
function decodeSampleFrame(frames: readonly Uint8Array[]): SampleFrame {
  const { steps, columns: count, values: hasValues, textParts } = JSON.parse(Buffer.from(frames[0]).toString()) as Header;
  const [from, lengths, ...columns] = frames.slice(1 + textParts);
  const series = (lengths?.length ?? 0) / Uint32Array.BYTES_PER_ELEMENT;
  const decoded = lengths === undefined ? new Uint32Array(0) : uint32View(lengths, 0, series);
  const total = decoded.reduce((sum, length) => sum + length, 0);
  const weighted = hasValues ? columns.splice(-2) : [];
  if (
    columns.length + weighted.length !== count ||
    from.length !== lengths.length ||
    weighted[0]?.length !== weighted[1]?.length ||
    columns.some((column) => column.length !== total * 8)
  ) {
    throw new Fault('corrupt', `a sample frame of ${frames.length} parts does not hold its ${count} columns of ${total} values`);
  }
  return {
    steps,
    texts: frames.slice(1, 1 + textParts),
    from: uint32View(from, 0, series),
    lengths: decoded,
    columns: columns.map((column) => float64View(column, 0, total)),
    weighted: hasValues ? { values: wholeFloats(weighted[0]), weights: wholeFloats(weighted[1]) } : undefined,
  };
}

function wholeFloats(bytes: Uint8Array): Float64Array {
  return float64View(bytes, 0, bytes.length / Float64Array.BYTES_PER_ELEMENT);
}

/** The values of a leaf at `times` from the frames of queriers, each over its own entries. Frames of a leaf that is not mergeable have no series in common. Series are in the order
 *  of their texts, so that what is computed from them (the first of equal values in a topk) does not depend on where their entries lie. Throws Fault corrupt. */
export function* mergeSampleFrames(leaf: Leaf, times: EvaluationTimes, frames: readonly (readonly Uint8Array[])[]): Steps<Matrix> {
  const decoded = frames.map(decodeSampleFrame);
  const steps = decoded[0]?.steps ?? 0;
  const windows = new Windows(times, leaf.range.rangeNs, leaf.range.offsetNs);
  const out = new SeriesWriter(leaf.range);
  const sums = new PaneStore(operationOf(leaf.range).accumulation, steps);
  let merged = 0;
  let rows = 0;
  let open = decoded.map((frame) => new FrameCursor(frame)).filter((cursor) => !cursor.ended);
  for (let done = 1; open.length > 0; done++) {
    const { text } = open.reduce((least, cursor) => (cursor.text < least.text ? cursor : least));
    const same = open.filter((cursor) => cursor.text === text);
    const spans = same.map((cursor) => cursor.span());
    if (leaf.range.op === 'quantile_over_time')
      out.add(text, yield* quantilesOf(leaf.range.parameter ?? Number.NaN, spans.map(withValues), windows));
    else if (spans.length === 1) out.add(text, spans[0]);
    else {
      if (!leaf.mergeable) throw new Fault('internal', `results of ${leaf.range.op} for the series ${text} cannot be merged`);
      for (const { from, columns } of spans) {
        for (let row = 0; row < columns[0].length; row++) if (columns[0][row] > 0) sums.combine(merged, from + row, columns, row);
      }
      out.add(text, sums.span(merged++));
    }
    for (const cursor of same) cursor.advance();
    if (same.some((cursor) => cursor.ended)) open = open.filter((cursor) => !cursor.ended);
    rows += spans[0].columns[0].length;
    if (done % STEP_ITEMS !== 0 && rows < STEP_ROWS) continue;
    rows = 0;
    yield;
  }
  return { steps, series: leaf.range.op === 'absent_over_time' ? absence(leaf, steps, out.series) : out.series };
}

function withValues(span: Span | ValueSpan): ValueSpan {
  if ('values' in span) return span;
  throw new Fault('corrupt', 'a sample frame of a quantile has no values');
}

/** The series of a frame, one after the other. */
class FrameCursor {
  readonly #frame: SampleFrame;
  #texts: readonly string[] = [];
  #nextPart = 0;
  #inPart = -1;
  #series = -1;
  #at = 0;
  /** Of the values. */
  #valuesAt = 0;
  #valuesEnd = 0;
  text = '';
  ended = false;

  constructor(frame: SampleFrame) {
    this.#frame = frame;
    this.advance();
  }

  span(): Span | ValueSpan {
    const { from, lengths, columns, weighted } = this.#frame;
    const end = this.#at + lengths[this.#series];
    const span = { from: from[this.#series], columns: columns.map((column) => column.subarray(this.#at, end)) };
    if (weighted === undefined) return span;
    const own = (column: Float64Array): Float64Array => column.subarray(this.#valuesAt, this.#valuesEnd);
    return { ...span, values: own(weighted.values), weights: own(weighted.weights) };
  }

  advance(): void {
    const { texts, lengths, weighted } = this.#frame;
    if (this.#series >= 0) this.#at += lengths[this.#series];
    this.#series++;
    this.#inPart++;
    if (this.#inPart === this.#texts.length && this.#nextPart < texts.length) {
      this.#texts = Buffer.from(texts[this.#nextPart++])
        .toString()
        .split('\n');
      this.#inPart = 0;
    }
    this.ended = this.#inPart >= this.#texts.length;
    if (this.ended !== (this.#series === lengths.length)) {
      throw new Fault('corrupt', `a sample frame does not name each of its ${lengths.length} series`);
    }
    if (this.ended) return;
    this.text = this.#texts[this.#inPart];
    if (weighted === undefined) return;
    this.#valuesAt = this.#valuesEnd;
    for (const count of this.#frame.columns[0].subarray(this.#at, this.#at + lengths[this.#series])) this.#valuesEnd += count;
    if (this.#valuesEnd > weighted.values.length) throw new Fault('corrupt', `a sample frame lacks some of its ${this.#valuesEnd} values`);
  }
}

/** Most values of columns that series share. */
const PAGE_VALUES = 16_384;

/** Series with the values of their aggregates, in columns that they share. */
class SeriesWriter {
  readonly series: Series[] = [];
  readonly #finish: ReturnType<typeof operationOf>['finish'];
  readonly #rangeS: number;
  #page = { values: new Float64Array(0), present: new Uint8Array(0) };
  #taken = 0;

  constructor(range: RangeAggregation) {
    this.#finish = operationOf(range).finish;
    this.#rangeS = range.rangeNs / 1e9;
  }

  add(text: string, { from, columns }: Span): void {
    const [counts] = columns;
    const { length } = counts;
    if (this.#taken + length > this.#page.values.length) {
      const size = Math.max(length, Math.min(PAGE_VALUES, 2 * this.#page.values.length));
      this.#page = { values: new Float64Array(size), present: new Uint8Array(size) };
      this.#taken = 0;
    }
    const start = this.#taken;
    this.#taken += length;
    const { values, present } = this.#page;
    for (let row = 0; row < length; row++) {
      if (counts[row] === 0) continue;
      present[start + row] = 1;
      values[start + row] = this.#finish(columns, row, this.#rangeS);
    }
    this.series.push(new Series(text, from, { values, present, start, length }));
  }
}

/** 1 wherever no series has a sample, under the labels that the selector's equalities give. */
function absence({ range }: Leaf, steps: number, series: readonly Series[]): Series[] {
  const equal = range.log.matchers.filter(({ op }) => op === '=');
  const labels = equal
    .filter(({ name, value }) => value !== '' && range.log.matchers.filter((other) => other.name === name).length === 1)
    .map(({ name, value }): Label => [name, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const absent = emptySeries(labels, 0, steps);
  absent.present.fill(1);
  absent.values.fill(1);
  for (const { from, start, end, present } of series) {
    for (let at = start; at < end; at++) if (present[at] === 1) absent.present[from + at - start] = 0;
  }
  return absent.present.includes(1) ? [absent] : [];
}
