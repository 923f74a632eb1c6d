import { type Block, formatLabels, type Labels, type Matcher } from '../model.ts';
import { compilePipeline } from '../pipeline/compile.ts';
import type { StreamPipeline } from '../pipeline/pipeline.ts';
import { streamOrder } from '../stream-hash.ts';
import type { Stage } from '../syntax/ast.ts';
import { parseLogQuery } from '../syntax/parse.ts';
import { RowBuffer } from './columns.ts';
import { type EntryOptions, EntryWriter } from './entry-writer.ts';
import type { FrameEntry } from './log-frame.ts';
import { entryMark } from './log-position.ts';

/** A log query over blocks as they come, for as long as anybody listens. */
export interface TailExecution {
  readonly matchers: readonly Matcher[];
  /** The entries of `block`, rows of the stream `labels`, that pass the query, in the order of time. One block at a time. */
  entries(labels: Labels, block: Block): Iterable<FrameEntry>;
}

/** Throws QueryError if `query` is no log query. */
export function tailExecution(query: string, options: EntryOptions): TailExecution {
  const { matchers, stages } = parseLogQuery(query);
  return new LiveExecution(matchers, stages, options);
}

/** Entries after which everything remembered of streams and label sets is made anew: a tail lasts for an hour, and labels that differ from entry to entry
 *  would fill memory. */
const RENEW_AFTER = 20_000;
/** As well as after so many streams: those of an hour ago may be gone. */
const MOST_STREAMS = 10_000;

class LiveExecution implements TailExecution {
  readonly matchers: readonly Matcher[];
  readonly #stages: readonly Stage[];
  readonly #options: EntryOptions;
  readonly #rows = new RowBuffer();
  #memory: Memory;

  constructor(matchers: readonly Matcher[], stages: readonly Stage[], options: EntryOptions) {
    this.matchers = matchers;
    this.#stages = stages;
    this.#options = options;
    this.#memory = new Memory(stages, options);
  }

  *entries(labels: Labels, block: Block): Generator<FrameEntry> {
    if (this.#memory.full) this.#memory = new Memory(this.#stages, this.#options);
    const memory = this.#memory;
    const { origin, pipeline } = memory.stream(labels);
    const rows = this.#rows.atLeast(block.rows);
    const count = pipeline.select(block, 0, block.rows, rows);
    const times = block.times();
    for (let index = 0; index < count; index++) {
      const at = rows[index];
      const row = pipeline.apply(block, at);
      if (row === undefined) continue;
      const set = row.labelSet();
      const timeNs = block.baseNs + BigInt(times[at]);
      const value = memory.writer.value(timeNs, row, set);
      memory.entries++;
      yield { timeNs, ...memory.writer.shown(set), origin, all: set.text, value, mark: entryMark(block, at) };
    }
  }
}

interface TailedStream {
  readonly origin: string;
  readonly pipeline: StreamPipeline;
}

/** What is kept from block to block. */
class Memory {
  readonly writer: EntryWriter;
  entries = 0;
  readonly #forStream: (labels: Labels) => StreamPipeline;
  readonly #streams = new Map<string, TailedStream>();

  constructor(stages: readonly Stage[], options: EntryOptions) {
    this.writer = new EntryWriter(options);
    const pipeline = compilePipeline(stages, { observed: 'all' });
    this.#forStream = (labels) => pipeline.forStream(labels);
  }

  get full(): boolean {
    return this.entries >= RENEW_AFTER || this.#streams.size >= MOST_STREAMS;
  }

  stream(labels: Labels): TailedStream {
    const text = formatLabels(labels);
    let stream = this.#streams.get(text);
    if (stream === undefined) {
      stream = { origin: streamOrder(labels), pipeline: this.#forStream(labels) };
      this.#streams.set(text, stream);
    }
    return stream;
  }
}
