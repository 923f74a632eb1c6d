import type { Block, BlockOutline, Matcher } from '../model.ts';
import { parseSelector } from '../syntax/parse.ts';
import { PatternCounts, SAMPLE_MS } from './pattern-counts.ts';
import { type PatternSeries, sumSeries } from './pattern-series.ts';
import { type Template, TemplateTree } from './template-tree.ts';
import { type Tokenizer, tokenizerFor } from './tokens.ts';

export interface PatternQuery {
  /** A selector. */
  readonly query: string;
  /** [startNs, endNs) */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly stepMs: number;
  /** See tokenizerFor. */
  readonly jsonFields: readonly string[];
}

/** Mines the templates of streams, each stream by itself and by level. */
export interface PatternExecution {
  readonly matchers: readonly Matcher[];
  /** Blocks of one stream come in the order of time. */
  stream(): StreamPatterns;
  /** The result so far. */
  series(): PatternSeries[];
}

export interface StreamPatterns {
  /** Whether the block has no line in the range. */
  header(outline: BlockOutline): boolean;
  /** Each line counts as `weight` lines. */
  block(block: Block, weight: number): void;
}

const LEVELS: ReadonlySet<string> = new Set(['trace', 'debug', 'info', 'warn', 'error', 'critical', 'fatal']);
const UNKNOWN = 'unknown';
/** Templates of one stream and level at a time. */
const MOST_TEMPLATES = 300;
const NS_PER_MS = 1e6;

/** Throws QueryError, or Fault bad_request if the query is more than a selector. */
export function patternExecution(query: PatternQuery): PatternExecution {
  const matchers = parseSelector(query.query);
  const streams: MinedStream[] = [];
  return {
    matchers,
    stream: () => {
      const stream = new MinedStream(query);
      streams.push(stream);
      return stream;
    },
    series: () => sumSeries(streams.flatMap((stream) => [...stream.series(query.stepMs)])),
  };
}

/** The templates of one level of a stream, with their counts. */
class MinedLevel {
  readonly #counts = new Map<Template, PatternCounts>();
  readonly #tree = new TemplateTree(MOST_TEMPLATES, (template) => this.#counts.delete(template));

  add(line: string, tokenize: Tokenizer, timeMs: number, weight: number): void {
    const tokenized = tokenize(line);
    const template = tokenized === undefined ? undefined : this.#tree.add(tokenized);
    if (template === undefined) return;
    let counts = this.#counts.get(template);
    if (counts === undefined) {
      counts = new PatternCounts(template);
      this.#counts.set(template, counts);
    }
    counts.add(timeMs, weight);
  }

  counts(): Iterable<PatternCounts> {
    return this.#counts.values();
  }
}

class MinedStream implements StreamPatterns {
  readonly #query: PatternQuery;
  readonly #levels = new Map<string, MinedLevel>();
  #tokenize: Tokenizer | undefined;

  constructor(query: PatternQuery) {
    this.#query = query;
  }

  header({ rows, baseNs, minOffset, maxOffset }: BlockOutline): boolean {
    const { startNs, endNs } = this.#query;
    return rows === 0 || maxOffset < Number(startNs - baseNs) || minOffset >= Number(endNs - baseNs);
  }

  block(block: Block, weight: number): void {
    if (this.header(block)) return;
    const { startNs, endNs } = this.#query;
    const from = Number(startNs - block.baseNs);
    const to = Number(endNs - block.baseNs);
    const baseMs = Number(block.baseNs / BigInt(NS_PER_MS));
    const [times, ends, lines] = [block.times(), block.ends(), block.lines()];
    const levelOf = levels(block);
    for (let row = 0; row < block.rows; row++) {
      if (times[row] < from || times[row] >= to) continue;
      const line = lines.toString('utf8', row === 0 ? 0 : ends[row - 1], ends[row]);
      this.#tokenize ??= tokenizerFor(line, this.#query.jsonFields);
      const timeMs = baseMs + Math.floor(times[row] / NS_PER_MS);
      this.#level(levelOf(row)).add(line, this.#tokenize, timeMs - (timeMs % SAMPLE_MS), weight);
    }
  }

  #level(name: string): MinedLevel {
    let level = this.#levels.get(name);
    if (level === undefined) {
      level = new MinedLevel();
      this.#levels.set(name, level);
    }
    return level;
  }

  *series(stepMs: number): Generator<PatternSeries> {
    for (const [level, mined] of this.#levels) {
      for (const counts of mined.counts()) {
        const { tokens, write } = counts.template;
        yield { pattern: write(tokens), level, samples: counts.byStep(stepMs) };
      }
    }
  }
}

function levels(block: Block): (row: number) => string {
  const column = block.metadata().find(({ key }) => key === 'detected_level');
  if (column === undefined) return () => UNKNOWN;
  const names = column.values.map((value) => value.toLowerCase()).map((value) => (LEVELS.has(value) ? value : UNKNOWN));
  return (row) => (column.index[row] === 0 ? UNKNOWN : names[column.index[row] - 1]);
}
