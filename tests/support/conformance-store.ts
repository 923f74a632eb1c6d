import { readFileSync } from 'node:fs';
import { levelFinder, levelOfLabels, withServiceName } from '../../actors/distributor/enrich.ts';
import { EntryMetadata } from '../../actors/distributor/entry-metadata.ts';
import { limitsOptions } from '../../actors/limits.ts';
import { evaluateInstant, evaluateRange } from '../../logql/engine/evaluate.ts';
import { logExecution } from '../../logql/engine/log-execution.ts';
import { type FrameEntry, mergeLogFrames } from '../../logql/engine/log-frame.ts';
import { renderMatrix, renderScalar, renderStreams, renderVector } from '../../logql/engine/render.ts';
import type { QueryStats } from '../../logql/engine/response-stats.ts';
import { sampleExecution } from '../../logql/engine/sample-execution.ts';
import { mergeSampleFrames } from '../../logql/engine/sample-frame.ts';
import { finish } from '../../logql/engine/steps.ts';
import { alignRange, type EvaluationTimes } from '../../logql/engine/windows.ts';
import type { Block, Direction, Label, Labels, Matcher } from '../../logql/model.ts';
import { labelValue } from '../../logql/model.ts';
import { compileMatcher } from '../../logql/pipeline/regex.ts';
import { type Leaf, planQuery } from '../../logql/plan.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { Fault } from '../../ops/base/fault.ts';
import { defaultsOf } from '../../ops/base/options.ts';
import { sanitizeName } from '../../storage/batch/metadata-name.ts';
import { type BlockRow, blockOf } from './blocks.ts';

export const CONFORMANCE = new URL('../conformance/', import.meta.url);
export const BASE_NS = 1_768_471_200_000_000_000n;

const LIMITS = defaultsOf(limitsOptions);
const EVALUATION = { maxSeries: LIMITS.maxQuerySeries, approxTopk: false };
const NO_STATS: QueryStats = {
  lines: 0,
  lineBytes: 0,
  metadataBytes: 0,
  matchedLines: 0,
  headRows: 0,
  compressedBytes: 0,
  duplicates: 0,
  chunks: 0,
  decompressMs: 0,
  execMs: 0,
  queueMs: 0,
  subqueries: 0,
  splits: 0,
  shards: 0,
  ingesters: 0,
  cutShort: 0,
  blocksSkipped: 0,
};

interface Stream {
  readonly labels: Labels;
  /** In time order. */
  readonly blocks: readonly Block[];
}

/** Query parameters as the gateway hands them on. */
export interface RangeParameters {
  readonly query: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly stepNs: number;
  readonly intervalNs: number;
  readonly limit: number;
  readonly direction: Direction;
  readonly categorize: boolean;
}

/** The conformance data as the distributor would enrich it, in blocks of a few rows, and the query engine over it: no actor, no storage. */
export class ConformanceStore {
  readonly #streams: readonly Stream[];
  /** Results of this many disjoint sets of streams are merged. */
  readonly #shards: number;

  static async open(shards: number): Promise<ConformanceStore> {
    const { buildDataset } = await import(new URL('dataset.mjs', CONFORMANCE).href);
    const config = JSON.parse(readFileSync(new URL('cases/dataset.json', CONFORMANCE), 'utf8'));
    return new ConformanceStore(buildDataset(config).streams.map(enrich), shards);
  }

  constructor(streams: readonly Stream[], shards: number) {
    this.#streams = streams;
    this.#shards = shards;
  }

  range(parameters: RangeParameters): Uint8Array[] {
    const { query, startNs, endNs, stepNs, limit, categorize } = parameters;
    const plan = planQuery(parseExpr(query));
    if (plan.kind === 'logs') return renderStreams(this.#entries(parameters).slice(0, limit), { stats: NO_STATS, categorize });
    const times = { ...alignRange(startNs, endNs, stepNs), stepNs };
    const results = plan.leaves.map((leaf) => this.#leaf(leaf, times));
    return renderMatrix(finish(evaluateRange(plan, results, times, EVALUATION)), times, { stats: NO_STATS });
  }

  instant(query: string, timeNs: bigint): Uint8Array[] {
    const plan = planQuery(parseExpr(query));
    if (plan.kind === 'logs') throw new Fault('bad_request', 'log queries are not supported as an instant query type');
    const times = { startNs: timeNs, endNs: timeNs, stepNs: 0 };
    const result = finish(
      evaluateInstant(
        plan,
        plan.leaves.map((leaf) => this.#leaf(leaf, times)),
        EVALUATION,
      ),
    );
    const frame = { stats: NO_STATS };
    return result.kind === 'scalar' ? renderScalar(result.value, timeNs, frame) : renderVector(result.series, timeNs, frame);
  }

  #select(matchers: readonly Matcher[], shard: number, shards: number): Stream[] {
    const tests = matchers.map((matcher) => ({ name: matcher.name, test: compileMatcher(matcher) }));
    return this.#streams.filter(
      ({ labels }, index) => index % shards === shard && tests.every(({ name, test }) => test(labelValue(labels, name))),
    );
  }

  #leaf(leaf: Leaf, times: EvaluationTimes) {
    const shards = leaf.mergeable ? this.#shards : 1;
    const frames = Array.from({ length: shards }, (_, shard) => {
      const execution = sampleExecution(leaf.query, times);
      for (const { labels, blocks } of this.#select(execution.matchers, shard, shards)) {
        const stream = execution.stream(labels);
        for (const block of blocks) stream.block(block);
      }
      return finish(execution.frame());
    });
    return finish(mergeSampleFrames(leaf, times, frames));
  }

  #entries({ intervalNs, startNs, endNs, ...rest }: RangeParameters): FrameEntry[] {
    if (intervalNs === 0) return this.#piece({ intervalNs, startNs, endNs, ...rest });
    const hourNs = 3_600_000_000_000n;
    const pieces: FrameEntry[][] = [];
    for (let from = startNs; from < endNs; ) {
      const to = (from / hourNs + 1n) * hourNs;
      pieces.push(this.#piece({ intervalNs, startNs: from, endNs: to < endNs ? to : endNs, ...rest }));
      from = to;
    }
    return (rest.direction === 'backward' ? pieces.reverse() : pieces).flat();
  }

  #piece({ query, startNs, endNs, limit, direction, categorize, intervalNs }: RangeParameters): FrameEntry[] {
    const frames = Array.from({ length: this.#shards }, (_, shard) => {
      const execution = logExecution(query, { fromNs: startNs, toNs: endNs, limit, direction, categorize });
      for (const { labels, blocks } of this.#select(execution.matchers, shard, this.#shards)) {
        const stream = execution.stream(labels);
        for (const block of direction === 'backward' ? blocks.toReversed() : blocks) stream.block(block);
      }
      return execution.frame();
    });
    return mergeLogFrames(frames, { limit, direction, intervalNs });
  }
}

interface DataStream {
  readonly labels: Record<string, string>;
  readonly entries: readonly { readonly t: bigint; readonly line: string; readonly meta?: Record<string, string> }[];
}

const BLOCK_ROWS = 100;

function enrich({ labels, entries }: DataStream): Stream {
  const streamLabels = withServiceName(Object.entries(labels), LIMITS);
  const level = levelOfLabels(streamLabels, LIMITS);
  const finder = levelFinder(LIMITS);
  const metadata = new EntryMetadata(LIMITS);
  const seen = new Set<string>();
  const rows = entries.map(({ t, line, meta = {} }): BlockRow => {
    const pairs = Object.entries(meta).map(([name, value]): Label => [sanitizeName(name), value]);
    const bytes = Buffer.from(line);
    metadata.resource(pairs.flat());
    const detected = metadata.level(level) ?? finder.find(bytes, 0, bytes.length);
    return [Number(t), line, Object.fromEntries([...pairs, ['detected_level', detected]])];
  });
  const kept = rows.filter((row) => {
    const key = JSON.stringify(row);
    return !seen.has(key) && seen.add(key);
  });
  kept.sort(([a], [b]) => a - b);
  const blocks = Array.from({ length: Math.ceil(kept.length / BLOCK_ROWS) }, (_, number) =>
    blockOf(BASE_NS, kept.slice(number * BLOCK_ROWS, (number + 1) * BLOCK_ROWS)),
  );
  return { labels: streamLabels, blocks };
}
