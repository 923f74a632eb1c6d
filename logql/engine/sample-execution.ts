import { Fault } from '../../ops/base/fault.ts';
import { type Block, type BlockOutline, formatLabels, type Label, type Labels, type Matcher } from '../model.ts';
import { compilePipeline } from '../pipeline/compile.ts';
import type { Observed, Pipeline, StreamPipeline } from '../pipeline/pipeline.ts';
import type { PipelineProfile } from '../pipeline/profile.ts';
import { type Leaf, readLeaf } from '../plan.ts';
import { streamHash } from '../stream-hash.ts';
import type { Stage } from '../syntax/ast.ts';
import { parseExpr } from '../syntax/parse.ts';
import { operationOf } from './accumulate.ts';
import { lowerBound, RowBuffer, upperBound } from './columns.ts';
import { tooManySeries } from './evaluate.ts';
import { countBlock, type ExecutionStats, noStats } from './execution-stats.ts';
import { keepLabels, type SeriesLabels, seriesLabelsOf } from './grouping.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { hasPushedErrors, RowSeries } from './row-series.ts';
import { SampleFrameWriter } from './sample-frame.ts';
import { type SeriesStore, seriesStore } from './series-store.ts';
import { type Steps, sorted } from './steps.ts';
import { type EvaluationTimes, type PaneLocator, Windows } from './windows.ts';

/** One leaf of a metric query over the streams and blocks it is given. */
export interface SampleExecution {
  readonly matchers: readonly Matcher[];
  /** Entries in [fromNs, toNs) are needed. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  /** Texts that every line must contain to count; for skip filters. */
  readonly required: readonly string[];
  /** Whether stages look at lines in ways that may take long. */
  readonly demanding: boolean;
  /** Labels that every entry must have to count before the first stage; for skip filters. */
  readonly requiredLabels: readonly Label[];
  readonly stats: ExecutionStats;
  /** Whether no line of a block with this outline is looked at. */
  lineless(outline: BlockOutline): boolean;
  /** Whether the order of a block with this outline among others does not matter, nor that of its rows. */
  unordered(outline: BlockOutline): boolean;
  stream(labels: Labels): StreamSamples;
  /** The result so far, encoded; see sample-frame.ts. */
  frame(): Steps<Uint8Array[]>;
}

/** Blocks of one stream, each once, in the order of time where their times touch. */
export interface StreamSamples {
  /** Whether the outline tells all that the query wants of a block: then it is counted, and not to be given to `block`. */
  header(block: BlockOutline): boolean;
  /** Throws Fault pipeline_error if an entry within a window has an error. */
  block(block: Block): void;
}

export interface SampleOptions {
  /** Takes down what each stage does. */
  readonly profile?: PipelineProfile;
  /** With more series than these the streams throw Fault limit_exceeded; any number if absent. */
  readonly maxSeries?: number;
  /** What the series hold counts here; then streams and `frame` throw as it does. */
  readonly memory?: MemoryBudget;
}

/** Runs `query`, a leaf's text. Throws QueryError if it is none. */
export function sampleExecution(query: string, times: EvaluationTimes, options: SampleOptions = {}): SampleExecution {
  const leaf = readLeaf(parseExpr(query));
  if (leaf === undefined) throw new Fault('bad_request', `not a range aggregation: ${query}`);
  return new LeafExecution(leaf, new Windows(times, leaf.range.rangeNs, leaf.range.offsetNs), times, options);
}

/** Without labels to name a series by, and without a stage that reads one, parsing lines for labels changes nothing: such stages fall away, and with
 *  them the errors they would have found. */
function stagesOf({ range }: Leaf, keep: SeriesLabels): readonly Stage[] {
  const isBytes = operationOf(range).sample === 'bytes';
  const stages = isBytes ? range.log.stages : range.log.stages.filter((stage, at, all) => stage.kind !== 'line_format' || isRead(all, at));
  if (keep.kind !== 'by' || keep.names.length > 0 || range.unwrap !== undefined) return stages;
  if (stages.some(({ kind }) => kind === 'label_filter' || kind === 'line_format' || kind === 'label_format')) return stages;
  const parsers = new Set<Stage['kind']>(['json', 'logfmt', 'regexp', 'pattern', 'drop', 'keep']);
  return stages.filter(({ kind }) => !parsers.has(kind));
}

/** Stages that look at the line; that decolorize and templates do too is not counted, as in Loki. */
const LINE_READERS: ReadonlySet<Stage['kind']> = new Set(['line_filter', 'json', 'logfmt', 'regexp', 'pattern', 'unpack']);

/** Whether a stage behind the one at `at` looks at the line that it makes. Otherwise it falls away, and with it the error that its template may be. */
function isRead(stages: readonly Stage[], at: number): boolean {
  return stages.slice(at + 1).some(({ kind }) => LINE_READERS.has(kind));
}
/** What a series takes beside its columns: places in maps, and its text this often, as keys and in the frame. */
const SERIES_BYTES = 192;
const LABEL_TEXTS = 4;

class LeafExecution implements SampleExecution {
  readonly matchers: readonly Matcher[];
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly required: readonly string[];
  readonly demanding: boolean;
  readonly requiredLabels: readonly Label[];
  readonly stats = noStats();
  readonly leaf: Leaf;
  readonly windows: Windows;
  readonly keep: SeriesLabels;
  readonly sample: 'one' | 'bytes' | 'value';
  readonly rows = new RowBuffer();
  readonly pipeline: Pipeline;
  readonly store: SeriesStore;
  /** Numbers of series by canonical text. */
  readonly #series = new Map<string, number>();
  readonly #maxSeries: number;
  readonly #memory: MemoryBudget | undefined;

  constructor(
    leaf: Leaf,
    windows: Windows,
    { notBeforeNs }: EvaluationTimes,
    { profile, memory, maxSeries = Number.POSITIVE_INFINITY }: SampleOptions,
  ) {
    this.#maxSeries = maxSeries;
    this.#memory = memory;
    this.leaf = leaf;
    this.windows = windows;
    this.matchers = leaf.range.log.matchers;
    this.fromNs = notBeforeNs === undefined || notBeforeNs < windows.fromNs ? windows.fromNs : notBeforeNs;
    this.toNs = windows.toNs;
    this.keep = seriesLabelsOf(leaf);
    this.sample = operationOf(leaf.range).sample;
    const { unwrap } = leaf.range;
    const observed: Observed = this.keep.kind === 'by' ? new Set(this.keep.names) : 'all';
    this.pipeline = compilePipeline(stagesOf(leaf, this.keep), { observed, profile, ...(unwrap === undefined ? {} : { unwrap }) });
    this.required = this.pipeline.required;
    this.demanding = !this.pipeline.empty;
    this.requiredLabels = this.pipeline.requiredLabels;
    this.store = seriesStore(leaf.range, windows, memory);
  }

  lineless(outline: BlockOutline): boolean {
    return this.pipeline.empty && this.sample !== 'value' && !hasPushedErrors(outline);
  }

  unordered(outline: BlockOutline): boolean {
    return this.pipeline.columnsOnly && this.sample !== 'value' && !hasPushedErrors(outline);
  }

  stream(labels: Labels): StreamSamples {
    return new StreamExecution(this, labels);
  }

  /** The number of the series with this canonical text. */
  numberOf(text: string): number {
    const known = this.#series.get(text);
    if (known !== undefined) return known;
    if (this.#series.size >= this.#maxSeries) throw tooManySeries(this.#maxSeries);
    this.#memory?.take(SERIES_BYTES + LABEL_TEXTS * text.length);
    const number = this.#series.size;
    this.#series.set(text, number);
    return number;
  }

  *frame(): Steps<Uint8Array[]> {
    const texts = yield* sorted([...this.#series.keys()], (a, b) => (a < b ? -1 : 1));
    const frame = new SampleFrameWriter(this.windows.steps);
    for (const text of texts) {
      const span = yield* this.store.result(this.#series.get(text)!);
      const bytes =
        span.columns.length * span.columns[0].byteLength + ('values' in span ? span.values.byteLength + span.weights.byteLength : 0);
      this.#memory?.take(2 * bytes); // in the frame, which grows by doubling
      yield* frame.add(text, span);
    }
    return frame.finish();
  }
}

class StreamExecution implements StreamSamples {
  readonly #execution: LeafExecution;
  readonly #labels: Labels;
  readonly #pipeline: StreamPipeline;
  readonly #rowSeries: RowSeries;
  /** In [0, 1): which stream's sample counts as the earlier one of two at the same time. Follows from the labels, not from who comes first. */
  #tie: number | undefined;
  #whole: number | undefined;

  constructor(execution: LeafExecution, labels: Labels) {
    this.#execution = execution;
    this.#labels = labels;
    this.#pipeline = execution.pipeline.forStream(labels);
    this.#rowSeries = new RowSeries(execution.keep, labels, (text) => execution.numberOf(text));
  }

  header(block: BlockOutline): boolean {
    const { windows, stats, sample } = this.#execution;
    const from = Number(this.#execution.fromNs - block.baseNs);
    const to = Number(windows.toNs - block.baseNs);
    if (block.rows === 0 || block.maxOffset < from || block.minOffset >= to) return true;
    if (block.minOffset < from || block.maxOffset >= to) return false;
    const locator = windows.locator(block.baseNs);
    const pane = locator.pane(block.minOffset);
    if (block.maxOffset > locator.until) return false;
    const isCount = this.#execution.lineless(block) && this.#rowSeries.isStreamWide(block);
    if (pane >= 0 && !isCount) return false;
    countBlock(stats, block);
    stats.blocksByHeader++;
    if (pane < 0) return true; // between two windows
    stats.matchedLines += block.rows;
    this.#execution.store.addMany(this.#streamSeries(), pane, block.rows, sample === 'bytes' ? block.lineBytes : block.rows);
    return true;
  }

  block(block: Block): void {
    if (this.header(block)) return;
    const { windows, stats, pipeline, sample } = this.#execution;
    countBlock(stats, block);
    const from = Number(this.#execution.fromNs - block.baseNs);
    const to = Number(windows.toNs - block.baseNs);
    const locator = windows.locator(block.baseNs);
    const times = block.times();
    const first = block.minOffset >= from ? 0 : lowerBound(times, from, 0, block.rows);
    const end = block.maxOffset < to ? block.rows : lowerBound(times, to, first, block.rows);
    if (first === end) return;
    if (sample === 'value' || !pipeline.columnsOnly || hasPushedErrors(block)) this.#byRow(block, times, first, end, locator);
    else if (pipeline.empty && this.#rowSeries.isStreamWide(block)) this.#byRun(block, times, first, end, locator);
    else this.#byColumn(block, times, first, end, locator);
  }

  /** The one series of a stream whose entries all have the same. */
  #streamSeries(): number {
    this.#whole ??= this.#execution.numberOf(formatLabels(keepLabels(this.#labels, this.#execution.keep)));
    return this.#whole;
  }

  /** Every row of [first, end) counts, all in one series: one step per pane. */
  #byRun(block: Block, times: Float64Array, first: number, end: number, locator: PaneLocator): void {
    const ends = this.#execution.sample === 'bytes' ? block.ends() : undefined;
    const series = this.#streamSeries();
    for (let row = first; row < end; ) {
      const pane = locator.pane(times[row]);
      const next = upperBound(times, locator.until, row, end);
      if (pane >= 0) {
        const bytes = ends === undefined ? next - row : ends[next - 1] - (row === 0 ? 0 : ends[row - 1]);
        this.#execution.store.addMany(series, pane, next - row, bytes);
        this.#execution.stats.matchedLines += next - row;
      }
      row = next;
    }
  }

  /** Rows that the column stages leave count; a row's series follows from its metadata alone. */
  #byColumn(block: Block, times: Float64Array, first: number, end: number, locator: PaneLocator): void {
    const { stats, sample, store } = this.#execution;
    const rows = this.#execution.rows.atLeast(end - first);
    const count = this.#pipeline.select(block, first, end, rows);
    if (count === 0) return;
    stats.matchedLines += count;
    const ends = sample === 'bytes' ? block.ends() : undefined;
    const seriesOf = this.#rowSeries.isStreamWide(block) ? undefined : this.#rowSeries.ofBlock(block);
    let series = seriesOf === undefined ? this.#streamSeries() : seriesOf(rows[0]);
    let pane = -1;
    locator.until = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < count; index++) {
      const row = rows[index];
      if (times[row] > locator.until) pane = locator.pane(times[row]);
      if (pane < 0) continue;
      if (seriesOf !== undefined) series = seriesOf(row);
      store.addMany(series, pane, 1, ends === undefined ? 1 : ends[row] - (row === 0 ? 0 : ends[row - 1]));
    }
  }

  /** Every row goes through the pipeline. */
  #byRow(block: Block, times: Float64Array, first: number, end: number, locator: PaneLocator): void {
    const { stats, sample, windows, store } = this.#execution;
    const rows = this.#execution.rows.atLeast(end - first);
    const count = this.#pipeline.select(block, first, end, rows);
    const shiftNs = block.baseNs - windows.originNs;
    const shift = Number(shiftNs);
    const isExact = Number.isSafeInteger(shift + block.maxOffset);
    this.#tie ??= Number(streamHash(this.#labels) >> 11n) / 2 ** 53;
    let pane = -1;
    locator.until = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < count; index++) {
      const at = rows[index];
      if (times[at] > locator.until) pane = locator.pane(times[at]);
      if (pane < 0) continue;
      const row = this.#pipeline.apply(block, at);
      if (row === undefined) continue;
      stats.matchedLines++;
      const series = this.#rowSeries.of(row);
      if (sample !== 'value') {
        store.addMany(series, pane, 1, sample === 'bytes' ? row.line().length : 1);
        continue;
      }
      const value = row.sample;
      if (isExact) store.add(series, pane, value, times[at] + shift, this.#tie);
      else {
        const timeNs = shiftNs + BigInt(times[at]);
        const rounded = Number(timeNs);
        store.add(series, pane, value, rounded, Number(timeNs - BigInt(rounded)) + this.#tie);
      }
    }
  }
}
