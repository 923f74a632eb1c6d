import { logRangesOf, type Plan } from '../../logql/plan.ts';
import type { Expr, LogExpr, RangeOp } from '../../logql/syntax/ast.ts';
import { parseLogQuery } from '../../logql/syntax/parse.ts';
import { printDuration, printGoDuration } from '../../logql/syntax/units.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { TenantLimits } from '../limits.ts';
import type { JobLimits, QuerierAsk } from '../protocol/query.ts';

/** Limits of queries that their text tells of, in Loki's words, which its clients know. The checks throw Fault limit_exceeded. */

const NS_PER_MS = 1e6;

interface TimeRange {
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** What can be told of a range query by its text. */
export function checkRangeQuery(plan: Plan, { startNs, endNs }: TimeRange, limits: TenantLimits): void {
  checkRequiredLabels(plan.expr, limits);
  checkMatchers(plan.expr, limits);
  checkRanges(plan, limits);
  const { maxQueryLength, splitQueriesByInterval } = limits;
  if (plan.kind === 'logs' || maxQueryLength === 0) return;
  // Limited is what Loki reads at a time: it answers in pieces, and each begins a range before its first step.
  for (const { range } of plan.leaves) {
    const piece = splitQueriesByInterval === 0 ? Number.POSITIVE_INFINITY : Math.max(splitQueriesByInterval * NS_PER_MS, range.rangeNs);
    checkLengthNs(Math.min(Number(endNs - startNs), piece) + range.rangeNs, limits);
  }
}

/** Loki looks at these an interval at a time, so that the whole range is not one to be limited. */
const SPLIT: ReadonlySet<RangeOp> = new Set([
  'rate',
  'count_over_time',
  'bytes_rate',
  'bytes_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
]);

/** What can be told of an instant query by its text. */
export function checkInstantQuery(plan: Plan, limits: TenantLimits): void {
  checkMatchers(plan.expr, limits);
  checkRanges(plan, limits);
  if (plan.kind === 'logs') return;
  const whole = plan.leaves.filter(({ range }) => limits.splitQueriesByInterval === 0 || !SPLIT.has(range.op));
  for (const { range } of whole) checkLengthNs(range.rangeNs, limits);
}

function checkLengthNs(lengthNs: number, { maxQueryLength }: TenantLimits): void {
  const limitNs = maxQueryLength * NS_PER_MS;
  if (limitNs > 0 && lengthNs > limitNs) throw tooLong(lengthNs, limitNs);
}

/** That a query reads over more time than it may. */
export function tooLong(lengthNs: number, limitNs: number): Fault {
  const [length, limit] = [printGoDuration(lengthNs), printDuration(limitNs)];
  return new Fault('limit_exceeded', `the query time range exceeds the limit (query length: ${length}, limit: ${limit})`);
}

/** Each selector has matchers for the labels that the tenant requires, and as many as it requires. */
export function checkRequiredLabels(expr: Expr, { requiredLabels, minimumLabelsNumber }: TenantLimits): void {
  for (const { log } of logRangesOf(expr)) {
    const present = log.matchers.map(({ name }) => name);
    const missing = requiredLabels.filter((name) => !present.includes(name));
    const shown = present.join(', ');
    if (missing.length > 0) {
      const text = `stream selector is missing required matchers [${missing.join(', ')}], labels present in the query were [${shown}]`;
      throw new Fault('limit_exceeded', text);
    }
    if (present.length < minimumLabelsNumber) {
      const counts = `number_present: ${present.length}, required_number_label_matchers: ${minimumLabelsNumber}`;
      throw new Fault('limit_exceeded', `stream selector has less label matchers than required: (present: [${shown}], ${counts})`);
    }
  }
}

export function checkMatchers(expr: Expr, { maxStreamsMatchersPerQuery: most }: Pick<TenantLimits, 'maxStreamsMatchersPerQuery'>): void {
  for (const { log } of logRangesOf(expr)) {
    const count = log.matchers.length;
    if (count > most) {
      throw new Fault('limit_exceeded', `max streams matchers per query exceeded, matchers-count > limit (${count} > ${most})`);
    }
  }
}

function checkRanges(plan: Plan, { maxQueryRange }: TenantLimits): void {
  if (plan.kind === 'logs' || maxQueryRange === 0) return;
  const limitNs = maxQueryRange * NS_PER_MS;
  const longer = plan.leaves.find(({ range }) => range.rangeNs > limitNs);
  if (longer === undefined) return;
  const [range, limit] = [printDuration(longer.range.rangeNs), printDuration(limitNs)];
  throw new Fault('limit_exceeded', `[interval] value exceeds limit: [${range}] > [${limit}]`);
}

/** A log query without a filter is done as soon as it has its entries; one with a filter may have to read everything. */
export function hasFilter({ stages }: LogExpr): boolean {
  return stages.some(({ kind }) => kind === 'line_filter' || kind === 'label_filter');
}

/** What each job of a query may select; undefined for what only looks into indexes. */
export function jobLimits(
  ask: { readonly kind: QuerierAsk['kind']; readonly query?: string },
  limits: TenantLimits,
): JobLimits | undefined {
  if (ask.kind !== 'logs' && ask.kind !== 'samples') return undefined;
  const readsAll = ask.kind === 'samples' || hasFilter(parseLogQuery(ask.query ?? ''));
  return { streams: limits.cardinalityLimit, chunks: limits.maxChunksPerQuery, bytes: readsAll ? limits.maxQuerierBytesRead : 0 };
}
