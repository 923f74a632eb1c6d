import type { Asker } from '../../actors/kernel/define.ts';
import type { TenantLimits } from '../../actors/limits.ts';
import { type BodyReply, type FrontendAsk, type FrontendReply, frontendProtocol } from '../../actors/protocol/query.ts';
import { checkQueryLength } from '../../actors/query-length.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { prettyPrint } from '../../logql/syntax/pretty.ts';
import { Fault } from '../base/fault.ts';
import type { World } from '../base/world.ts';
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

export type QueryLimits = Pick<TenantLimits, 'maxEntriesLimitPerQuery' | 'maxQueryLength' | 'queryTimeout'>;

export interface QueryDeps {
  readonly asker: Asker;
  readonly world: World;
  readonly limits: (tenant: string) => QueryLimits;
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
    { methods: ['GET', 'POST'], path: '/loki/api/v1/format_query', access: 'tenant', handle: formatQuery },
  ];
}

/** A route for each path, answered by the frontend. */
export function readRoutes(read: Readonly<Record<string, ReadAsk>>, deps: QueryDeps): Route[] {
  return Object.entries(read).map(([path, ask]) => ({
    methods: ['GET', 'POST'],
    path,
    access: 'tenant',
    handle: (request) => answer(ask, request, deps),
  }));
}

async function answer(read: ReadAsk, request: HttpRequest, { asker, world, limits }: QueryDeps): Promise<HttpReply> {
  const { tenant, signal, trace } = request;
  const tenantLimits = limits(tenant);
  const nowNs = BigInt(Math.trunc(world.clock.nowMs())) * 1_000_000n;
  const ask = read(await request.params(), request, nowNs, tenantLimits);
  const deadlineMs = world.clock.monotonicMs() + tenantLimits.queryTimeout;
  const reply: BodyReply = await asker.ask<FrontendAsk, FrontendReply, FrontendAsk['kind']>(frontendProtocol, 'any', ask, {
    tenant,
    deadlineMs,
    signal,
    trace,
  });
  return { status: 200, type: JSON_TYPE, body: reply.body };
}

export function range(
  params: URLSearchParams,
  request: HttpRequest,
  nowNs: bigint,
  limits: QueryLimits,
): Extract<FrontendAsk, { kind: 'range' }> {
  const between = timeRange(params, nowNs, QUERY_SINCE_NS);
  const entries = limit(params);
  const ask: Extract<FrontendAsk, { kind: 'range' }> = {
    kind: 'range',
    query: queryOf(params),
    ...between,
    limit: entries,
    direction: direction(params),
    stepNs: step(params, between),
    intervalNs: interval(params),
    categorize: wantsCategories(request),
    ...cursorOf(params),
  };
  checkEntries(ask.query, entries, limits);
  checkLength(between, limits);
  return ask;
}

function instant(params: URLSearchParams, request: HttpRequest, nowNs: bigint): Extract<FrontendAsk, { kind: 'instant' }> {
  return {
    kind: 'instant',
    query: queryOf(params),
    timeNs: timestamp(params.get('time') ?? '', nowNs),
    limit: limit(params),
    direction: direction(params),
    categorize: wantsCategories(request),
  };
}

/** With `time` the query is an instant one, as for /query; otherwise it is one for /query_range. */
function explain(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const query = params.has('time') ? instant(params, request, nowNs) : range(params, request, nowNs, limits);
  return { kind: 'explain', query };
}

function context(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const ts = params.get('ts') ?? '';
  if (ts === '') throw new Fault('bad_request', "context wants 'ts', the time of an entry");
  const timeNs = timestamp(ts, nowNs);
  const between = aroundTime(params, timeNs, limits);
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
  const between = timeRange(params, nowNs, LABELS_SINCE_NS);
  checkLength(between, limits);
  return between;
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
  checkQueryLength(Number(endNs - startNs), limits);
}

/** Whether values come with their labels by origin: stream, structured metadata, parsed. */
export function wantsCategories(request: HttpRequest): boolean {
  const flags = request.header('x-loki-response-encoding-flags').split(',');
  return flags.some((flag) => flag.trim() === 'categorize-labels');
}
