import { type EvaluationLimits, evaluateInstant, evaluateRange } from '../../logql/engine/evaluate.ts';
import { type FrameEntry, joinLogResults, mergeLogFrames } from '../../logql/engine/log-frame.ts';
import type { LogPosition } from '../../logql/engine/log-position.ts';
import type { Matrix } from '../../logql/engine/matrix.ts';
import { renderLegacyStreams, renderMatrix, renderScalar, renderStreams, renderVector } from '../../logql/engine/render.ts';
import { mergeSampleFrames, SampleFrameWriter } from '../../logql/engine/sample-frame.ts';
import { alignRange, type EvaluationTimes, stepCount } from '../../logql/engine/windows.ts';
import { keepsSeries, type Leaf, type Plan, planMetricQuery, planQuery } from '../../logql/plan.ts';
import type { LogExpr } from '../../logql/syntax/ast.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { AskContext } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import type { AnswerWishes, BodyReply, FrontendAsk } from '../protocol/query.ts';
import { checkBytesRead } from './bytes-read.ts';
import { type CursorScope, decodeCursor, encodeCursor } from './cursor.ts';
import { type FrontendServices, Jobs } from './jobs.ts';
import { checkInstantQuery, checkRangeQuery } from './query-limits.ts';

type RangeAsk = Extract<FrontendAsk, { kind: 'range' }>;
type InstantAsk = Extract<FrontendAsk, { kind: 'instant' }>;
type MetricPlan = Extract<Plan, { kind: 'metric' }>;

export async function rangeQuery(
  ask: RangeAsk,
  services: FrontendServices,
  asked: AskContext,
  jobs = new Jobs(services, asked, wishesIn(ask)),
): Promise<BodyReply> {
  const plan = planQuery(parseExpr(ask.query));
  const limits = services.limits(asked.tenant);
  checkRangeQuery(plan, ask, limits);
  await checkBytesRead(plan, ask, services, asked, wishesIn(ask));
  if (plan.kind === 'logs') {
    const { entries, ...page } = await logPage(ask, plan.expr, services, jobs, asked);
    if (ask.legacy) return { body: renderLegacyStreams(entries, jobs.stats()) };
    return { body: renderStreams(entries, { categorize: ask.categorize, ...jobs.frame(), ...page }) };
  }
  if (ask.cursor !== undefined) throw new Fault('bad_request', 'a cursor goes with a log query, and this is a metric query');
  if (ask.endNs < ask.startNs) return { body: renderMatrix({ steps: 1, series: [] }, ask, jobs.frame()) };
  const { startNs, endNs } = limits.splitQueriesByInterval === 0 ? ask : alignRange(ask.startNs, ask.endNs, ask.stepNs);
  const times = { startNs, endNs, stepNs: ask.stepNs, ...notBefore(ask) };
  const bounds = boundsOf(limits);
  const matrix = await jobs.inTurns(evaluateRange(plan, await leafResults(plan, times, jobs, bounds), times, bounds));
  return { body: renderMatrix(matrix, times, jobs.frame()) };
}

export async function instantQuery(
  ask: InstantAsk,
  services: FrontendServices,
  asked: AskContext,
  jobs = new Jobs(services, asked, wishesIn(ask)),
): Promise<BodyReply> {
  const expr = parseExpr(ask.query);
  if (expr.kind === 'log') {
    throw new Fault(
      'bad_request',
      'log queries are not supported as an instant query type, please change your query to a range query type',
    );
  }
  const plan = planMetricQuery(expr);
  const limits = services.limits(asked.tenant);
  checkInstantQuery(plan, limits);
  if (ask.notBeforeNs !== undefined && ask.timeNs < ask.notBeforeNs) return { body: renderVector([], ask.timeNs, jobs.frame()) };
  const times = { startNs: ask.timeNs, endNs: ask.timeNs, stepNs: 0, ...notBefore(ask) };
  await checkBytesRead(plan, times, services, asked, wishesIn(ask));
  const bounds = boundsOf(limits);
  const result = await jobs.inTurns(evaluateInstant(plan, await leafResults(plan, times, jobs, bounds), bounds));
  const frame = jobs.frame();
  return {
    body: result.kind === 'scalar' ? renderScalar(result.value, ask.timeNs, frame) : renderVector(result.series, ask.timeNs, frame),
  };
}

function boundsOf({ maxQuerySeries, shardAggregations }: TenantLimits): EvaluationLimits {
  return { maxSeries: maxQuerySeries, approxTopk: shardAggregations.includes('approx_topk') };
}

function wishesIn({ partial = false, afterWrite = false }: AnswerWishes): AnswerWishes {
  return { partial, afterWrite };
}

function notBefore({ notBeforeNs }: { notBeforeNs?: bigint }): { notBeforeNs?: bigint } {
  return notBeforeNs === undefined ? {} : { notBeforeNs };
}

/** Leaves of one query that queriers are asked at once: a query of hundreds must not fill their mailboxes. */
const LEAVES_AT_ONCE = 8;

async function leafResults(plan: MetricPlan, times: EvaluationTimes, jobs: Jobs, { maxSeries }: EvaluationLimits): Promise<Matrix[]> {
  const bound = keepsSeries(plan) ? { maxSeries } : {};
  const results: Matrix[] = [];
  const open = plan.leaves.entries();
  const work = async (): Promise<void> => {
    for (const [index, leaf] of open) results[index] = await leafResult(leaf, times, jobs, bound);
  };
  // All end before this does: what they hold counts in the query's memory, which is given back then.
  const ends = await Promise.allSettled(Array.from({ length: LEAVES_AT_ONCE }, () => jobs.orStop(work)));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}

async function leafResult(leaf: Leaf, times: EvaluationTimes, jobs: Jobs, bound: { maxSeries?: number }): Promise<Matrix> {
  const replies = await jobs.run({ kind: 'samples', query: leaf.query, ...times, ...bound }, leaf.mergeable);
  const frames = replies.length === 0 ? [new SampleFrameWriter(stepCount(times)).finish()] : replies.map(({ frame }) => frame); // none: no tenant was meant
  return jobs.inTurns(mergeSampleFrames(leaf, times, frames));
}

/** Entries of an answer, and what is said about those that are not in it. */
interface LogPage {
  readonly entries: FrameEntry[];
  /** Whether more entries follow, and the cursor to ask for them with. Not known of a query with an interval. */
  readonly more?: boolean;
  readonly cursor?: string;
}

async function logPage(ask: RangeAsk, expr: LogExpr, services: FrontendServices, jobs: Jobs, asked: AskContext): Promise<LogPage> {
  const { maxEntriesLimitPerQuery, splitQueriesByInterval } = services.limits(asked.tenant);
  const limit = ask.limit === 0 ? maxEntriesLimitPerQuery : ask.limit;
  if (ask.intervalNs > 0) {
    if (ask.cursor !== undefined) throw new Fault('bad_request', 'a cursor does not go with an interval');
    const whole = splitQueriesByInterval === 0;
    return { entries: whole ? await logEntries(ask, ask, limit, jobs) : await sparseEntries(ask, limit, splitQueriesByInterval, jobs) };
  }
  const scope: CursorScope = { expr, direction: ask.direction, categorize: ask.categorize };
  const after = ask.cursor === undefined ? undefined : decodeCursor(ask.cursor, scope);
  // One more than asked for tells whether more follow.
  const entries = await logEntries({ ...ask, ...(after && { after }) }, startAfter(ask, after), limit + 1, jobs);
  const more = entries.length > limit;
  if (more) entries.length = limit;
  return { entries, more, ...(more && { cursor: encodeCursor(entries[limit - 1], scope) }) };
}

/** What of the range can hold entries behind the place. */
function startAfter({ startNs, endNs, direction }: RangeAsk, after: LogPosition | undefined): { startNs: bigint; endNs: bigint } {
  if (after === undefined) return { startNs, endNs };
  if (direction === 'forward') return { startNs: after.timeNs > startNs ? after.timeNs : startNs, endNs };
  return { startNs, endNs: after.timeNs < endNs ? after.timeNs + 1n : endNs };
}

export type LogAsk = Pick<RangeAsk, 'query' | 'direction' | 'categorize' | 'legacy'> & {
  readonly after?: LogPosition;
  readonly intervalNs: number;
};

/** The first `limit` entries of [startNs, endNs). */
export async function logEntries(ask: LogAsk, range: { startNs: bigint; endNs: bigint }, limit: number, jobs: Jobs): Promise<FrameEntry[]> {
  const { query, direction, categorize, legacy = false, intervalNs, after } = ask;
  const { startNs: fromNs, endNs: toNs } = range;
  if (fromNs >= toNs) return [];
  const shape = { direction, categorize, legacy };
  const replies = await jobs.run({ kind: 'logs', query, fromNs, toNs, limit, ...shape, ...(after && { after }) }, true);
  return mergeLogFrames(
    replies.map(({ frame }) => frame),
    { limit, direction, intervalNs },
  );
}

/** With an interval Loki answers piece by piece (hour by hour, unless told otherwise), beginning each anew, and clients see that: so do we. */
async function sparseEntries(ask: RangeAsk, limit: number, pieceMs: number, jobs: Jobs): Promise<FrameEntry[]> {
  const results: FrameEntry[][] = [];
  let left = limit;
  for (const piece of pieces(ask, BigInt(Math.round(pieceMs * 1e6)))) {
    results.push(await logEntries(ask, piece, left, jobs));
    left -= results.at(-1)!.length;
    if (left === 0) break;
  }
  return joinLogResults(results, limit);
}

/** The range cut at multiples of `lengthNs`, in the order of the answer. */
function* pieces({ startNs, endNs, direction }: RangeAsk, lengthNs: bigint): Generator<{ startNs: bigint; endNs: bigint }> {
  const first = startNs / lengthNs;
  const last = (endNs - 1n) / lengthNs;
  for (let index = 0n; index <= last - first; index++) {
    const from = (direction === 'backward' ? last - index : first + index) * lengthNs;
    yield { startNs: from < startNs ? startNs : from, endNs: from + lengthNs > endNs ? endNs : from + lengthNs };
  }
}
