/** What the work for a query came to; sums over all parts of it. */
export interface QueryStats {
  readonly lines: number;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  readonly matchedLines: number;
  /** Rows read from heads, which are not in objects yet. */
  readonly headRows: number;
  readonly compressedBytes: number;
  readonly duplicates: number;
  readonly chunks: number;
  readonly decompressMs: number;
  readonly execMs: number;
  readonly queueMs: number;
  /** Jobs for queriers. */
  readonly subqueries: number;
  readonly splits: number;
  readonly shards: number;
  readonly ingesters: number;
  /** How often rows of a log query were left out because its limit was reached, and blocks. */
  readonly cutShort: number;
  readonly blocksSkipped: number;
  /** Where entries wait in a buffer before they can be read: all that it had taken in before is in the answer, ms since the epoch, infinite where there is none; by how much that is before now, where the answer could reach beyond it; parts
   *  of the buffer that nobody reads. */
  readonly watermarkMs?: number;
  readonly behindMs?: number;
  readonly unread?: number;
}

/** The `stats` of an answer, under Loki's names, as its clients read them; `own` is ours, beside them in the summary. */
export function statsBody(stats: QueryStats, entriesReturned: number, own: Record<string, unknown> = {}): Record<string, unknown> {
  const seconds = stats.execMs / 1e3;
  const perSecond = (amount: number): number => (seconds > 0 ? Math.round(amount / seconds) : 0);
  // A limit may have been reached before all rows of the heads were looked at.
  const headRows = Math.min(stats.headRows, stats.lines);
  const headShare = stats.lines > 0 ? headRows / stats.lines : 0;
  const headBytes = Math.round(stats.lineBytes * headShare);
  const headMetadata = Math.round(stats.metadataBytes * headShare);
  const store = {
    ...NO_STORE,
    totalChunksRef: stats.chunks,
    totalChunksDownloaded: stats.chunks,
    chunksDownloadTime: Math.round(stats.decompressMs * 1e6), // nanoseconds, where execTime and queueTime are seconds
    queryReferencedStructuredMetadata: stats.metadataBytes > 0,
    chunk: {
      ...NO_CHUNK,
      decompressedBytes: stats.lineBytes - headBytes,
      decompressedLines: stats.lines - headRows,
      compressedBytes: stats.compressedBytes,
      totalDuplicates: stats.duplicates,
      postFilterLines: stats.matchedLines,
      decompressedStructuredMetadataBytes: stats.metadataBytes - headMetadata,
    },
  };
  return {
    summary: {
      bytesProcessedPerSecond: perSecond(stats.lineBytes),
      linesProcessedPerSecond: perSecond(stats.lines),
      totalBytesProcessed: stats.lineBytes,
      totalLinesProcessed: stats.lines,
      execTime: seconds,
      queueTime: stats.queueMs / 1e3,
      subqueries: stats.subqueries,
      totalEntriesReturned: entriesReturned,
      splits: stats.splits,
      shards: stats.shards,
      totalPostFilterLines: stats.matchedLines,
      totalStructuredMetadataBytesProcessed: stats.metadataBytes,
      ...own,
    },
    ...bufferBody(stats),
    querier: { store },
    ingester: {
      totalReached: stats.ingesters,
      totalChunksMatched: 0,
      totalBatches: 0,
      totalLinesSent: stats.headRows,
      store: {
        ...NO_STORE,
        chunk: { ...NO_CHUNK, headChunkBytes: headBytes, headChunkLines: headRows, headChunkStructuredMetadataBytes: headMetadata },
      },
    },
    cache: Object.fromEntries(CACHES.map((cache) => [cache, NO_CACHE])),
    index: { totalChunks: stats.chunks, postFilterChunks: stats.chunks, shardsDuration: 0, usedBloomFilters: false },
  };
}

/** Without a buffer there is nothing to be told of it. */
function bufferBody({ watermarkMs = Number.POSITIVE_INFINITY, behindMs = 0, unread = 0 }: QueryStats): Record<string, unknown> {
  if (!Number.isFinite(watermarkMs)) return {};
  return { buffer: { watermark: new Date(watermarkMs).toISOString(), behindSeconds: behindMs / 1e3, unreadPartitions: unread } };
}

const NO_CHUNK = {
  headChunkBytes: 0,
  headChunkLines: 0,
  decompressedBytes: 0,
  decompressedLines: 0,
  compressedBytes: 0,
  totalDuplicates: 0,
  postFilterLines: 0,
  headChunkStructuredMetadataBytes: 0,
  decompressedStructuredMetadataBytes: 0,
};
const NO_STORE = {
  totalChunksRef: 0,
  totalChunksDownloaded: 0,
  chunksDownloadTime: 0,
  queryReferencedStructuredMetadata: false,
  chunk: NO_CHUNK,
  chunkRefsFetchTime: 0,
  congestionControlLatency: 0,
  pipelineWrapperFilteredLines: 0,
};
const CACHES = ['chunk', 'index', 'result', 'statsResult', 'volumeResult', 'seriesResult', 'labelResult', 'instantMetricResult'];
const NO_CACHE = {
  entriesFound: 0,
  entriesRequested: 0,
  entriesStored: 0,
  bytesReceived: 0,
  bytesSent: 0,
  requests: 0,
  downloadTime: 0,
  queryLengthServed: 0,
};
