import type { BufferCover } from '../protocol/ingest.ts';
import type { ScanStats } from '../protocol/query.ts';

/** Takes down up to when what Kafka took in is in an answer made of these replies, for times up to `toNs`. Without any of them there is no Kafka in front of ingesters. */
export function noteWatermark(
  covers: readonly BufferCover[],
  { toNs, nowMs }: { readonly toNs: bigint; readonly nowMs: number },
  stats: Pick<ScanStats, 'watermarkMs' | 'behindMs' | 'unread' | 'late'>,
): void {
  if (covers.length === 0) return;
  const watermarks = new Map<number, number>();
  // Two may read a partition for a moment, where one has just taken it over: the later one knows more.
  for (const { owned } of covers)
    for (const { partition, watermarkMs } of owned) watermarks.set(partition, Math.max(watermarkMs, watermarks.get(partition) ?? 0));
  // Who owns a partition that is new may not have heard yet how many there are.
  const partitions = Math.max(1, ...covers.map((cover) => cover.partitions), ...[...watermarks.keys()].map((partition) => partition + 1));
  stats.unread = partitions - watermarks.size;
  stats.late = covers.filter(({ isLate }) => isLate).length;
  stats.watermarkMs = watermarks.size === 0 ? 0 : Math.min(...watermarks.values());
  if (toNs > BigInt(Math.floor(stats.watermarkMs)) * 1_000_000n) stats.behindMs = Math.max(0, nowMs - stats.watermarkMs);
}
