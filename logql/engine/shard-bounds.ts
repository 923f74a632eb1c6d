/** What is known of a stream, or of several together. */
export interface Extents {
  streams: number;
  chunks: number;
  bytes: number;
  entries: number;
}

export interface SizedStream extends Omit<Extents, 'streams'> {
  /** 16 hex digits. */
  readonly hash: string;
}

/** A part of all streams: those whose hash lies between these, both included. */
export interface ShardBounds {
  readonly min: bigint;
  max: bigint;
  readonly stats: Extents;
}

const LAST_HASH = (1n << 64n) - 1n;

/** All hashes cut into ranges whose streams come as near to `targetBytes` together as the next stream allows. There is one range at least. */
export function shardBounds(streams: readonly SizedStream[], targetBytes: number): ShardBounds[] {
  const sorted = [...streams].sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const shards: ShardBounds[] = [{ min: 0n, max: LAST_HASH, stats: noExtents() }];
  for (const stream of sorted) {
    const last = shards[shards.length - 1];
    const { streams: held, bytes } = last.stats;
    if (held > 0 && Math.abs(bytes + stream.bytes - targetBytes) > Math.abs(bytes - targetBytes)) {
      const min = BigInt(`0x${stream.hash}`);
      last.max = min - 1n;
      shards.push({ min, max: LAST_HASH, stats: noExtents() });
    }
    addStream(shards[shards.length - 1].stats, stream);
  }
  return shards;
}

export function noExtents(): Extents {
  return { streams: 0, chunks: 0, bytes: 0, entries: 0 };
}

export function addStream(sum: Extents, { chunks, bytes, entries }: SizedStream): void {
  sum.streams++;
  sum.chunks += chunks;
  sum.bytes += bytes;
  sum.entries += entries;
}
