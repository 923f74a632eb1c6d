import type { LogPosition } from '../../logql/engine/log-position.ts';
import type { VolumeQuery } from '../../logql/engine/volume-execution.ts';
import type { Direction, Matcher } from '../../logql/model.ts';
import type { PatternQuery } from '../../logql/patterns/pattern-execution.ts';
import type { PatternFrame } from '../../logql/patterns/pattern-series.ts';
import type { StageProfile } from '../../logql/pipeline/profile.ts';
import type { StreamHash } from '../../storage/batch/batch.ts';
import type { BlockHeader } from '../../storage/chunk/block.ts';
import type { ChunkRef } from '../../storage/chunk/chunk.ts';
import type { Unit } from '../../storage/chunk/overlap.ts';
import { protocol } from '../kernel/define.ts';
import type { StreamShard } from './ingest.ts';

/** What one job may select, before anything of it is read; 0: any number. */
export interface JobLimits {
  readonly streams: number;
  readonly chunks: number;
  readonly bytes: number;
}

/** Jobs of one query that take over from each other what they have not begun, each known by the same name at its querier. If a job of them fails because an object
 *  is gone (Fault not_found), then so must the query: all of them are of one plan. */
export interface MutualHelp {
  readonly job: string;
  /** The other queriers. */
  readonly others: readonly string[];
}

/** A stretch of one stream in storage that is scanned as a whole, by whoever has it. */
export interface SharedGroup {
  /** Canonical text. */
  readonly labels: string;
  readonly hash: StreamHash;
  readonly minNs: bigint;
  readonly maxNs: bigint;
  /** [fromNs, toNs): only rows of these times are meant. */
  readonly within?: { readonly fromNs: bigint; readonly toNs: bigint };
  readonly units: readonly (Unit & {
    readonly key: string;
    /** Without its list of blocks. */
    readonly chunk: ChunkRef;
    readonly block: BlockHeader;
    readonly at: number;
  })[];
}

/** One job for a querier over one shard of the streams, or what queriers ask each other. */
export type QuerierAsk =
  | (JobAsk & {
      shard: StreamShard;
      /** Bytes of memory that the job may hold; absent or 0: no limit of its own. */
      maxMemory?: number;
    } & AnswerWishes)
  /** What the job of this name has not begun and can spare: about half, or nothing. Who asks takes it over; if the reply is lost, the query has to fail. */
  | { kind: 'spare_groups'; job: string };

/** A query text, or matchers. Times [fromNs, toNs) unless said otherwise. `tenantLabel`: what each stream is to have as its label `__tenant_id__`, in a query of
 *  several tenants. */
export type JobAsk =
  | {
      kind: 'logs';
      query: string;
      fromNs: bigint;
      toNs: bigint;
      limit: number;
      direction: Direction;
      categorize: boolean;
      /** Only entries behind this place. */
      after?: LogPosition;
      /** Whether to measure the stages. */
      profile?: boolean;
      /** See LogQueryOptions. */
      legacy?: boolean;
      most?: JobLimits;
      tenantLabel?: string;
    }
  /** `query` is one range aggregation (a leaf of the metric query), evaluated at startNs, startNs + stepNs … endNs, both included. With more than
   *  `maxSeries` series, if given, it fails at once. */
  | {
      kind: 'samples';
      query: string;
      startNs: bigint;
      endNs: bigint;
      stepNs: number;
      maxSeries?: number;
      /** Entries before are left out. */
      notBeforeNs?: bigint;
      profile?: boolean;
      most?: JobLimits;
      tenantLabel?: string;
      help?: MutualHelp;
    }
  /** How much would have to be read. */
  | { kind: 'read_size'; matchers: Matcher[]; fromNs: bigint; toNs: bigint }
  | { kind: 'series'; selectors: string[]; fromNs: bigint; toNs: bigint; tenantLabel?: string }
  | { kind: 'stream_sizes'; matchers: Matcher[]; fromNs: bigint; toNs: bigint }
  | ({ kind: 'volumes' } & VolumeQuery);

/** How complete an answer is to be. */
export interface AnswerWishes {
  /** One that may be short is wanted, with a warning, where there is no other: it goes on without ingesters that may have what nobody else has. */
  readonly partial?: boolean;
  /** What is in Kafka when the question comes is to be in the answer, if that does not take too long. */
  readonly afterWrite?: boolean;
}

export interface ScanStats {
  /** How often it went on without ingesters that may have entries which are nowhere else. */
  short: number;
  /** Everything that Kafka had taken in before this is in the answer, ms since the epoch; infinite where there is none in front of ingesters. */
  watermarkMs: number;
  /** By how much that is before now, if the times that were asked for reach beyond it. */
  behindMs: number;
  /** Partitions that no ingester reads. */
  unread: number;
  /** Shards that had not read in time what was to be read before. */
  late: number;
  lines: number;
  lineBytes: number;
  metadataBytes: number;
  matchedLines: number;
  blocks: number;
  /** Blocks of chunks with times in the range that have none themselves. */
  blocksOutside: number;
  /** Blocks that could not matter once a log query's limit was reached. */
  blocksSkipped: number;
  /** Blocks of which skip filters told that they hold nothing. */
  blocksFiltered: number;
  blocksByHeader: number;
  /** Of a log query: how often rows were left out because the limit was reached. */
  cutShort: number;
  /** Bytes of blocks fetched from storage; of their columns that were looked at, as stored and decompressed. */
  fetchedBytes: number;
  /** Bytes of skip filters fetched. */
  filterBytes: number;
  compressedBytes: number;
  decompressedBytes: number;
  duplicates: number;
  headRows: number;
  objects: number;
  /** Selected by time, tenant and labels; as the chunks. */
  streams: number;
  chunks: number;
  /** Waiting for ingesters; for storage's listing and indexes; for blocks; all added up over parts that ran at the same time. */
  ingestersMs: number;
  indexMs: number;
  fetchMs: number;
  decompressMs: number;
  /** Looking at rows, `decompressMs` included. */
  scanMs: number;
}

export function noScanStats(): ScanStats {
  return {
    short: 0,
    watermarkMs: Number.POSITIVE_INFINITY,
    behindMs: 0,
    unread: 0,
    late: 0,
    lines: 0,
    lineBytes: 0,
    metadataBytes: 0,
    matchedLines: 0,
    blocks: 0,
    blocksOutside: 0,
    blocksSkipped: 0,
    blocksFiltered: 0,
    blocksByHeader: 0,
    cutShort: 0,
    fetchedBytes: 0,
    filterBytes: 0,
    compressedBytes: 0,
    decompressedBytes: 0,
    duplicates: 0,
    headRows: 0,
    objects: 0,
    streams: 0,
    chunks: 0,
    ingestersMs: 0,
    indexMs: 0,
    fetchMs: 0,
    decompressMs: 0,
    scanMs: 0,
  };
}

/** Adds what one more job cost; of where Kafka is read up to the worst counts. */
export function addScanStats(sum: ScanStats, more: ScanStats): void {
  const before = { ...sum };
  for (const key of Object.keys(more) as (keyof ScanStats)[]) sum[key] += more[key];
  sum.watermarkMs = Math.min(before.watermarkMs, more.watermarkMs);
  sum.behindMs = Math.max(before.behindMs, more.behindMs);
  sum.unread = Math.max(before.unread, more.unread);
  sum.late = Math.max(before.late, more.late);
}

export type QuerierReply = {
  logs: { frame: Uint8Array[]; stats: ScanStats; stages?: readonly StageProfile[] };
  samples: { frame: Uint8Array[]; stats: ScanStats; stages?: readonly StageProfile[] };
  series: { labels: string[]; stats: ScanStats };
  /** A row per stream, numbers as Float64. */
  stream_sizes: { hashes: string[]; chunks: Uint8Array; entries: Uint8Array; bytes: Uint8Array; stats: ScanStats };
  volumes: { frame: Uint8Array[]; stats: ScanStats };
  spare_groups: { groups: SharedGroup[] };
  /** Lines and metadata of all blocks and heads with times in the range, decompressed. */
  read_size: { bytes: number; stats: ScanStats };
};
export const querierProtocol = protocol<QuerierAsk, QuerierReply>('querier');

export type PatternAsk = {
  kind: 'mine';
  query: PatternQuery;
  /** Line bytes that are mined of each job at most; of more, every second, third … block is. */
  maxBytes: number;
  shard: StreamShard;
};
export type PatternReply = {
  mine: {
    series: readonly PatternFrame[];
    /** Whether only a part of the lines was looked at, and counts are estimates. */
    sampled: boolean;
  };
};
export const patternProtocol = protocol<PatternAsk, PatternReply>('pattern-ingester');

/** Times as given by the client are resolved by the gateway; a range that ends before it begins is one that the tenant does not see. */
export type FrontendAsk =
  | ({
      kind: 'range';
      query: string;
      startNs: bigint;
      endNs: bigint;
      stepNs: number;
      /** Of a metric query: entries before are left out. */
      notBeforeNs?: bigint;
      intervalNs: number;
      limit: number;
      direction: Direction;
      categorize: boolean;
      /** Where the page before ended; absent for the first page. Log queries without an interval only. */
      cursor?: string;
      /** A log query answered as it was under /api/prom. */
      legacy?: boolean;
    } & AnswerWishes)
  | ({
      kind: 'instant';
      query: string;
      timeNs: bigint;
      notBeforeNs?: bigint;
      limit: number;
      direction: Direction;
      categorize: boolean;
    } & AnswerWishes)
  /** Runs the query and answers with how that went. */
  | { kind: 'explain'; query: Extract<FrontendAsk, { kind: 'range' | 'instant' }> }
  /** Entries of the streams around a time: all at it, and so many before and after it within [startNs, endNs). */
  | {
      kind: 'context';
      /** A log query whose stages the entries go through, '' for none. */
      query: string;
      /** A selector. */
      stream: string;
      timeNs: bigint;
      startNs: bigint;
      endNs: bigint;
      before: number;
      after: number;
      categorize: boolean;
    }
  | { kind: 'labels'; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'label_values'; name: string; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'series'; matches: string[]; startNs: bigint; endNs: bigint }
  | { kind: 'index_stats'; query: string; startNs: bigint; endNs: bigint }
  | { kind: 'index_shards'; query: string; startNs: bigint; endNs: bigint; targetBytes: number }
  | ({ kind: 'index_volume'; limit: number } & Omit<VolumeQuery, 'maxSeries'>)
  | ({ kind: 'patterns' } & Omit<PatternQuery, 'jsonFields'>)
  | { kind: 'detected_labels'; query: string; startNs: bigint; endNs: bigint }
  | { kind: 'detected_fields'; query: string; startNs: bigint; endNs: bigint; lineLimit: number; limit: number }
  /** The values of one field. */
  | { kind: 'detected_values'; name: string; query: string; startNs: bigint; endNs: bigint; lineLimit: number; limit: number };

/** A JSON body as byte chunks, ready to be sent. */
export interface BodyReply {
  readonly body: Uint8Array[];
}
export type FrontendReply = Record<FrontendAsk['kind'], BodyReply>;
export const frontendProtocol = protocol<FrontendAsk, FrontendReply>('query-frontend');
