import type { Position } from '../../storage/log/ingest-log.ts';

/** How far a partition is read, and by how much that is behind its end. */
export interface Progress {
  readonly partition: number;
  readonly position: Position;
  readonly lag: number;
}

/** Partitions that may not be read for a while, for others to be. Brokers fill an answer in the order of partitions, always the same, and what comes first may leave no room: those that went on give way to those that
 *  are behind and did not. `before`: positions a while ago. */
export function givingWay(before: ReadonlyMap<number, Position>, now: readonly Progress[]): number[] {
  const known = now.filter(({ partition }) => before.has(partition));
  const isHeldUp = known.some(({ partition, position, lag }) => lag > 0 && position === before.get(partition));
  return isHeldUp ? known.filter(({ partition, position }) => position > before.get(partition)!).map(({ partition }) => partition) : [];
}
