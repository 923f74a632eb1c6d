import type { FrontendAsk } from '../../actors/protocol/query.ts';
import type { VolumeQuery } from '../../logql/engine/volume-execution.ts';
import { SAMPLE_MS } from '../../logql/patterns/pattern-counts.ts';
import { Fault } from '../base/fault.ts';
import { checkEntries, checkLength, type QueryDeps, type QueryLimits, queryOf, type ReadAsk, readRoutes, seen } from './query.ts';
import {
  anyTimeRange,
  DEFAULT_LIMIT,
  direction,
  interval,
  limit,
  positive,
  QUERY_SINCE_NS,
  step,
  type TimeRange,
  timeRange,
  timestamp,
} from './query-params.ts';
import type { HttpRequest, Route } from './route.ts';

const DEFAULT_FIELDS = 1_000;

const READ: Readonly<Record<string, ReadAsk>> = {
  '/loki/api/v1/index/stats': stats,
  '/loki/api/v1/index/shards': shards,
  '/loki/api/v1/index/volume': volume,
  '/loki/api/v1/index/volume_range': volumeRange,
  '/loki/api/v1/patterns': patterns,
  '/loki/api/v1/detected_labels': detectedLabels,
  '/loki/api/v1/detected_fields': detectedFields,
  '/loki/api/v1/detected_field/:name/values': detectedValues,
};

/** What is in the store, rather than its entries: sizes, and the labels and fields to choose by. */
export function indexRoutes(deps: QueryDeps): Route[] {
  return readRoutes(READ, deps);
}

function stats(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const { startNs, endNs } = rangeParams(params, nowNs, limits);
  checkLength({ startNs, endNs }, limits);
  return { kind: 'index_stats', query: queryOf(params), startNs, endNs };
}

function shards(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const { startNs, endNs } = rangeParams(params, nowNs, limits);
  const targetBytes = sizeOf(params.get('targetBytesPerShard') ?? '');
  if (targetBytes === 0) throw bad('targetBytesPerShard must be a positive value');
  checkLength({ startNs, endNs }, limits);
  return { kind: 'index_shards', query: queryOf(params), startNs, endNs, targetBytes };
}

function volume(given: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const params = volumeParams(given);
  const most = limit(params);
  timestamp(params.get('time') ?? '', nowNs);
  direction(params);
  const aggregateBy = aggregation(params);
  const between = seen(timeRange(params, nowNs, QUERY_SINCE_NS), nowNs, limits);
  return volumeAsk(params, { ...between, stepNs: 0, limit: most, aggregateBy }, limits);
}

function volumeRange(given: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const params = volumeParams(given);
  const { startNs, endNs, stepNs } = rangeParams(params, nowNs, limits);
  return volumeAsk(params, { startNs, endNs, stepNs, limit: limit(params), aggregateBy: aggregation(params) }, limits);
}

type VolumeParams = Pick<VolumeQuery, 'startNs' | 'endNs' | 'stepNs' | 'aggregateBy'> & { readonly limit: number };

function volumeAsk(params: URLSearchParams, read: VolumeParams, limits: QueryLimits): FrontendAsk {
  // What is limited is the time that one volume is of.
  const oneEndNs = read.startNs + BigInt(read.stepNs);
  checkLength(read.stepNs > 0 && oneEndNs < read.endNs ? { startNs: read.startNs, endNs: oneEndNs } : read, limits);
  const targets = params.get('targetLabels') ?? '';
  return { kind: 'index_volume', query: queryOf(params), targetLabels: targets === '' ? [] : targets.split(','), ...read };
}

/** Counts are by the millisecond step, no finer than they are kept. */
function patterns(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const given = anyTimeRange(params, nowNs, QUERY_SINCE_NS);
  const stepMs = Math.max(SAMPLE_MS, Math.trunc(step(params, given) / 1e6));
  const between = seen(given, nowNs, limits);
  checkLength(between, limits);
  return { kind: 'patterns', query: queryOf(params), ...between, stepMs };
}

function detectedLabels(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  const between = seen(timeRange(params, nowNs, QUERY_SINCE_NS), nowNs, limits);
  checkLength(between, limits);
  return { kind: 'detected_labels', query: queryOf(params), ...between };
}

function detectedFields(params: URLSearchParams, _: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  return { kind: 'detected_fields', ...fieldParams(params, nowNs, limits) };
}

function detectedValues(params: URLSearchParams, request: HttpRequest, nowNs: bigint, limits: QueryLimits): FrontendAsk {
  return { kind: 'detected_values', name: request.pathParam('name'), ...fieldParams(params, nowNs, limits) };
}

function fieldParams(params: URLSearchParams, nowNs: bigint, limits: QueryLimits) {
  const given = timeRange(params, nowNs, QUERY_SINCE_NS);
  const lineLimit = positive('line_limit', params.get('line_limit') ?? '', DEFAULT_LIMIT);
  const fields = positive('limit', params.get('limit') || (params.get('field_limit') ?? ''), DEFAULT_FIELDS);
  step(params, given);
  const query = queryOf(params);
  checkEntries(query, lineLimit, limits);
  const between = seen(given, nowNs, limits);
  checkLength(between, limits);
  return { query, ...between, lineLimit, limit: fields };
}

/** The parameters of a range query, of which some only have to be right. */
function rangeParams(params: URLSearchParams, nowNs: bigint, limits: QueryLimits): TimeRange & { stepNs: number } {
  const between = timeRange(params, nowNs, QUERY_SINCE_NS);
  limit(params);
  direction(params);
  const stepNs = step(params, between);
  interval(params);
  return { ...seen(between, nowNs, limits), stepNs };
}

/** Of volumes a limit of 0 is the default. */
function volumeParams(params: URLSearchParams): URLSearchParams {
  const read = new URLSearchParams(params);
  if (/^[-+]?0+$/.test(read.get('limit') ?? '')) read.delete('limit');
  return read;
}

function aggregation(params: URLSearchParams): VolumeQuery['aggregateBy'] {
  const text = params.get('aggregateBy') || 'series';
  if (text !== 'series' && text !== 'labels') throw bad('invalid aggregation option');
  return text;
}

const SIZE_UNITS = ['b', 'k', 'm', 'g', 't', 'p', 'e'];

/** Bytes of `600MB`, `1g`, `5000`, in powers of 1024; 0 if it is no size. */
function sizeOf(text: string): number {
  const match = /^(\d+)\s*([kmgtpe]?)b?$/i.exec(text);
  return match === null ? 0 : Number(match[1]) * 1024 ** SIZE_UNITS.indexOf(match[2].toLowerCase() || 'b');
}

function bad(message: string): Fault {
  return new Fault('bad_request', message);
}
