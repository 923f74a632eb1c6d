import type { Position } from '../log/ingest-log.ts';
import type { Closure } from './closure.ts';
import type { LogCover } from './segment-info.ts';

/** A listed segment: all that the rule below asks for. */
export interface ListedSegment {
  readonly key: string;
  readonly level: number;
  /** By the store's own clock. */
  readonly createdMs: number;
  readonly closure: Closure;
  readonly cover: LogCover;
}

/** Which of a tenant's and day's segments count. */
export interface LiveSet<S extends ListedSegment> {
  /** In the order of the walk. */
  readonly accepted: readonly S[];
  /** Those that do not count, and the accepted one for which each has to stand back. */
  readonly obstacles: ReadonlyMap<S, S>;
}

/** The live set of a tenant's day, from all of its segments that are listed. Compactions know nothing of each other: two may have taken the same part, each may
 *  have been put long after it was decided on, and what was merged is deleted later or never. The rule makes one answer of it, in which every part counts once:
 *
 *  Walk by level, highest first, then by creation, oldest first, then by key. Accept a segment unless an accepted one stands for it, or for a part that it stands
 *  for too. Level-0 parts that no accepted segment stands for count beside the accepted segments: see {@link standIn}.
 *
 *  What an accepted segment stands for can be deleted, once nobody reads by an older listing any more, since it stays accepted until another stands for it:
 *  - a segment of its own level that shares a part with it was created later, however long its put was under way, so it stands back;
 *  - one of a higher level that shares a part and does not stand for it cannot be: it would have been made from a segment of this one's level that shares the part,
 *    and that never counted. So all that a compaction merges must be of one level.
 *  The model check in tests/storage/segment/live-set.test.ts goes through every order in which two compactors and a collector can act. */
export function liveSet<S extends ListedSegment>(segments: Iterable<S>): LiveSet<S> {
  const walk = [...segments].sort((a, b) => b.level - a.level || a.createdMs - b.createdMs || (a.key < b.key ? -1 : 1));
  const accepted: S[] = [];
  const obstacles = new Map<S, S>();
  for (const segment of walk) {
    const obstacle = accepted.find(({ closure }) => closure.segments.has(segment.key) || closure.meets(segment.closure));
    if (obstacle === undefined) accepted.push(segment);
    else obstacles.set(segment, obstacle);
  }
  return { accepted, obstacles };
}

/** Whether the set says that the log is past the position: no part of a level-0 object that begins there counts, on whatever day and of whatever tenant. */
export function isDone<S extends ListedSegment>({ accepted }: LiveSet<S>, log: string, from: Position): boolean {
  return accepted.some(({ cover }) => from < (cover.get(log) ?? 0));
}

/** The accepted segment because of which this day's part of a level-0 object does not count: it stands for the part, or its cover says that the log is
 *  past it, so that the object is one which a late writer put where another had been. Undefined: the part counts. */
export function standIn<S extends ListedSegment>({ accepted }: LiveSet<S>, log: string, from: Position): S | undefined {
  return accepted.find(({ closure, cover }) => closure.hasLevelZero(log, from) || from < (cover.get(log) ?? 0));
}
