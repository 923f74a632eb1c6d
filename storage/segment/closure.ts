import { lowerBound } from '../../ops/base/search.ts';
import type { Position } from '../log/ingest-log.ts';
import { levelZeroKey } from './keys.ts';

/** All that a segment stands for, of its tenant and day: the parts that it was made from, and what those stood for in turn. Parts of level-0 objects are named by
 *  log and first position, segments by key. */
export class Closure {
  static readonly EMPTY = new Closure(new Map(), new Set());
  /** By log, ascending. */
  readonly levelZero: ReadonlyMap<string, Float64Array>;
  readonly segments: ReadonlySet<string>;

  private constructor(levelZero: ReadonlyMap<string, Float64Array>, segments: ReadonlySet<string>) {
    this.levelZero = levelZero;
    this.segments = segments;
  }

  static of(levelZero: Iterable<{ readonly log: string; readonly from: Position }>, segments: Iterable<string>): Closure {
    const byLog = Map.groupBy(levelZero, ({ log }) => log);
    const logs = [...byLog].sort(([a], [b]) => (a < b ? -1 : 1));
    const ascending = logs.map(([log, parts]) => [log, Float64Array.from(new Set(parts.map(({ from }) => from))).sort()] as const);
    return new Closure(new Map(ascending), new Set([...segments].sort()));
  }

  /** What several stand for together. */
  static union(closures: readonly Closure[]): Closure {
    const levelZero = closures.flatMap((closure) => [...closure.levelZero]);
    return Closure.of(
      levelZero.flatMap(([log, positions]) => Array.from(positions, (from) => ({ log, from }))),
      closures.flatMap(({ segments }) => [...segments]),
    );
  }

  hasLevelZero(log: string, from: Position): boolean {
    const positions = this.levelZero.get(log);
    return positions !== undefined && positions[lowerBound(positions, 0, positions.length, from)] === from;
  }

  /** Whether any part is in both. */
  meets(other: Closure): boolean {
    for (const key of this.segments) if (other.segments.has(key)) return true;
    for (const [log, positions] of this.levelZero) {
      const theirs = other.levelZero.get(log);
      if (theirs !== undefined && haveCommon(positions, theirs)) return true;
    }
    return false;
  }

  /** The first of the level-0 objects' keys; '' without any. */
  get first(): string {
    for (const [log, positions] of this.levelZero) return levelZeroKey(log, positions[0]);
    return '';
  }

  /** Keys of all objects named, level 0 first. */
  *keys(): Generator<string, void, void> {
    for (const [log, positions] of this.levelZero) for (const from of positions) yield levelZeroKey(log, from);
    yield* this.segments;
  }
}

function haveCommon(a: Float64Array, b: Float64Array): boolean {
  for (let one = 0, other = 0; one < a.length && other < b.length; ) {
    if (a[one] === b[other]) return true;
    if (a[one] < b[other]) one++;
    else other++;
  }
  return false;
}
