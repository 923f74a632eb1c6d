import { evaluateInstant, evaluateRange } from '../../logql/engine/evaluate.ts';
import { type FrameEntry, joinLogResults, mergeLogFrames } from '../../logql/engine/log-frame.ts';
import type { Matrix } from '../../logql/engine/matrix.ts';
import { renderMatrix, renderScalar, renderStreams, renderVector } from '../../logql/engine/render.ts';
import { mergeSampleFrames } from '../../logql/engine/sample-frame.ts';
import { alignRange, type EvaluationTimes } from '../../logql/engine/windows.ts';
import { type Leaf, type Plan, planQuery } from '../../logql/plan.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { type FrontendServices, Jobs } from './jobs.ts';

type RangeAsk = Extract<FrontendAsk, { kind: 'range' }>;
type InstantAsk = Extract<FrontendAsk, { kind: 'instant' }>;
type MetricPlan = Extract<Plan, { kind: 'metric' }>;

export async function rangeQuery(ask: RangeAsk, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const jobs = new Jobs(services, asked);
  const plan = planQuery(parseExpr(ask.query));
  if (plan.kind === 'logs') {
    const entries = await logEntries(ask, services, jobs, asked);
    return { body: renderStreams(entries, { categorize: ask.categorize, stats: jobs.stats() }) };
  }
  const { splitQueriesByInterval } = services.limits(asked.tenant);
  const { startNs, endNs } = splitQueriesByInterval === 0 ? ask : alignRange(ask.startNs, ask.endNs, ask.stepNs);
  const times = { startNs, endNs, stepNs: ask.stepNs };
  const matrix = evaluateRange(plan, await leafResults(plan, times, jobs), times, limitsOf(services, asked));
  return { body: renderMatrix(matrix, times, { stats: jobs.stats() }) };
}

export async function instantQuery(ask: InstantAsk, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const jobs = new Jobs(services, asked);
  const plan = planQuery(parseExpr(ask.query));
  if (plan.kind === 'logs') {
    throw new Fault(
      'bad_request',
      'log queries are not supported as an instant query type, please change your query to a range query type',
    );
  }
  const times = { startNs: ask.timeNs, endNs: ask.timeNs, stepNs: 0 };
  const result = evaluateInstant(plan, await leafResults(plan, times, jobs), limitsOf(services, asked));
  const frame = { stats: jobs.stats() };
  return {
    body: result.kind === 'scalar' ? renderScalar(result.value, ask.timeNs, frame) : renderVector(result.series, ask.timeNs, frame),
  };
}

function limitsOf({ limits }: FrontendServices, { tenant }: AskContext): { maxSeries: number; approxTopk: boolean } {
  return { maxSeries: limits(tenant).maxQuerySeries, approxTopk: false };
}

function leafResults(plan: MetricPlan, times: EvaluationTimes, jobs: Jobs): Promise<Matrix[]> {
  return Promise.all(plan.leaves.map((leaf) => leafResult(leaf, times, jobs)));
}

async function leafResult(leaf: Leaf, times: EvaluationTimes, jobs: Jobs): Promise<Matrix> {
  const replies = await jobs.run({ kind: 'samples', query: leaf.query, ...times }, leaf.mergeable);
  return mergeSampleFrames(
    leaf,
    replies.map(({ frame }) => frame),
  );
}

/** With an interval Loki answers piece by piece (hour by hour, unless told otherwise), beginning each anew, and clients see that: so do we. Without, the
 *  whole range is one piece. */
async function logEntries(ask: RangeAsk, { limits }: FrontendServices, jobs: Jobs, { tenant }: AskContext): Promise<FrameEntry[]> {
  const { query, direction, intervalNs, categorize } = ask;
  const { maxEntriesLimitPerQuery, splitQueriesByInterval } = limits(tenant);
  const limit = ask.limit === 0 ? maxEntriesLimitPerQuery : ask.limit;
  const piece = async (fromNs: bigint, toNs: bigint, left: number): Promise<FrameEntry[]> => {
    const replies = await jobs.run({ kind: 'logs', query, fromNs, toNs, limit: left, direction, categorize }, true);
    return mergeLogFrames(
      replies.map(({ frame }) => frame),
      { limit: left, direction, intervalNs },
    );
  };
  if (intervalNs === 0 || splitQueriesByInterval === 0) return piece(ask.startNs, ask.endNs, limit);
  const results: FrameEntry[][] = [];
  let left = limit;
  for (const [fromNs, toNs] of pieces(ask, BigInt(Math.round(splitQueriesByInterval * 1e6)))) {
    results.push(await piece(fromNs, toNs, left));
    left -= results.at(-1)!.length;
    if (left === 0) break;
  }
  return joinLogResults(results, limit);
}

/** The range cut at multiples of `lengthNs`, in the order of the answer. */
function* pieces({ startNs, endNs, direction }: RangeAsk, lengthNs: bigint): Generator<[fromNs: bigint, toNs: bigint]> {
  const first = startNs / lengthNs;
  const last = (endNs - 1n) / lengthNs;
  for (let index = 0n; index <= last - first; index++) {
    const start = (direction === 'backward' ? last - index : first + index) * lengthNs;
    yield [start < startNs ? startNs : start, start + lengthNs > endNs ? endNs : start + lengthNs];
  }
}
