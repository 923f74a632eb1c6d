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
  const places = new Places();
  for (const segment of walk) {
    const obstacle = places.firstThatMeets(segment);
    if (obstacle === undefined) places.add(segment, accepted.push(segment) - 1);
    else obstacles.set(segment, accepted[obstacle]);
  }
  return { accepted, obstacles };
}

/** The accepted segment because of which this day's part of a level-0 object does not count: it stands for the part, or its cover says that the log is
 *  past it, so that the object is one which a late writer put where another had been. Undefined: the part counts. */
export function standIn<S extends ListedSegment>(set: LiveSet<S>, log: string, from: Position): S | undefined {
  let places = known.get(set);
  if (places === undefined) {
    places = new Places();
    for (const [place, segment] of set.accepted.entries()) places.add(segment, place);
    known.set(set, places);
  }
  const place = places.standIn(log, from);
  return place === undefined ? undefined : set.accepted[place];
}

/** Per log the position below which the sets say that no part of a level-0 object counts any more, on whatever day and of whatever tenant. */
export function coverOf(sets: Iterable<LiveSet<ListedSegment>>): LogCover {
  const all = new Map<string, Position>();
  for (const { accepted } of sets)
    for (const { cover } of accepted) for (const [log, to] of cover) if (to > (all.get(log) ?? 0)) all.set(log, to);
  return all;
}

/** Of sets that were asked for the stand-in of a part: others have no need of it. */
const known = new WeakMap<LiveSet<ListedSegment>, Places>();

/** Which segments stand for what. They are named by their places in the walk; the first of several counts. */
class Places {
  readonly #levelZero = new Map<string, Map<Position, number>>();
  readonly #segments = new Map<string, number>();
  /** Per log, ascending in both: who says that it is past more than all before said. */
  readonly #covers = new Map<string, { readonly to: Position; readonly place: number }[]>();

  /** In the order of the walk. */
  add({ closure, cover }: ListedSegment, place: number): void {
    for (const key of closure.segments) if (!this.#segments.has(key)) this.#segments.set(key, place);
    for (const [log, positions] of closure.levelZero) {
      const ofLog = entryOf(this.#levelZero, log, () => new Map<Position, number>());
      for (const from of positions) if (!ofLog.has(from)) ofLog.set(from, place);
    }
    for (const [log, to] of cover) {
      const ofLog = entryOf(this.#covers, log, () => []);
      if (to > (ofLog.at(-1)?.to ?? 0)) ofLog.push({ to, place });
    }
  }

  /** Who stands for the segment, or for a part that it stands for too. */
  firstThatMeets({ key, closure }: ListedSegment): number | undefined {
    let first = this.#segments.get(key) ?? Number.POSITIVE_INFINITY;
    for (const one of closure.segments) first = Math.min(first, this.#segments.get(one) ?? first);
    for (const [log, positions] of closure.levelZero) {
      const ofLog = this.#levelZero.get(log);
      if (ofLog !== undefined) for (const from of positions) first = Math.min(first, ofLog.get(from) ?? first);
    }
    return Number.isFinite(first) ? first : undefined;
  }

  standIn(log: string, from: Position): number | undefined {
    const standing = this.#levelZero.get(log)?.get(from);
    const past = this.#covers.get(log)?.find(({ to }) => from < to)?.place;
    return standing === undefined || past === undefined ? (standing ?? past) : Math.min(standing, past);
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let entry = map.get(key);
  if (entry === undefined) {
    entry = make();
    map.set(key, entry);
  }
  return entry;
}
