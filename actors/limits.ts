import { createHash } from 'node:crypto';
import { Fault } from '../ops/base/fault.ts';
import { bool, bytes, duration, float, int, list, type OptionsOf, section, string } from '../ops/base/options.ts';

/** Names under which Loki looks for a level, in its order of preference. */
const LEVEL_FIELDS =
  'level,LEVEL,Level,log.level,severity,SEVERITY,Severity,SeverityText,lvl,LVL,Lvl,severity_text,Severity_Text,SEVERITY_TEXT';
const SERVICE_NAME_LABELS =
  'service,app,application,app_name,name,app_kubernetes_io_name,container,container_name,k8s_container_name,component,workload,job,k8s_job_name';

/** What a tenant may do; Loki's names and defaults. */
export const limitsOptions = section('limits_config', 'limits', {
  ingestionRateMb: float('4', 'Lines and metadata a tenant may push, in MB (1024 × 1024 bytes) per second.', {
    flag: 'distributor.ingestion-rate-limit-mb',
  }),
  ingestionBurstSizeMb: float('6', 'How far a tenant may go beyond its rate at once, in MB; also the largest push.', {
    flag: 'distributor.ingestion-burst-size-mb',
  }),
  perStreamRateLimit: bytes('3MB', 'Lines and metadata one stream may take per second.', { flag: 'ingester.per-stream-rate-limit' }),
  perStreamRateLimitBurst: bytes('15MB', 'How far one stream may go beyond its rate at once.', {
    flag: 'ingester.per-stream-rate-limit-burst',
  }),
  maxGlobalStreamsPerUser: int('5000', 'Streams of a tenant that may be active at once; 0: any number.', {
    flag: 'ingester.max-global-streams-per-user',
  }),
  maxLabelNameLength: int('1024', 'Longest label name, in bytes.', { flag: 'validation.max-length-label-name' }),
  maxLabelValueLength: int('2048', 'Longest label value, in bytes.', { flag: 'validation.max-length-label-value' }),
  maxLabelNamesPerSeries: int('15', 'Most labels of a stream, service_name not counted.', {
    flag: 'validation.max-label-names-per-series',
  }),
  rejectOldSamples: bool('true', 'Refuse entries older than reject_old_samples_max_age.', { flag: 'validation.reject-old-samples' }),
  rejectOldSamplesMaxAge: duration('1w', 'Age beyond which an entry is refused.', { flag: 'validation.reject-old-samples.max-age' }),
  creationGracePeriod: duration('10m', 'How far in the future an entry may lie.', { flag: 'validation.create-grace-period' }),
  maxLineSize: bytes('256KB', 'Longest line; 0: any length.', { flag: 'distributor.max-line-size' }),
  maxLineSizeTruncate: bool('false', 'Cut lines that are too long instead of refusing them.', {
    flag: 'distributor.max-line-size-truncate',
  }),
  maxLineSizeTruncateIdentifier: string('', 'Text put at the end of a line that was cut.', {
    flag: 'distributor.max-line-size-truncate-identifier',
  }),
  allowStructuredMetadata: bool('true', 'Accept structured metadata.', { flag: 'validation.allow-structured-metadata' }),
  maxStructuredMetadataSize: bytes('64KB', 'Most structured metadata of an entry, names and values; 0: any amount.'),
  maxStructuredMetadataEntriesCount: int('128', 'Most structured metadata pairs of an entry; 0: any number.'),
  enforcedLabels: list('', 'Labels that every stream must have.', { flag: 'validation.enforced-labels' }),
  discoverServiceName: list(
    SERVICE_NAME_LABELS,
    'The first of these labels that a stream has becomes its service_name; empty: none is added.',
    {
      flag: 'validation.discover-service-name',
    },
  ),
  discoverLogLevels: bool('true', 'Add the level of each entry as structured metadata detected_level.', {
    flag: 'validation.discover-log-levels',
  }),
  logLevelFields: list(LEVEL_FIELDS, 'Labels, metadata and fields of lines in which a level is looked for, in this order.', {
    flag: 'validation.log-level-fields',
  }),
  logLevelFromJsonMaxDepth: int('2', 'Levels of nesting of a JSON line in which a level is looked for; 0: all.', {
    flag: 'validation.log-level-from-json-max-depth',
  }),
  patternIngesterTokenizableJsonFieldsDefault: list(
    'log,message,msg,msg_,_msg,content',
    'Patterns of lines in JSON are those of the first of these fields that a line has.',
    { flag: 'limits.pattern-ingester-tokenizable-json-fields' },
  ),
  patternIngesterTokenizableJsonFieldsAppend: list('', 'Fields that are looked for behind those.', {
    flag: 'limits.pattern-ingester-tokenizable-json-fields-append',
  }),
  patternIngesterTokenizableJsonFieldsDelete: list('', 'Fields that are not looked for.', {
    flag: 'limits.pattern-ingester-tokenizable-json-fields-delete',
  }),
  maxEntriesLimitPerQuery: int('5000', 'Most entries that a query may ask for; 0: any number.', { flag: 'validation.max-entries-limit' }),
  maxQuerySeries: int('500', 'Most series of a metric query.', { flag: 'querier.max-query-series' }),
  maxQueryMemory: bytes('64MB', 'Memory that a query may hold on each querier, and again for its answer; 0: any amount.', {
    flag: 'querier.max-query-memory',
  }),
  maxQueryLength: duration('30d1h', 'Longest time range of a query; 0: any.', { flag: 'store.max-query-length' }),
  maxQueryRange: duration('0', 'Longest range of a metric query, the one in brackets; 0: any.', { flag: 'querier.max-query-range' }),
  maxQueryLookback: duration('0', 'How far back a query sees; 0: all the way. What begins before begins there.', {
    flag: 'querier.max-query-lookback',
  }),
  maxStreamsMatchersPerQuery: int('1000', 'Most matchers of a selector.', { flag: 'querier.max-streams-matcher-per-query' }),
  requiredLabels: list('', 'Labels that each selector of a range query must have a matcher for.'),
  minimumLabelsNumber: int('0', 'Matchers that each selector of a range query must have at least.'),
  cardinalityLimit: int('100000', 'Most streams that a query may select; 0: any number.', { flag: 'store.cardinality-limit' }),
  maxChunksPerQuery: int('2000000', 'Most chunks that a query may select; 0: any number.', { flag: 'store.query-chunk-limit' }),
  maxQueryBytesRead: bytes(
    '0B',
    'Most bytes, decompressed, that a metric query, or a log query with a filter, may have to read; 0: any number.',
    {
      flag: 'frontend.max-query-bytes-read',
    },
  ),
  maxQuerierBytesRead: bytes('150GB', 'As max_query_bytes_read, for what one querier has to read of one part of a query.', {
    flag: 'frontend.max-querier-bytes-read',
  }),
  tsdbMaxQueryParallelism: int('128', 'Most jobs that one query gives to queriers at a time; 0: queries are refused.', {
    flag: 'querier.tsdb-max-query-parallelism',
    min: 0,
  }),
  volumeEnabled: bool('true', 'Answer questions for log volumes.', { flag: 'limits.volume-enabled' }),
  volumeMaxSeries: int('1000', 'Most series or labels whose volumes are told apart; a question with more fails.', {
    flag: 'limits.volume-max-series',
  }),
  maxConcurrentTailRequests: int('10', 'Most tails of a tenant at once.', { flag: 'querier.max-concurrent-tail-requests' }),
  shardAggregations: list(
    '',
    'Aggregations that may be answered approximately. approx_topk is refused unless it is named here; quantile_over_time, first_over_time and last_over_time may be named as well, and stay exact.',
    { flag: 'querier.shard-aggregations' },
  ),
  allowPartialAnswers: bool(
    'false',
    'Log and metric queries are answered, with a warning, though so many ingesters are away that entries may be missing; without it they are refused, unless the request has X-Millrace-Partial: 1.',
    { flag: 'querier.allow-partial-answers' },
  ),
  readAfterWrite: bool(
    'false',
    'Log and metric queries wait, for some seconds at most, until what was pushed before them can be read, where Kafka is in front of ingesters; without it requests do with X-Millrace-Read-After-Write: 1.',
    { flag: 'querier.read-after-write' },
  ),
  queryTimeout: duration('1m', 'How long a query may run.', { flag: 'querier.query-timeout' }),
  splitQueriesByInterval: duration(
    '1h',
    'Steps of metric queries lie at multiples of the step, and the interval of log queries begins anew at multiples of this; 0: both begin at the start of the query.',
    { flag: 'querier.split-queries-by-interval', min: 0 },
  ),
});

/** Compare by identity to see whether they changed: a tenant's limits are the same object for as long as they are the same. */
export type TenantLimits = OptionsOf<typeof limitsOptions>;

const NS_PER_SECOND = 1_000_000_000;
/** Cells of a tenant: the hash of its name, when its rate budget is full again, and its active streams. */
const CELLS = 3;
const PAID_AT = 1;
const STREAMS = 2;

export type RateOutcome = { readonly ok: true } | { readonly ok: false; readonly retryAfterS: number };

/** Counters that all threads of a process share, so that a tenant has one budget however its pushes are spread. Each thread makes its own SharedLimits around
 *  the same memory, in which every tenant has a place that all find by its name. */
export class SharedLimits {
  readonly memory: SharedArrayBuffer;
  readonly #cells: BigInt64Array;
  readonly #numbers = new Map<string, number>();

  /** `memory` as another SharedLimits has it, or none for a new one with room for 65,536 tenants. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(65_536 * CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cells = new BigInt64Array(memory);
  }

  /** For so many tenants. */
  get places(): number {
    return Math.floor(this.#cells.length / CELLS);
  }

  /** The tenant's number, below `places`, the same in every thread. Throws Fault unavailable when there is no more room. */
  tenantCell(tenant: string): number {
    const known = this.#numbers.get(tenant);
    if (known !== undefined) return known;
    const { places } = this;
    // Two tenants of one hash would share a budget: that is a matter of 2^64.
    const hash = createHash('sha256').update(tenant).digest().readBigInt64LE() || 1n;
    const first = Number(BigInt.asUintN(53, hash)) % places;
    for (let step = 0; step < places; step++) {
      const cell = (first + step) % places;
      const found = Atomics.compareExchange(this.#cells, cell * CELLS, 0n, hash);
      if (found !== 0n && found !== hash) continue;
      this.#numbers.set(tenant, cell);
      return cell;
    }
    throw new Fault('unavailable', `more than ${places} tenants in one process`);
  }

  /** Charges `bytes` to the tenant, or nothing if that went beyond its rate and burst. `nowNs`: a clock that never goes back and that all threads share;
   *  `burst` in bytes. More than `burst` at once is never let through. */
  takeBytes(cell: number, bytes: number, nowNs: bigint, ratePerSecond: number, burst: number): RateOutcome {
    // GCRA: the cell holds the time at which all that was let through is paid for. A bucket of tokens in one number, so one compare-and-swap moves it.
    if (ratePerSecond <= 0) return { ok: false, retryAfterS: 60 };
    const cost = nanoseconds(bytes, ratePerSecond);
    const tolerance = nanoseconds(burst, ratePerSecond);
    const index = cell * CELLS + PAID_AT;
    let paidAt = Atomics.load(this.#cells, index);
    for (;;) {
      const next = (paidAt > nowNs ? paidAt : nowNs) + cost;
      const beyond = next - nowNs - tolerance;
      if (beyond > 0n) return { ok: false, retryAfterS: Math.max(1, Math.ceil(Number(beyond) / NS_PER_SECOND)) };
      const seen = Atomics.compareExchange(this.#cells, index, paidAt, next);
      if (seen === paidAt) return { ok: true };
      paidAt = seen;
    }
  }

  /** Counts one more active stream of the tenant, unless it has `limit` of them; 0 is no limit. */
  addStream(cell: number, limit: number): boolean {
    const index = cell * CELLS + STREAMS;
    let streams = Atomics.load(this.#cells, index);
    for (;;) {
      if (limit > 0 && streams >= limit) return false;
      const seen = Atomics.compareExchange(this.#cells, index, streams, streams + 1n);
      if (seen === streams) return true;
      streams = seen;
    }
  }

  removeStream(cell: number): void {
    Atomics.sub(this.#cells, cell * CELLS + STREAMS, 1n);
  }

  activeStreams(cell: number): number {
    return Number(Atomics.load(this.#cells, cell * CELLS + STREAMS));
  }
}

/** How long `bytes` take at a rate. */
function nanoseconds(bytes: number, ratePerSecond: number): bigint {
  return BigInt(Math.ceil((bytes / ratePerSecond) * NS_PER_SECOND));
}

/** The rate limit of one stream, within one thread. */
export class StreamRate {
  #paidAtMs: number;

  constructor(nowMs: number) {
    this.#paidAtMs = nowMs;
  }

  /** Charges `bytes`, or nothing if that went beyond the rate and burst (bytes). `nowMs` never goes back. */
  take(bytes: number, nowMs: number, ratePerSecond: number, burst: number): boolean {
    const next = Math.max(this.#paidAtMs, nowMs) + (bytes / ratePerSecond) * 1_000;
    if (next - nowMs > (burst / ratePerSecond) * 1_000) return false;
    this.#paidAtMs = next;
    return true;
  }
}
