import { tooLong } from '../../actors/frontend/query-limits.ts';
import type { Asker } from '../../actors/kernel/define.ts';
import type { TenantLimits } from '../../actors/limits.ts';
import { type AnswerWishes, type BodyReply, type FrontendAsk, type FrontendReply, frontendProtocol } from '../../actors/protocol/query.ts';
import { tenantsOf } from '../../actors/tenants.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { prettyPrint } from '../../logql/syntax/pretty.ts';
import { printDuration } from '../../logql/syntax/units.ts';
import { Fault } from '../base/fault.ts';
import type { World } from '../base/world.ts';
import type { OutstandingQueries } from './outstanding.ts';
import {
  aroundTime,
  direction,
  entryCount,
  interval,
  LABELS_SINCE_NS,
  limit,
  matches,
  QUERY_SINCE_NS,
  step,
  type TimeRange,
  timeRange,
  timestamp,
} from './query-params.ts';
import { type HttpReply, type HttpRequest, JSON_TYPE, type Route } from './route.ts';

export type QueryLimits = Pick<
  TenantLimits,
  | 'allowPartialAnswers'
  | 'readAfterWrite'
  | 'maxEntriesLimitPerQuery'
  | 'maxQueryLength'
  | 'maxQueryLookback'
  | 'maxStreamsMatchersPerQuery'
  | 'queryTimeout'
>;

export interface QueryDeps {
  readonly asker: Asker;
  readonly world: World;
  readonly limits: (tenant: string) => QueryLimits;
  readonly outstanding: OutstandingQueries;
}

/** What an endpoint asks the frontend. */
export type ReadAsk = (params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits) => FrontendAsk;

const READ: Readonly<Record<string, ReadAsk>> = {
  '/loki/api/v1/query_range': range,
  '/loki/api/v1/query': instant,
  '/loki/api/v1/labels': labels,
  '/loki/api/v1/label': labels,
  '/loki/api/v1/label/:name/values': labelValues,
  '/loki/api/v1/series': series,
  '/loki/api/v1/explain': explain,
  '/loki/api/v1/context': context,
};

export function queryRoutes(deps: QueryDeps): Route[] {
  return [
    ...readRoutes(READ, deps),
    { methods: ['GET', 'POST'], path: '/loki/api/v1/format_query', access: 'tenants', handle: formatQuery },
  ];
}

/** A route for each path, answered by the frontend. */
export function readRoutes(read: Readonly<Record<string, ReadAsk>>, deps: QueryDeps): Route[] {
  return Object.entries(read).map(([path, ask]) => ({
    methods: ['GET', 'POST'],
    path,
    access: 'tenants',
    handle: (request) => answer(ask, request, deps),
  }));
}

function answer(read: ReadAsk, request: HttpRequest, deps: QueryDeps): Promise<HttpReply> {
  return deps.outstanding.run(tenantsOf(request.tenant), () => askFrontend(read, request, deps));
}

/** In Loki's words. */
const TIMED_OUT =
  'request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed';

async function askFrontend(read: ReadAsk, request: HttpRequest, { asker, world, limits }: QueryDeps): Promise<HttpReply> {
  const { tenant, signal, trace } = request;
  const tenantLimits = limits(tenant);
  const nowNs = BigInt(Math.trunc(world.clock.nowMs())) * 1_000_000n;
  const ask = read(await request.params(), request, nowNs, tenantLimits);
  const deadlineMs = world.clock.monotonicMs() + tenantLimits.queryTimeout;
  const options = { tenant, deadlineMs, signal, trace };
  try {
    const reply: BodyReply = await asker.ask<FrontendAsk, FrontendReply, FrontendAsk['kind']>(frontendProtocol, 'any', ask, options);
    return { status: 200, type: JSON_TYPE, body: reply.body };
  } catch (error) {
    if (error instanceof Fault && error.code === 'deadline') throw new Fault('deadline', TIMED_OUT, { cause: error });
    throw error;
  }
}

export function range(
  params: URLSearchParams,
  request: HttpRequest,
  nowNs: bigint,
  limits: QueryLimits,
): Extract<FrontendAsk, { kind: 'range' }> {
  const given = timeRange(params, nowNs, QUERY_SINCE_NS);
  const between = seen(given, nowNs, limits);
  const entries = limit(params);
  const ask: Extract<FrontendAsk, { kind: 'range' }> = {
    kind: 'range',
    query: queryOf(params),
    ...between,
    ...horizonOf(nowNs, limits),
    limit: entries,
    direction: direction(params),
    stepNs: step(params, given),
    intervalNs: interval(params),
    categorize: wantsCategories(request),
    ...cursorOf(params),
    ...wishesOf(request, limits),
  };
  checkEntries(ask.query, entries, limits);
  checkLength(between, limits);
  return ask;
}

function instant(
  params: URLSearchParams,
  request: HttpRequest,
  nowNs: bigint,
  limits: QueryLimits,
): Extract<FrontendAsk, { kind: 'instant' }> {
  return {
    kind: 'instant',
    query: queryOf(params),
    timeNs: timestamp(params.get('time') ?? '', nowNs),
    ...horizonOf(nowNs, limits),
    limit: limit(params),
    direction: direction(params),
    categorize: wantsCategories(request),
    ...wishesOf(request, limits),
  };
}

function wishesOf(request: HttpRequest, { allowPartialAnswers, readAfterWrite }: QueryLimits): AnswerWishes {
  return {
    ...((allowPartialAnswers || request.header('x-millrace-partial') === '1') && { partial: true }),
    ...((readAfterWrite || request.header('x-millrace-read-after-write') === '1') && { afterWrite: true }),
  };
}

/** With `time` the query is an instant one, as for /query; otherwise it is one for /query_range. */
function explain(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const query = params.has('time') ? instant(params, request, nowNs, limits) : range(params, request, nowNs, limits);
  return { kind: 'explain', query };
}

function context(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const ts = params.get('ts') ?? '';
  if (ts === '') throw new Fault('bad_request', "context wants 'ts', the time of an entry");
  const timeNs = timestamp(ts, nowNs);
  const between = seen(aroundTime(params, timeNs, limits), nowNs, limits);
  if (timeNs < between.startNs) {
    const lookback = printDuration(limits.maxQueryLookback * 1e6);
    throw new Fault('limit_exceeded', `this data is no longer available, it is past now - max_query_lookback (${lookback})`);
  }
  checkLength(between, limits);
  const ask: FrontendAsk = {
    kind: 'context',
    query: queryOf(params),
    stream: params.get('stream') ?? '',
    timeNs,
    ...between,
    before: entryCount(params, 'before'),
    after: entryCount(params, 'after'),
    categorize: wantsCategories(request),
  };
  const { maxEntriesLimitPerQuery: most } = limits;
  if (most > 0 && ask.before + ask.after > most) throw tooManyEntries(ask.before + ask.after, most);
  return ask;
}

export function labels(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  return { kind: 'labels', ...metadataRange(params, nowNs, limits), query: queryOf(params) };
}

export function labelValues(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  return { kind: 'label_values', name: request.pathParam('name'), ...metadataRange(params, nowNs, limits), query: queryOf(params) };
}

export function series(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  return { kind: 'series', ...metadataRange(params, nowNs, limits), matches: matches(params) };
}

async function formatQuery(request: HttpRequest): Promise<HttpReply> {
  const data = prettyPrint(parseExpr(queryOf(await request.params())));
  return { status: 200, type: JSON_TYPE, body: JSON.stringify({ status: 'success', data }) };
}

function cursorOf(params: URLSearchParams): { cursor?: string } {
  const cursor = params.get('cursor') ?? '';
  return cursor === '' ? {} : { cursor };
}

export function queryOf(params: URLSearchParams): string {
  return params.get('query') ?? '';
}

function metadataRange(params: URLSearchParams, nowNs: bigint, limits: QueryLimits): TimeRange {
  const between = seen(timeRange(params, nowNs, LABELS_SINCE_NS), nowNs, limits);
  checkLength(between, limits);
  return between;
}

/** Before this time the tenant sees nothing; absent if there is no such time. */
function horizonOf(nowNs: bigint, { maxQueryLookback }: QueryLimits): { notBeforeNs?: bigint } {
  return maxQueryLookback === 0 ? {} : { notBeforeNs: nowNs - BigInt(Math.round(maxQueryLookback * 1e6)) };
}

/** What the tenant sees of a range. It ends before it begins if that is nothing. */
export function seen<R extends TimeRange>(range: R, nowNs: bigint, limits: QueryLimits): R {
  const { notBeforeNs = range.startNs } = horizonOf(nowNs, limits);
  return notBeforeNs <= range.startNs ? range : { ...range, startNs: notBeforeNs };
}

/** The limit is one of entries: of a metric query it says nothing. */
export function checkEntries(query: string, entries: number, { maxEntriesLimitPerQuery: most }: QueryLimits): void {
  if (most === 0 || entries <= most || parseExpr(query).kind !== 'log') return;
  throw tooManyEntries(entries, most);
}

function tooManyEntries(entries: number, most: number): Fault {
  return new Fault('limit_exceeded', `max entries limit per query exceeded, limit > max_entries_limit_per_query (${entries} > ${most})`);
}

export function checkLength({ startNs, endNs }: TimeRange, limits: QueryLimits): void {
  const [lengthNs, limitNs] = [Number(endNs - startNs), limits.maxQueryLength * 1e6];
  if (limitNs > 0 && lengthNs > limitNs) throw tooLong(lengthNs, limitNs);
}

/** Whether values come with their labels by origin: stream, structured metadata, parsed. */
export function wantsCategories(request: HttpRequest): boolean {
  const flags = request.header('x-loki-response-encoding-flags').split(',');
  return flags.some((flag) => flag.trim() === 'categorize-labels');
}
