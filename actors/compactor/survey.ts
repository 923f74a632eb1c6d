import { Fault, type FaultCode } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { Clock } from '../../ops/base/world.ts';
import type { BlobInfo, BlobStore } from '../../storage/blob/blob-store.ts';
import type { Arrival } from '../../storage/segment/arrival.ts';
import type { Closure } from '../../storage/segment/closure.ts';
import type { Footer, Part } from '../../storage/segment/footer.ts';
import type { ListedLevelZero, Seen } from '../../storage/segment/garbage.ts';
import { levelZeroPrefix, parseLevelZeroKey, parseSegmentKey, segmentPrefix } from '../../storage/segment/keys.ts';
import { type ListedSegment, type LiveSet, liveSet, standIn } from '../../storage/segment/live-set.ts';
import { readFooter } from '../../storage/segment/reader.ts';
import type { LogCover } from '../../storage/segment/segment-info.ts';

/** What an object holds of one tenant and day, and what reading and merging that takes. */
export interface SurveyedPart extends Arrival {
  readonly key: string;
  readonly createdMs: number;
  /** Of the object. */
  readonly sizeBytes: number;
  /** About what the part takes in the object. */
  readonly storedBytes: number;
  readonly lineBytes: number;
  /** The object's index in memory. */
  readonly footerBytes: number;
}

export interface SurveyedSegment extends ListedSegment, SurveyedPart, Seen {}

export interface SurveyedDay {
  readonly tenant: string;
  /** UTC days since the epoch. */
  readonly day: number;
  readonly live: LiveSet<SurveyedSegment>;
  /** Level-0 parts that count, by key. */
  readonly levelZero: readonly SurveyedPart[];
}

/** What is in storage, by one listing. */
export interface StorageSurvey {
  /** When it began, monotonic milliseconds. */
  readonly startedMs: number;
  /** By log and position. */
  readonly levelZero: readonly ListedLevelZero[];
  readonly days: readonly SurveyedDay[];
  live(tenant: string, day: number): LiveSet<SurveyedSegment> | undefined;
  /** How many objects could not be read. */
  readonly unreadable: number;
}

/** What is remembered of an object as long as it is listed. A grace is counted from `seenMs`, not from when the store says that it was created: the store's clock may
 *  step. So it begins anew with each Surveyor. */
interface Known extends Seen {
  readonly createdMs: number;
  readonly level: number;
  readonly to: number;
  readonly footerBytes: number;
  /** Of a segment: see Arrival. */
  readonly oldestMs: number;
  readonly first: string;
  readonly parts: ReadonlyMap<string, readonly Part[]>;
  /** Line bytes and rows of all parts together: by that the object's size is divided among them. */
  readonly weight: number;
  readonly closure: Closure;
  readonly cover: LogCover;
}

/** What one object can be without the others: damaged, or on a bad sector, or not ours to read. */
const ONE_OBJECTS: ReadonlySet<FaultCode> = new Set(['corrupt', 'unsupported', 'unavailable', 'denied']);

/** Lists storage and reads the footers that it has not seen yet. */
export class Surveyor {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #giveWay: () => Promise<void>;
  #known = new Map<string, Known>();
  /** Objects that cannot be read. */
  #unread = new Map<string, Seen>();
  #days = new Map<string, KnownDay>();

  constructor(blobs: BlobStore, clock: Clock, log: Logger, giveWay: () => Promise<void>) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#log = log;
    this.#giveWay = giveWay;
  }

  /** Everything but days at rest. Throws what the store throws, but for objects that cannot be read as they are: those and their days are left out. */
  async survey(): Promise<StorageSurvey> {
    const startedMs = this.#clock.monotonicMs();
    const listed: BlobInfo[] = [];
    for await (const info of this.#blobs.list('')) listed.push(info);
    const seenMs = this.#clock.monotonicMs();
    const known = new Map<string, Known>();
    const unread = new Map<string, Seen>();
    const look = async (info: BlobInfo): Promise<void> => {
      const { key } = info;
      const before = this.#known.get(key);
      const read = before?.createdMs === info.createdMs ? before : await this.#read(info, seenMs);
      if (read === 'unreadable') unread.set(key, this.#unread.get(key) ?? { seenMs });
      else if (read !== 'gone') known.set(key, read);
      await this.#giveWay();
    };
    const segments = new Map<string, BlobInfo[]>();
    for (const info of listed) {
      if (parseLevelZeroKey(info.key) !== undefined) await look(info);
      const segment = parseSegmentKey(info.key);
      if (segment === undefined) continue;
      const name = nameOf(segment.tenant, segment.day);
      const ofDay = segments.get(name);
      if (ofDay === undefined) segments.set(name, [info]);
      else ofDay.push(info);
      await this.#giveWay();
    }
    const flushed = new Set<string>();
    for (const { parts } of known.values())
      for (const [tenant, days] of parts) for (const { day } of days) flushed.add(nameOf(tenant, day));
    for (const [name, ofDay] of segments) {
      // A lone segment is what every day comes to: there is nothing to be done about it.
      if (ofDay.length > 1 || flushed.has(name)) for (const info of ofDay) await look(info);
    }
    this.#known = known;
    this.#unread = unread;
    return await this.#surveyOf(startedMs, listed);
  }

  /** The day's segments by a new listing, and which of the level-0 objects named are still there; other keys are passed over. Throws Fault corrupt, not_found and what the store throws. */
  async surveyDay(tenant: string, day: number, levelZero: readonly string[]): Promise<SurveyedDay> {
    const segments: SurveyedSegment[] = [];
    const parts: SurveyedPart[] = [];
    for await (const info of this.#blobs.list(`${segmentPrefix(tenant)}${day}/`)) {
      if (parseSegmentKey(info.key) === undefined) continue;
      const known = this.#known.get(info.key) ?? (await this.#footerOf(info, this.#clock.monotonicMs()));
      segments.push(segmentOf(info, known, partOf(info, known, tenant, day)!));
    }
    const wanted = new Set(levelZero);
    for (const log of new Set(levelZero.flatMap((key) => parseLevelZeroKey(key)?.log ?? []))) {
      for await (const info of this.#blobs.list(levelZeroPrefix(log))) {
        const known = wanted.has(info.key) ? this.#known.get(info.key) : undefined;
        const part = known === undefined ? undefined : partOf(info, known, tenant, day);
        if (part !== undefined) parts.push(part);
      }
    }
    return dayOf(tenant, day, segments, parts);
  }

  async #footerOf({ key, sizeBytes, createdMs }: BlobInfo, seenMs: number): Promise<Known> {
    return { ...contentsOf(await readFooter(this.#blobs, key, sizeBytes)), createdMs, seenMs };
  }

  async #read(info: BlobInfo, seenMs: number): Promise<Known | 'gone' | 'unreadable'> {
    try {
      return await this.#footerOf(info, seenMs);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code === 'not_found') return 'gone';
      if (!ONE_OBJECTS.has(error.code)) throw error;
      const { key } = info;
      if (!this.#unread.has(key)) this.#log.error('object cannot be read, its day is not compacted', { key, error: error.message });
      return 'unreadable';
    }
  }

  async #surveyOf(startedMs: number, listed: readonly BlobInfo[]): Promise<StorageSurvey> {
    const levelZero: ListedLevelZero[] = [];
    const byDay = new Map<string, ListedDay>();
    const of = (tenant: string, day: number): ListedDay => {
      const name = nameOf(tenant, day);
      let entry = byDay.get(name);
      if (entry === undefined) {
        entry = { tenant, day, segments: [], levelZero: [], isWhole: true };
        byDay.set(name, entry);
      }
      return entry;
    };
    for (const info of listed) {
      await this.#giveWay();
      const known = this.#known.get(info.key);
      const start = parseLevelZeroKey(info.key);
      const segment = parseSegmentKey(info.key);
      if (known === undefined) {
        const unread = this.#unread.get(info.key);
        if (unread === undefined) continue;
        // It stays in its log's order: what holds of the log ends at it.
        if (start !== undefined) levelZero.push({ key: info.key, ...start, to: start.from, ...unread, parts: undefined });
        else if (segment !== undefined) of(segment.tenant, segment.day).isWhole = false;
      } else if (start !== undefined) {
        const parts = [...known.parts].flatMap(([tenant, days]) => days.map(({ day }) => ({ tenant, day })));
        levelZero.push({ key: info.key, ...start, to: known.to, seenMs: known.seenMs, parts });
        for (const { tenant, day } of parts) of(tenant, day).levelZero.push({ info, known });
      } else if (segment !== undefined) {
        of(segment.tenant, segment.day).segments.push({ info, known });
      }
    }
    const days = new Map<string, KnownDay>();
    for (const [name, listed] of byDay) {
      await this.#giveWay();
      const before = this.#days.get(name);
      const day = before !== undefined && isSame(before.listed, listed) ? before.day : surveyed(listed);
      if (day !== undefined) days.set(name, { listed, day });
    }
    this.#days = days;
    const live = (tenant: string, day: number) => days.get(nameOf(tenant, day))?.day.live;
    return { startedMs, levelZero, days: [...days.values()].map(({ day }) => day), live, unreadable: this.#unread.size };
  }
}

/** An object as it is listed, and what is known of it. */
interface Listed {
  readonly info: BlobInfo;
  readonly known: Known;
}

interface ListedDay {
  readonly tenant: string;
  readonly day: number;
  readonly segments: Listed[];
  readonly levelZero: Listed[];
  /** Whether all of its segments can be read. */
  isWhole: boolean;
}

/** What came of the objects of a day, which is so as long as they are the same. */
interface KnownDay {
  readonly listed: ListedDay;
  readonly day: SurveyedDay;
}

/** Undefined: nothing is known of the day. */
function surveyed({ tenant, day, segments, levelZero, isWhole }: ListedDay): SurveyedDay | undefined {
  if (!isWhole) return undefined;
  const ofDay = segments.flatMap(({ info, known }) => {
    const part = partOf(info, known, tenant, day);
    return part === undefined ? [] : [segmentOf(info, known, part)];
  });
  if (ofDay.length < segments.length) return undefined;
  return dayOf(
    tenant,
    day,
    ofDay,
    levelZero.map(({ info, known }) => partOf(info, known, tenant, day)!),
  );
}

function isSame(a: ListedDay, b: ListedDay): boolean {
  return a.isWhole === b.isWhole && areSame(a.segments, b.segments) && areSame(a.levelZero, b.levelZero);
}

const areSame = (a: readonly Listed[], b: readonly Listed[]): boolean =>
  a.length === b.length && a.every(({ known }, index) => known === b[index].known);

const nameOf = (tenant: string, day: number): string => `${day} ${tenant}`;

function dayOf(tenant: string, day: number, segments: readonly SurveyedSegment[], parts: readonly SurveyedPart[]): SurveyedDay {
  const live = liveSet(segments);
  const levelZero = parts.filter(({ key }) => {
    const { log, from } = parseLevelZeroKey(key)!;
    return standIn(live, log, from) === undefined;
  });
  return { tenant, day, live, levelZero };
}

function segmentOf({ createdMs }: BlobInfo, { level, closure, cover, seenMs }: Known, part: SurveyedPart): SurveyedSegment {
  return { ...part, createdMs, seenMs, level, closure, cover };
}

function contentsOf(footer: Footer): Omit<Known, 'createdMs' | 'seenMs'> {
  const { level, to, sizeBytes, oldestMs, first, closure, cover } = footer;
  const parts = new Map(footer.tenants().map((tenant) => [tenant, footer.parts(tenant)]));
  let weight = 0;
  for (const days of parts.values()) for (const { lineBytes, rows } of days) weight += lineBytes + rows;
  return {
    level,
    to,
    oldestMs,
    first,
    footerBytes: sizeBytes,
    closure,
    cover,
    parts,
    weight,
  };
}

function partOf(
  { key, createdMs, sizeBytes }: BlobInfo,
  { level, parts, weight, footerBytes, oldestMs, first }: Known,
  tenant: string,
  day: number,
): SurveyedPart | undefined {
  const part = parts.get(tenant)?.find((one) => one.day === day);
  if (part === undefined) return undefined;
  const storedBytes = Math.round((sizeBytes * (part.lineBytes + part.rows)) / weight);
  const arrival = level === 0 ? { oldestMs: Math.floor(createdMs), first: key } : { oldestMs, first };
  return { ...arrival, key, createdMs, sizeBytes, storedBytes, lineBytes: part.lineBytes, footerBytes };
}
