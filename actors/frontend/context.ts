import { renderStreams } from '../../logql/engine/render.ts';
import { planQuery } from '../../logql/plan.ts';
import type { LogExpr } from '../../logql/syntax/ast.ts';
import { parseLogQuery, parseSelector } from '../../logql/syntax/parse.ts';
import { print } from '../../logql/syntax/print.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { type FrontendServices, Jobs } from './jobs.ts';
import { logEntries } from './queries.ts';
import { checkRangeQuery } from './query-limits.ts';

/** The entries around a time, oldest first: those before it, all at it, those after it. */
export async function entriesAround(
  ask: Extract<FrontendAsk, { kind: 'context' }>,
  services: FrontendServices,
  asked: AskContext,
): Promise<BodyReply> {
  const { timeNs, startNs, endNs, categorize } = ask;
  const jobs = new Jobs(services, asked);
  const limits = services.limits(asked.tenant);
  const expr = contextQuery(ask);
  checkRangeQuery(planQuery(expr), ask, limits);
  const query = print(expr);
  const most = limits.maxEntriesLimitPerQuery || Number.MAX_SAFE_INTEGER;
  // One more than wanted on each side tells whether there are more.
  const side = (direction: 'forward' | 'backward', range: { startNs: bigint; endNs: bigint }, limit: number) =>
    logEntries({ query, direction, categorize, intervalNs: 0 }, range, limit, jobs);
  const [before, at, after] = await Promise.all([
    side('backward', { startNs, endNs: timeNs }, ask.before + 1),
    side('forward', { startNs: timeNs, endNs: timeNs + 1n }, most),
    side('forward', { startNs: timeNs + 1n, endNs }, ask.after + 1),
  ]);
  const context = {
    before: Math.min(before.length, ask.before),
    at: at.length,
    after: Math.min(after.length, ask.after),
    moreBefore: before.length > ask.before,
    moreAfter: after.length > ask.after,
  };
  const entries = [...before.slice(0, ask.before).reverse(), ...at, ...after.slice(0, ask.after)];
  return { body: renderStreams(entries, { categorize, stats: jobs.stats(), context }) };
}

/** The query, of the streams that the selector takes too. Throws QueryError, Fault bad_request if there is neither. */
function contextQuery({ query, stream }: { query: string; stream: string }): LogExpr {
  if (query === '' && stream === '') throw new Fault('bad_request', 'context wants a query, a stream, or both');
  const selected = stream === '' ? [] : parseSelector(stream);
  if (query === '') return { kind: 'log', matchers: selected, stages: [], at: { from: 0, to: 0 } };
  const expr = parseLogQuery(query);
  return { ...expr, matchers: [...expr.matchers, ...selected] };
}
