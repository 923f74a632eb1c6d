import { StreamSize } from '../../logql/engine/stream-sizes.ts';
import { volumeExecution } from '../../logql/engine/volume-execution.ts';
import { bytesOf } from '../../ops/base/bytes.ts';
import { noScanStats, type QuerierAsk, type QuerierReply, type ScanStats } from '../protocol/query.ts';
import { openedOnce } from './scan.ts';
import { type ScanGroup, scanGroups } from './scan-group.ts';
import type { JobTools } from './source-reader.ts';
import { bytesIn, type StreamSources } from './sources.ts';

type Ask<K extends QuerierAsk['kind']> = Extract<QuerierAsk, { kind: K }>;

/** How much of each stream lies in the range; streams without an entry in it are left out. */
export async function streamSizes(ask: Ask<'stream_sizes'>, tools: JobTools): Promise<QuerierReply['stream_sizes']> {
  const stats = noScanStats();
  const { matchers, fromNs, toNs, shard } = ask;
  const streams = await tools.gather({ matchers, fromNs, toNs, shard }, stats);
  const sizes = new Map(streams.map((stream) => [stream, new StreamSize(fromNs, toNs)]));
  await tools.scan(scanGroups(streams), stats, {
    backward: false,
    lineless: () => true,
    wanted: () => true,
    header: ({ stream }, outline) => counted(stats, sizes.get(stream)!.header(outline)),
    block: ({ stream }, block) => sizes.get(stream)!.block(block),
  });
  const found = [...sizes].filter(([, { entries }]) => entries > 0);
  return {
    hashes: found.map(([{ hash }]) => hash),
    chunks: bytesOf(Float64Array.from(found, ([{ units }]) => chunksIn(units))),
    entries: bytesOf(Float64Array.from(found, ([, { entries }]) => entries)),
    bytes: bytesOf(Float64Array.from(found, ([, { bytes }]) => bytes)),
    stats,
  };
}

/** A head counts as the chunk that it will be. */
function chunksIn(units: StreamSources['units']): number {
  const stored = new Set(units.map((unit) => (unit.kind === 'stored' ? unit.chunk.id : undefined)));
  stored.delete(undefined);
  return stored.size + units.filter(({ kind }) => kind === 'head').length;
}

export async function volumes(ask: Ask<'volumes'>, tools: JobTools): Promise<QuerierReply['volumes']> {
  const stats = noScanStats();
  const { startNs, endNs, shard } = ask;
  const execution = volumeExecution(ask);
  const streams = await tools.gather({ matchers: execution.matchers, fromNs: startNs, toNs: endNs + 1n, shard }, stats);
  const volumeOf = openedOnce((labels) => execution.stream(labels));
  let scanned: ScanGroup | undefined;
  await tools.scan(scanGroups(streams), stats, {
    backward: false,
    lineless: () => true,
    wanted: () => true,
    header: (group, outline) => counted(stats, volumeOf(group).header(outline)),
    block: (group, block) => {
      // Blocks come stream by stream; headers may be of later ones.
      if (scanned !== undefined && scanned.stream !== group.stream) volumeOf(scanned).finish();
      scanned = group;
      volumeOf(group).block(block);
    },
  });
  if (scanned !== undefined) volumeOf(scanned).finish();
  return { frame: execution.frame(), stats };
}

/** How much of the selection there is to read, told without reading it. */
export async function readSize(
  { matchers, fromNs, toNs, shard, partial, afterWrite }: Ask<'read_size'>,
  tools: JobTools,
): Promise<QuerierReply['read_size']> {
  const stats = noScanStats();
  return { bytes: bytesIn(await tools.gather({ matchers, fromNs, toNs, shard, partial, afterWrite }, stats)), stats };
}

/** Counts the block if its outline told enough. */
function counted(stats: ScanStats, told: boolean): boolean {
  if (told) stats.blocksByHeader++;
  return told;
}
