import type { VolumeQuery } from '../../logql/engine/volume-execution.ts';
import type { Direction, Matcher } from '../../logql/model.ts';
import { protocol } from '../kernel/define.ts';
import type { StreamShard } from './ingest.ts';

/** One job for a querier: a query text over one shard of the streams. Times [fromNs, toNs) unless said otherwise. */
export type QuerierAsk =
  | {
      kind: 'logs';
      query: string;
      fromNs: bigint;
      toNs: bigint;
      limit: number;
      direction: Direction;
      categorize: boolean;
      shard: StreamShard;
    }
  /** `query` is one range aggregation (a leaf of the metric query), evaluated at startNs, startNs + stepNs … endNs, both included. */
  | { kind: 'samples'; query: string; startNs: bigint; endNs: bigint; stepNs: number; shard: StreamShard }
  | { kind: 'series'; selectors: string[]; fromNs: bigint; toNs: bigint; shard: StreamShard }
  | { kind: 'stream_sizes'; matchers: Matcher[]; fromNs: bigint; toNs: bigint; shard: StreamShard }
  | ({ kind: 'volumes'; shard: StreamShard } & VolumeQuery);

export interface ScanStats {
  lines: number;
  lineBytes: number;
  metadataBytes: number;
  matchedLines: number;
  blocks: number;
  blocksSkipped: number;
  blocksByHeader: number;
  compressedBytes: number;
  duplicates: number;
  headRows: number;
  objects: number;
  chunks: number;
  decompressMs: number;
}

export function noScanStats(): ScanStats {
  return {
    lines: 0,
    lineBytes: 0,
    metadataBytes: 0,
    matchedLines: 0,
    blocks: 0,
    blocksSkipped: 0,
    blocksByHeader: 0,
    compressedBytes: 0,
    duplicates: 0,
    headRows: 0,
    objects: 0,
    chunks: 0,
    decompressMs: 0,
  };
}

export type QuerierReply = {
  logs: { frame: Uint8Array[]; stats: ScanStats };
  samples: { frame: Uint8Array[]; stats: ScanStats };
  series: { labels: string[]; stats: ScanStats };
  /** A row per stream, numbers as Float64. */
  stream_sizes: { hashes: string[]; chunks: Uint8Array; entries: Uint8Array; bytes: Uint8Array; stats: ScanStats };
  volumes: { frame: Uint8Array[]; stats: ScanStats };
};
export const querierProtocol = protocol<QuerierAsk, QuerierReply>('querier');

/** Times as given by the client are resolved by the gateway. */
export type FrontendAsk =
  | {
      kind: 'range';
      query: string;
      startNs: bigint;
      endNs: bigint;
      stepNs: number;
      intervalNs: number;
      limit: number;
      direction: Direction;
      categorize: boolean;
    }
  | { kind: 'instant'; query: string; timeNs: bigint; limit: number; direction: Direction; categorize: boolean }
  | { kind: 'labels'; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'label_values'; name: string; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'series'; matches: string[]; startNs: bigint; endNs: bigint }
  | { kind: 'index_stats'; query: string; startNs: bigint; endNs: bigint }
  | { kind: 'index_shards'; query: string; startNs: bigint; endNs: bigint; targetBytes: number }
  | ({ kind: 'index_volume'; limit: number } & Omit<VolumeQuery, 'maxSeries'>)
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
