import type { LogPosition } from '../../logql/engine/log-position.ts';
import type { Direction } from '../../logql/model.ts';
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
      /** Only entries behind this place. */
      after?: LogPosition;
      shard: StreamShard;
    }
  /** `query` is one range aggregation (a leaf of the metric query), evaluated at startNs, startNs + stepNs … endNs, both included. */
  | { kind: 'samples'; query: string; startNs: bigint; endNs: bigint; stepNs: number; shard: StreamShard }
  | { kind: 'series'; selectors: string[]; fromNs: bigint; toNs: bigint; shard: StreamShard };

export interface ScanStats {
  lines: number;
  lineBytes: number;
  metadataBytes: number;
  matchedLines: number;
  blocks: number;
  blocksSkipped: number;
  blocksByHeader: number;
  /** Of a log query: how often rows were left out because the limit was reached. */
  cutShort: number;
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
    cutShort: 0,
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
      /** Where the page before ended; absent for the first page. Log queries without an interval only. */
      cursor?: string;
    }
  | { kind: 'instant'; query: string; timeNs: bigint; limit: number; direction: Direction; categorize: boolean }
  | { kind: 'labels'; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'label_values'; name: string; startNs: bigint; endNs: bigint; query: string }
  | { kind: 'series'; matches: string[]; startNs: bigint; endNs: bigint };

/** A JSON body as byte chunks, ready to be sent. */
export interface BodyReply {
  readonly body: Uint8Array[];
}
export type FrontendReply = { range: BodyReply; instant: BodyReply; labels: BodyReply; label_values: BodyReply; series: BodyReply };
export const frontendProtocol = protocol<FrontendAsk, FrontendReply>('query-frontend');
