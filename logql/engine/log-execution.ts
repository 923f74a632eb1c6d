import type { Block, Direction, Label, Labels, Matcher } from '../model.ts';
import { compilePipeline } from '../pipeline/compile.ts';
import type { LabelSet, Pipeline, Row, StreamPipeline } from '../pipeline/pipeline.ts';
import type { PipelineProfile } from '../pipeline/profile.ts';
import { streamOrder } from '../stream-hash.ts';
import { parseLogQuery } from '../syntax/parse.ts';
import { lowerBound, RowBuffer } from './columns.ts';
import { EntryWriter } from './entry-writer.ts';
import { countBlock, type ExecutionStats, noStats } from './execution-stats.ts';
import { Heap } from './heap.ts';
import { encodeLogFrame, type FrameEntry } from './log-frame.ts';
import { entryMark, type LogPosition } from './log-position.ts';
import type { MemoryBudget } from './memory-budget.ts';

export interface LogQueryOptions {
  /** Entries in [fromNs, toNs). */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly limit: number;
  readonly direction: Direction;
  /** Answer with structured metadata and parsed labels beside each line, rather than among the stream's labels. */
  readonly categorize: boolean;
  /** The entries kept at a time count here. */
  readonly memory?: MemoryBudget;
  /** Only entries behind this place in the answer's order; its time is in [fromNs, toNs), which leaves out all before it. */
  readonly after?: LogPosition;
  /** Takes down what each stage does. */
  readonly profile?: PipelineProfile | undefined;
  /** Write entries as they were under /api/prom. */
  readonly legacy?: boolean;
}

/** A log query over the streams and blocks it is given. */
export interface LogExecution {
  readonly matchers: readonly Matcher[];
  readonly fromNs: bigint;
  readonly toNs: bigint;
  /** Texts that every line must contain; for skip filters. */
  readonly required: readonly string[];
  /** Whether stages look at lines in ways that may take long. */
  readonly demanding: boolean;
  /** Labels that every entry must have before the first stage; for skip filters. */
  readonly requiredLabels: readonly Label[];
  readonly stats: ExecutionStats;
  /** The blocks of one stream are to come in the query's direction, as far as their times overlap or touch. `block` throws as `memory` does. */
  stream(labels: Labels): { block(block: Block): void };
  /** Once the limit is reached: only entries at or before (forward), at or after (backward) this time can still matter. */
  bound(): bigint | undefined;
  /** The result so far, encoded; see log-frame.ts. */
  frame(): Uint8Array[];
}

/** Throws QueryError if `query` is no log query. */
export function logExecution(query: string, options: LogQueryOptions): LogExecution {
  const { matchers, stages } = parseLogQuery(query);
  return new StreamsExecution(matchers, compilePipeline(stages, { observed: 'all', profile: options.profile }), options);
}

/** An entry that is among the best so far. */
interface Kept extends FrameEntry {
  /** Order of arrival here. */
  readonly sequence: number;
}

/** Where an entry is, and what the pipeline made of it. */
interface Offer {
  readonly block: Block;
  /** Its row in the block. */
  readonly at: number;
  readonly row: Row;
  /** Of its stream: see FrameEntry. */
  readonly origin: string;
}

/** Rows looked at in one go, at first: a query whose limit is reached soon should not filter a whole block. */
const FIRST_SLICE = 1024;

class StreamsExecution implements LogExecution {
  readonly matchers: readonly Matcher[];
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly required: readonly string[];
  readonly demanding: boolean;
  readonly requiredLabels: readonly Label[];
  readonly stats = noStats();
  readonly rows = new RowBuffer();
  readonly backward: boolean;
  readonly #pipeline: Pipeline;
  readonly #options: LogQueryOptions;
  /** The worst entry on top. */
  readonly #kept = new Heap<Kept>((a, b) => this.#before(b, a));
  readonly #writer: EntryWriter;
  #sequence = 0;
  /** The entry that `after` names was met. */
  #passed = false;

  constructor(matchers: readonly Matcher[], pipeline: Pipeline, options: LogQueryOptions) {
    this.matchers = matchers;
    this.fromNs = options.fromNs;
    this.toNs = options.limit > 0 ? options.toNs : options.fromNs;
    this.required = pipeline.required;
    this.demanding = !pipeline.empty;
    this.requiredLabels = pipeline.requiredLabels;
    this.backward = options.direction === 'backward';
    this.#pipeline = pipeline;
    this.#options = options;
    this.#writer = new EntryWriter(options);
  }

  stream(labels: Labels): { block(block: Block): void } {
    return new StreamExecution(this, labels, this.#pipeline.forStream(labels));
  }

  bound(): bigint | undefined {
    return this.#kept.size === this.#options.limit ? this.#kept.top?.timeNs : undefined;
  }

  /** Keeps an entry, unless `limit` better ones are known. Entries of one stream come in the query's direction. */
  offer(offer: Offer): void {
    const { block, at, row, origin } = offer;
    const timeNs = block.baseNs + BigInt(block.times()[at]);
    const set = row.labelSet();
    const place = { timeNs, origin, all: set.text, sequence: this.#sequence++, ...this.#writer.shown(set) };
    if (!this.#follows(place, offer)) return;
    this.stats.matchedLines++;
    const worst = this.#kept.top;
    if (this.#kept.size < this.#options.limit) this.#kept.push(this.#keep(place, offer, set));
    else if (worst !== undefined && this.#before(place, worst)) {
      this.#options.memory?.give(sizeOf(worst));
      this.#kept.replaceTop(this.#keep(place, offer, set));
    }
  }

  /** Whether an entry comes behind the place where the answer begins. */
  #follows({ timeNs, all, origin }: Omit<Kept, 'value' | 'mark'>, { block, at }: Offer): boolean {
    const { after } = this.#options;
    if (after === undefined || timeNs !== after.timeNs) return true;
    if (origin !== after.origin) return origin > after.origin;
    if (all !== after.all) return all > after.all;
    if (this.#passed) return true;
    this.#passed = entryMark(block, at) === after.mark;
    return false;
  }

  #keep(place: Omit<Kept, 'value' | 'mark'>, { block, at, row }: Offer, set: LabelSet): Kept {
    const kept = { ...place, value: this.#writer.value(place.timeNs, row, set), mark: entryMark(block, at) };
    this.#options.memory?.take(sizeOf(kept));
    return kept;
  }

  /** Whether `a` comes before `b` in the answer. At equal times streams are in the order of their hashes, as in Loki, entries of one of them in
   *  the order of their labels, then as they came: nothing that depends on where the entries lie. */
  #before(a: Omit<Kept, 'value' | 'mark'>, b: Omit<Kept, 'value' | 'mark'>): boolean {
    if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs !== this.backward;
    if (a.origin !== b.origin) return a.origin < b.origin;
    return a.all === b.all ? a.sequence < b.sequence : a.all < b.all;
  }

  frame(): Uint8Array[] {
    this.#options.memory?.take(this.#kept.items.reduce((sum, { value }) => sum + value.length, 0));
    return encodeLogFrame([...this.#kept.items].sort((a, b) => (this.#before(a, b) ? -1 : 1)));
  }
}

/** Object and numbers of an entry that is kept. */
const ENTRY_BYTES = 256;

/** Labels are counted with each of their entries: mostly they are short, and those that stages make are different for each. */
const sizeOf = ({ value, text }: Kept): number => ENTRY_BYTES + value.length + text.length;

class StreamExecution {
  readonly #execution: StreamsExecution;
  readonly #labels: Labels;
  readonly #pipeline: StreamPipeline;
  /** Made once an entry is found. */
  #origin: string | undefined;

  constructor(execution: StreamsExecution, labels: Labels, pipeline: StreamPipeline) {
    this.#execution = execution;
    this.#labels = labels;
    this.#pipeline = pipeline;
  }

  block(block: Block): void {
    const { fromNs, toNs, stats, backward } = this.#execution;
    const low = Number(fromNs - block.baseNs);
    const high = Number(toNs - block.baseNs);
    if (block.rows === 0 || block.maxOffset < low || block.minOffset >= high) return;
    if (this.#isBeyond(block, backward ? block.maxOffset : block.minOffset)) return;
    countBlock(stats, block);
    const times = block.times();
    const first = block.minOffset >= low ? 0 : lowerBound(times, low, 0, block.rows);
    const end = block.maxOffset < high ? block.rows : lowerBound(times, high, first, block.rows);
    let slice = FIRST_SLICE;
    if (backward) {
      for (let to = end; to > first && !this.#isBeyond(block, times[to - 1]); slice *= 2) {
        const from = Math.max(first, to - slice);
        this.#rows(block, times, from, to);
        to = from;
      }
    } else {
      for (let from = first; from < end && !this.#isBeyond(block, times[from]); slice *= 2) {
        const to = Math.min(end, from + slice);
        this.#rows(block, times, from, to);
        from = to;
      }
    }
  }

  /** Whether an entry at this time is too late, or early, to matter: then it is left out, and all that follow in its block. */
  #isBeyond(block: Block, offset: number): boolean {
    const bound = this.#execution.bound();
    if (bound === undefined) return false;
    const boundOffset = Number(bound - block.baseNs);
    const isBeyond = this.#execution.backward ? offset < boundOffset : offset > boundOffset;
    if (isBeyond) this.#execution.stats.cutShort++;
    return isBeyond;
  }

  #rows(block: Block, times: Float64Array, from: number, to: number): void {
    const execution = this.#execution;
    const rows = execution.rows.atLeast(to - from);
    const count = this.#pipeline.select(block, from, to, rows);
    for (let index = 0; index < count; index++) {
      const at = rows[execution.backward ? count - 1 - index : index];
      if (this.#isBeyond(block, times[at])) return;
      const row = this.#pipeline.apply(block, at);
      if (row === undefined) continue;
      this.#origin ??= streamOrder(this.#labels);
      execution.offer({ block, at, row, origin: this.#origin });
    }
  }
}
