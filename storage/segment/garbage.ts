import type { Position } from '../log/ingest-log.ts';
import { type ListedSegment, type LiveSet, standIn } from './live-set.ts';

/** Since when somebody has seen an object in listings. */
export interface Seen {
  /** When the first listing that had it ended, by a clock that never steps. */
  readonly seenMs: number;
}

/** A listed level-0 object. */
export interface ListedLevelZero extends Seen {
  readonly key: string;
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
  /** Undefined: it could not be read, so nothing is known of it but where it begins. */
  readonly parts: readonly { readonly tenant: string; readonly day: number }[] | undefined;
}

/** Objects at one time. */
export interface Survey {
  /** By log and position. */
  readonly levelZero: readonly ListedLevelZero[];
  /** The live set of a tenant's day. Undefined: something of it could not be read, so nothing is known of it. */
  live(tenant: string, day: number): LiveSet<ListedSegment & Seen> | undefined;
  /** When the listing began, by the clock of `seenMs`. */
  readonly nowMs: number;
  /** Longer than anybody reads by a listing. */
  readonly graceMs: number;
}

/** Whether no reader needs the object: each of its parts has had a stand-in for the grace. */
function isSettled({ log, from, parts }: ListedLevelZero, { live, nowMs, graceMs }: Survey): boolean {
  if (parts === undefined) return false;
  return parts.every(({ tenant, day }) => {
    const set = live(tenant, day);
    const segment = set === undefined ? undefined : standIn(set, log, from);
    return segment !== undefined && segment.seenMs + graceMs <= nowMs;
  });
}

/** Keys of the level-0 objects that can be deleted. The last of a log stays, for it says where the log goes on; and each stays for the grace after the one that
 *  follows it, for until then an ingester may name it as new. */
export function levelZeroGarbage(survey: Survey): string[] {
  const { levelZero, nowMs, graceMs } = survey;
  return levelZero.flatMap((object, index) => {
    const next = levelZero[index + 1];
    const followed = next?.log === object.log && next.seenMs + graceMs <= nowMs;
    return followed && isSettled(object, survey) ? [object.key] : [];
  });
}

/** Keys of a day's segments that can be deleted, the lowest level first. */
export function segmentGarbage(
  { obstacles }: LiveSet<ListedSegment & Seen>,
  { nowMs, graceMs }: Pick<Survey, 'nowMs' | 'graceMs'>,
): string[] {
  const old = ({ seenMs }: Seen): boolean => seenMs + graceMs <= nowMs;
  const garbage = [...obstacles].filter(([segment, obstacle]) => old(segment) && old(obstacle));
  return garbage.sort(([a], [b]) => a.level - b.level).map(([{ key }]) => key);
}

/** Per log, the position below which no object is needed: up to there all are settled or were deleted. What is missing from a listing because it is new lies behind
 *  that, since a settled object and those before it are older than the grace. */
export function floors(survey: Survey): Map<string, Position> {
  const floors = new Map<string, Position>();
  const ended = new Set<string>();
  for (const object of survey.levelZero) {
    const { log, from, to } = object;
    if (ended.has(log)) continue;
    if ((floors.get(log) ?? from) === from && isSettled(object, survey)) floors.set(log, to);
    else ended.add(log);
  }
  return floors;
}
