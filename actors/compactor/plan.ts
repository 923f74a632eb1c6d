import { MiB } from '../../ops/base/bytes.ts';
import { DAY_NS } from '../../storage/batch/batch.ts';
import { byArrival } from '../../storage/segment/arrival.ts';
import type { PartName } from './damaged-parts.ts';
import type { SurveyedDay, SurveyedPart } from './survey.ts';

export interface PlanOptions {
  /** Stored bytes of a segment at most; from half of it on a segment is not merged again. */
  readonly segmentBytes: number;
  /** Level-0 parts are merged this long after the oldest was written, however few they are. */
  readonly levelZeroAgeMs: number;
  /** Wall clock. */
  readonly nowMs: number;
  /** Whether it is to be left out; its neighbours are no neighbours then. */
  readonly isDamaged?: (part: PartName) => boolean;
}

/** What is to be merged into one segment: parts of one day and level, oldest first. */
export interface PlannedCompaction {
  readonly tenant: string;
  readonly day: number;
  readonly parts: readonly SurveyedPart[];
  readonly storedBytes: number;
  /** About since when it has been due, wall clock. */
  readonly dueSinceMs: number;
}

/** So many small parts of one level are merged while a day is being written. */
const FAN_IN = 8;
/** Once it is over, so many. */
const FAN_IN_CLOSED = 2;
/** Lines for a stored byte at most: what compresses better than that fills a segment by its lines. */
const MOST_RATIO = 8;
/** So many objects are read at a time. What they hold ahead is in memory. */
const MOST_PARTS = 64;
/** Indexes of what is merged, in memory at once. */
const MOST_FOOTER_BYTES = 64 * MiB;
const DAY_MS = DAY_NS / 1e6;

/** What of the day is worth merging now; undefined: nothing.
 *
 *  Each byte is written again once per level. Parts are merged when together they make half a segment, which then is never merged again, so a busy day is written
 *  twice in all; or when there are FAN_IN of a level, so that a quiet day is written again by the logarithm of its flushes to that base. When the day is over, two
 *  of a level are enough. Only neighbours in the order of arrival are merged, so that entries of one time stay in that order. */
export function dueCompaction({ tenant, day, live, levelZero }: SurveyedDay, options: PlanOptions): PlannedCompaction | undefined {
  const closed = options.nowMs > closesMs(day, options);
  const { isDamaged = () => false } = options;
  const isWhole = ({ key }: SurveyedPart): boolean => !isDamaged({ tenant, day, key });
  const all = [...levelZero.map((part) => ({ part, level: 0 })), ...live.accepted.map((part) => ({ part, level: part.level }))];
  const runs = runsOf(all, isWhole, options);
  for (const { level, parts } of runs.sort((a, b) => a.level - b.level)) {
    if (!(level === 0 ? isDue(parts, options) : isWorthIt(parts, closed, options))) continue;
    const fits = fitting(parts, options);
    if (level > 0 && fits.length < 2) continue;
    const dueSinceMs = level === 0 ? dueSince(fits, options) : worthItSince(fits, day, options);
    return { tenant, day, parts: fits, storedBytes: storedBytesOf(fits), dueSinceMs };
  }
  return undefined;
}

/** Flushed parts are to become a segment. */
function isDue(parts: readonly SurveyedPart[], options: PlanOptions): boolean {
  return options.nowMs - parts[0].createdMs >= options.levelZeroAgeMs || parts.length >= FAN_IN || isHalf(parts, options);
}

function dueSince(parts: readonly SurveyedPart[], { levelZeroAgeMs }: PlanOptions): number {
  return Math.min(newestOf(parts), parts[0].createdMs + levelZeroAgeMs);
}

/** Segments of one level are to become one of the next. */
function isWorthIt(parts: readonly SurveyedPart[], closed: boolean, options: PlanOptions): boolean {
  return parts.length >= (closed ? FAN_IN_CLOSED : FAN_IN) || (parts.length > 1 && isHalf(parts, options));
}

function worthItSince(parts: readonly SurveyedPart[], day: number, options: PlanOptions): number {
  return isWorthIt(parts, false, options) ? newestOf(parts) : Math.max(newestOf(parts), closesMs(day, options));
}

const newestOf = (parts: readonly SurveyedPart[]): number => parts.reduce((newest, { createdMs }) => Math.max(newest, createdMs), 0);

/** When the day counts as over. */
const closesMs = (day: number, { levelZeroAgeMs }: PlanOptions): number => (day + 1) * DAY_MS + levelZeroAgeMs;

interface Run {
  readonly level: number;
  readonly parts: SurveyedPart[];
}

/** Neighbours in the order of arrival that are of one level and small, or not in a segment yet. */
function runsOf(
  parts: readonly { readonly part: SurveyedPart; readonly level: number }[],
  isWhole: (part: SurveyedPart) => boolean,
  options: PlanOptions,
): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const { part, level } of parts.toSorted((a, b) => byArrival(a.part, b.part))) {
    if (!isWhole(part) || (level > 0 && isHalf([part], options))) run = undefined;
    else if (run?.level === level) run.parts.push(part);
    else {
      run = { level, parts: [part] };
      runs.push(run);
    }
  }
  return runs;
}

const storedBytesOf = (parts: readonly SurveyedPart[]): number => parts.reduce((sum, part) => sum + part.storedBytes, 0);
const lineBytesOf = (parts: readonly SurveyedPart[]): number => parts.reduce((sum, part) => sum + part.lineBytes, 0);

function isHalf(parts: readonly SurveyedPart[], { segmentBytes }: PlanOptions): boolean {
  return storedBytesOf(parts) >= segmentBytes / 2 || lineBytesOf(parts) >= (segmentBytes * MOST_RATIO) / 2;
}

/** The first of the parts that make one segment; one at least. */
function fitting<P extends SurveyedPart>(parts: readonly P[], { segmentBytes }: PlanOptions): P[] {
  let [storedBytes, lineBytes, footerBytes] = [0, 0, 0];
  const end = parts.findIndex((part, index) => {
    storedBytes += part.storedBytes;
    lineBytes += part.lineBytes;
    footerBytes += part.footerBytes;
    return (
      index > 0 &&
      (index >= MOST_PARTS || storedBytes > segmentBytes || lineBytes > segmentBytes * MOST_RATIO || footerBytes > MOST_FOOTER_BYTES)
    );
  });
  return end < 0 ? [...parts] : parts.slice(0, end);
}
