import type { MemoryBudget } from '../../logql/engine/memory-budget.ts';
import type { Block, Matcher } from '../../logql/model.ts';
import type { World } from '../../ops/base/world.ts';
import { inShard, type StreamHash } from '../../storage/batch/batch.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { RangeReader } from '../../storage/blob/range-cache.ts';
import type { BlockHeader, ReadMeter } from '../../storage/chunk/block.ts';
import type { ChunkRef } from '../../storage/chunk/chunk.ts';
import { fromHeadSlice, ownBytes } from '../../storage/chunk/memory-block.ts';
import type { Unit } from '../../storage/chunk/overlap.ts';
import type { Catalog } from '../../storage/segment/catalog.ts';
import type { FilterSection } from '../../storage/segment/filter-directory.ts';
import type { LiveObject } from '../../storage/segment/live-object.ts';
import { readBlock } from '../../storage/segment/reader.ts';
import { askIngesters, type Ingesters } from '../ingesters.ts';
import type { AskContext, Asker } from '../kernel/define.ts';
import { compileMatchers } from '../matchers.ts';
import type { LogCover, StreamShard } from '../protocol/ingest.ts';
import type { ScanStats } from '../protocol/query.ts';
import type { Slices } from '../turns.ts';
import { noteWatermark } from './behind.ts';

/** Where rows are: a block of an object, or a slice of a head that is here already. */
export type SourceUnit = Unit &
  (
    | {
        readonly kind: 'stored';
        readonly key: string;
        /** Of the object's blocks. */
        readonly filters: readonly FilterSection[];
        readonly chunk: ChunkRef;
        readonly block: BlockHeader;
        readonly at: number;
      }
    | { readonly kind: 'head'; readonly rows: Block }
  );

export interface StreamSources {
  /** Canonical text. */
  readonly labels: string;
  readonly hash: StreamHash;
  readonly units: SourceUnit[];
}

export interface SourceDeps {
  readonly asker: Asker;
  readonly ingesters: Ingesters;
  readonly catalog: Catalog;
  readonly world: World;
  readonly context: AskContext;
  readonly stats: ScanStats;
  /** What was gathered counts here. */
  readonly memory: MemoryBudget;
  readonly slices: Slices;
}

export interface Selection {
  readonly matchers: readonly Matcher[];
  /** [fromNs, toNs) */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly shard: StreamShard;
  /** See AnswerWishes. */
  readonly partial?: boolean | undefined;
  readonly afterWrite?: boolean | undefined;
}

/** A stream and one of its blocks, as they are listed. */
const STREAM_BYTES = 512;
const UNIT_BYTES = 256;

/** Everything that may hold rows of the selection, each entry's every copy included. Ingesters are asked before storage is listed: an entry on its way
 *  from a head to storage is then in the reply, in the listing, or in both, and `liveObjects` takes the second copy out. Streams are in the order of their
 *  labels, units of one stream in the order in which their rows arrived. */
export async function gatherSources(selection: Selection, deps: SourceDeps): Promise<StreamSources[]> {
  const { stats, memory, slices } = deps;
  const { clock } = deps.world;
  const startMs = clock.monotonicMs();
  const { fromNs, toNs, shard, partial = false, afterWrite = false } = selection;
  const question = {
    kind: 'select' as const,
    matchers: [...selection.matchers],
    fromNs,
    toNs,
    shard,
    ...(afterWrite && { afterWrite: true as const }),
  };
  const onShort = (): void => void stats.short++;
  const replies = await slices.waiting(askIngesters(deps.ingesters, deps.asker, question, deps.context, partial ? onShort : undefined));
  noteWatermark(
    replies.flatMap(({ buffer }) => buffer ?? []),
    { toNs, nowMs: clock.nowMs() },
    stats,
  );
  const askedMs = clock.monotonicMs();
  stats.ingestersMs += askedMs - startMs;
  const covers = replies.flatMap(({ cover }) => cover);
  const objects = await slices.waiting(liveObjects(selection, covers, deps));
  stats.indexMs += clock.monotonicMs() - askedMs;
  const streams = new Map<string, StreamSources>();
  const streamOf = (hash: StreamHash, labels: string): StreamSources => {
    let stream = streams.get(hash);
    if (stream === undefined) {
      memory.take(STREAM_BYTES + 2 * labels.length);
      stream = { labels, hash, units: [] };
      streams.set(hash, stream);
    }
    return stream;
  };
  const matchers = compileMatchers(selection.matchers);
  const seen = new Set<string>();
  let source = 0;
  for (const object of objects) {
    stats.objects++;
    for (const { labels, hash, chunks } of object.select(matchers, selection.fromNs, selection.toNs)) {
      if (!inShard(hash, selection.shard)) continue;
      for (const chunk of chunks) {
        // Equal ids are equal content: one of them will do.
        if (seen.has(chunk.id)) continue;
        seen.add(chunk.id);
        stats.chunks++;
        memory.take(UNIT_BYTES * chunk.blocks.length);
        source++;
        addBlocks(streamOf(hash, labels).units, source, object, chunk, selection, stats);
      }
    }
    await slices.giveWay();
  }
  for (const { streams: heads } of replies) {
    for (const { labels, hash, slices: parts } of heads) {
      for (const slice of parts) {
        source++;
        const rows = fromHeadSlice(slice);
        memory.take(UNIT_BYTES);
        memory.takeCopies(ownBytes(slice), deps.ingesters.copies);
        stats.headRows += rows.rows;
        const { units } = streamOf(hash, labels);
        units.push({ kind: 'head', source, ...timesOf(rows.baseNs, rows.minOffset, rows.maxOffset), rows });
      }
    }
    await slices.giveWay();
  }
  stats.streams += streams.size;
  return [...streams.values()].sort((a, b) => (a.labels < b.labels ? -1 : 1));
}

function addBlocks(
  units: SourceUnit[],
  source: number,
  { key, footer }: LiveObject,
  chunk: ChunkRef,
  { fromNs, toNs }: Selection,
  stats: ScanStats,
): void {
  const filters = footer.filters();
  let at = chunk.at;
  for (const block of chunk.blocks) {
    const times = timesOf(chunk.baseNs, block.minOffset, block.maxOffset);
    if (times.maxNs < fromNs || times.minNs >= toNs) stats.blocksOutside++;
    else units.push({ kind: 'stored', source, ...times, key, filters, chunk, block, at });
    at += block.storedBytes;
  }
}

function timesOf(baseNs: bigint, minOffset: number, maxOffset: number): { minNs: bigint; maxNs: bigint } {
  return { minNs: baseNs + BigInt(minOffset), maxNs: baseNs + BigInt(maxOffset) };
}

/** Lines and metadata, decompressed. */
export function bytesIn(streams: readonly StreamSources[]): number {
  let bytes = 0;
  for (const { units } of streams) {
    for (const unit of units) {
      const { lineBytes, metadataBytes } = unit.kind === 'head' ? unit.rows : unit.block;
      bytes += lineBytes + metadataBytes;
    }
  }
  return bytes;
}

/** Where blocks are read. */
export interface BlockSource {
  readonly blobs: BlobStore;
  /** For what of a block is short. */
  readonly ranges: RangeReader;
  readonly meter: ReadMeter;
}

/** `lines`: whether anybody looks at them. */
export async function loadUnit(unit: SourceUnit, { blobs, ranges, meter }: BlockSource, lines: boolean): Promise<Block> {
  if (unit.kind === 'head') return unit.rows;
  return readBlock(lines ? blobs : ranges, unit.key, unit.chunk, unit.block, unit.at, { meter, lines });
}

/** Objects that may hold entries of the tenant in the range and whose entries did not come with the ingesters' replies. */
export async function liveObjects(
  range: { fromNs: bigint; toNs: bigint },
  covers: readonly LogCover[],
  { catalog, context }: Pick<SourceDeps, 'catalog' | 'context'>,
): Promise<LiveObject[]> {
  const flushedTo = new Map<string, number>();
  // Two may have a log's heads, where one has just taken it over from the other: entries that both have count once, and before the later one storage has all.
  for (const cover of covers) flushedTo.set(cover.log, Math.max(cover.flushedTo, flushedTo.get(cover.log) ?? 0));
  const include = covers.flatMap(({ recentObjects }) => recentObjects);
  const objects = await catalog.objects({ tenant: context.tenant, fromNs: range.fromNs, toNs: range.toNs }, include);
  return objects.filter(({ footer }) => footer.from < (flushedTo.get(footer.log) ?? Number.POSITIVE_INFINITY));
}
