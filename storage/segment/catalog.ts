import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import { DAY_NS } from '../batch/batch.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { type Arrival, byArrival } from './arrival.ts';
import { withWayOn } from './damaged-object.ts';
import { type Footer, type Part, partsOverlap } from './footer.ts';
import { FooterCache } from './footer-cache.ts';
import { levelZeroPrefix, parseLevelZeroKey, parseSegmentKey, segmentPrefix } from './keys.ts';
import { LiveObject } from './live-object.ts';
import { coverOf, type ListedSegment, type LiveSet, liveSet, standIn } from './live-set.ts';
import { readFooter } from './reader.ts';

/** How many footers are read at once. */
const PARALLEL_READS = 16;
/** A tenant's segments are kept in mind for as many times the age that a listing may have. */
const TENANT_KEPT_AGES = 10;

export interface CatalogOptions {
  /** Memory for footers. */
  readonly footerBytes: number;
  /** A listing older than this is made anew before it is used. */
  readonly maxListingAgeMs: number;
}

interface ListedObject {
  readonly sizeBytes: number;
  readonly createdMs: number;
  /** What it holds, by tenant; known once its footer was read, and kept when the footer is not. */
  parts: ReadonlyMap<string, readonly Part[]> | undefined;
}

interface ListedDay {
  readonly segments: readonly { readonly key: string; readonly sizeBytes: number; readonly createdMs: number }[];
  /** Made when first asked for. */
  live: Promise<LiveSet<LiveSegment>> | undefined;
}

interface LiveSegment extends ListedSegment, Arrival {
  readonly sizeBytes: number;
  readonly part: Part;
}

interface ListedTenant {
  listedMs: number;
  /** By day. */
  readonly days: ReadonlyMap<number, ListedDay>;
}

/** Which objects are live, and what they hold. Objects are found by listing; their footers, which never change, are read once. */
export class Catalog {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #options: CatalogOptions;
  readonly #footers: FooterCache;
  #levelZero = new Map<string, ListedObject>();
  #listedMs = Number.NEGATIVE_INFINITY;
  #listing: Promise<void> | undefined;
  /** Their segments, of those that were asked for. */
  readonly #tenants = new Map<string, ListedTenant>();
  readonly #tenantListings = new Map<string, Promise<ListedTenant>>();

  constructor(blobs: BlobStore, clock: Clock, options: CatalogOptions) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#options = options;
    this.#footers = new FooterCache(options.footerBytes, async (key, sizeBytes) => {
      try {
        return await readFooter(blobs, key, sizeBytes);
      } catch (error) {
        throw withWayOn(key, error);
      }
    });
  }

  /** Lists the level-0 objects again, and segments when they are next asked for. Calls at the same time share one listing. */
  refresh(): Promise<void> {
    for (const tenant of this.#tenants.values()) tenant.listedMs = Number.NEGATIVE_INFINITY;
    this.#tenantListings.clear(); // they may have begun before what was missed was there
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #list(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const objects = new Map<string, ListedObject>();
    for await (const { key, sizeBytes, createdMs } of this.#blobs.list(levelZeroPrefix())) {
      if (parseLevelZeroKey(key) === undefined) continue;
      objects.set(key, this.#levelZero.get(key) ?? { sizeBytes, createdMs, parts: undefined });
    }
    for (const key of this.#levelZero.keys()) if (!objects.has(key)) this.#footers.delete(key);
    this.#levelZero = objects;
    this.#listedMs = startedMs;
  }

  /** The objects that may hold entries of the tenant in [fromNs, toNs), about in the order in which the entries of each stream arrived. Objects named in
   *  `include` exist, whatever the last listing says: their writers told of them. Throws Fault not_found if an object is gone; the listing is then made anew
   *  by the next call. */
  async objects(wanted: { tenant: string; fromNs: bigint; toNs: bigint }, include: readonly string[]): Promise<LiveObject[]> {
    // Either listing may be older than the other, by less than the grace after which merged objects are deleted: what one lacks the other has.
    await this.#ensureListing(include);
    const levelZero = this.#levelZero; // not a later one, which the segments' listing may be too old for
    const { days } = await this.#listedTenant(wanted.tenant);
    try {
      const live = new Map<number, LiveSet<LiveSegment>>();
      for (const [day, listed] of days) if (touches(day, wanted)) live.set(day, await this.#liveOf(wanted.tenant, listed));
      return [...(await this.#segments(wanted, live)), ...(await this.#levelZeroObjects(wanted, levelZero, live))].sort(byArrival);
    } catch (error) {
      if (error instanceof Fault && error.code === 'not_found') {
        this.#listedMs = Number.NEGATIVE_INFINITY;
        this.#tenantListings.delete(wanted.tenant);
        const tenant = this.#tenants.get(wanted.tenant);
        if (tenant !== undefined) tenant.listedMs = Number.NEGATIVE_INFINITY;
      }
      throw error;
    }
  }

  async #segments(
    wanted: { tenant: string; fromNs: bigint; toNs: bigint },
    live: ReadonlyMap<number, LiveSet<LiveSegment>>,
  ): Promise<LiveObject[]> {
    const accepted = [...live].flatMap(([day, set]) => set.accepted.map((segment) => ({ day, segment })));
    const candidates = accepted.filter(({ segment }) => partsOverlap([segment.part], wanted.fromNs, wanted.toNs));
    return inParallel(candidates, async ({ day, segment: { key, sizeBytes, oldestMs, first } }) => {
      return new LiveObject({ key, footer: await this.#footers.get(key, sizeBytes), oldestMs, first }, wanted.tenant, new Set([day]));
    });
  }

  async #levelZeroObjects(
    { tenant, fromNs, toNs }: { tenant: string; fromNs: bigint; toNs: bigint },
    levelZero: ReadonlyMap<string, ListedObject>,
    live: ReadonlyMap<number, LiveSet<LiveSegment>>,
  ): Promise<LiveObject[]> {
    const liveDays = (key: string, parts: readonly Part[]): Set<number> => {
      const { log, from } = parseLevelZeroKey(key)!;
      const days = parts.filter((part) => partsOverlap([part], fromNs, toNs)).map(({ day }) => day);
      return new Set(days.filter((day) => !live.has(day) || standIn(live.get(day)!, log, from) === undefined));
    };
    const cover = coverOf(live.values());
    const mayCount = (key: string, parts: ListedObject['parts']): boolean => {
      if (parts !== undefined) return liveDays(key, parts.get(tenant) ?? []).size > 0;
      // Where its log is done with, it need not be read: it may be damaged.
      const { log, from } = parseLevelZeroKey(key)!;
      return from >= (cover.get(log) ?? 0);
    };
    const candidates = [...levelZero].filter(([key, { parts }]) => mayCount(key, parts));
    const objects = await inParallel(candidates, async ([key, object]) => {
      const footer = await this.#levelZeroFooter(key, object);
      const arrival = { oldestMs: Math.floor(object.createdMs), first: key };
      return new LiveObject({ key, footer, ...arrival }, tenant, liveDays(key, footer.parts(tenant)));
    });
    return objects.filter(({ days }) => days.size > 0);
  }

  async #ensureListing(include: readonly string[]): Promise<void> {
    const unknown = (): string | undefined => include.find((key) => !this.#levelZero.has(key));
    const stale = this.#clock.monotonicMs() - this.#listedMs > this.#options.maxListingAgeMs;
    if (!stale && unknown() === undefined) return;
    await this.refresh();
    // The listing just waited for may have been under way before the object was there.
    if (unknown() !== undefined) await this.refresh();
    const missing = unknown();
    if (missing !== undefined) throw new Fault('not_found', `object ${missing} is not in storage`);
  }

  /** The tenant's segments by a listing that is young enough. Calls at the same time share one. */
  async #listedTenant(tenant: string): Promise<ListedTenant> {
    const known = this.#tenants.get(tenant);
    if (known !== undefined && this.#clock.monotonicMs() - known.listedMs <= this.#options.maxListingAgeMs) return known;
    let listing = this.#tenantListings.get(tenant);
    if (listing === undefined) {
      const started = this.#listTenant(tenant, known);
      listing = started;
      this.#tenantListings.set(tenant, started);
      const isLatest = (): boolean => this.#tenantListings.get(tenant) === started;
      started.then(
        (listed) => {
          if (!isLatest()) return;
          this.#forgetTenants();
          this.#tenants.set(tenant, listed);
          this.#tenantListings.delete(tenant);
        },
        () => {
          if (isLatest()) this.#tenantListings.delete(tenant);
        },
      );
    }
    return listing;
  }

  /** Of tenants that nobody has asked for lately. */
  #forgetTenants(): void {
    const oldestMs = this.#clock.monotonicMs() - TENANT_KEPT_AGES * this.#options.maxListingAgeMs;
    for (const [tenant, { listedMs }] of this.#tenants) if (listedMs < oldestMs) this.#tenants.delete(tenant);
  }

  async #listTenant(tenant: string, before: ListedTenant | undefined): Promise<ListedTenant> {
    const listedMs = this.#clock.monotonicMs();
    const days = new Map<number, { key: string; sizeBytes: number; createdMs: number }[]>();
    for await (const { key, sizeBytes, createdMs } of this.#blobs.list(segmentPrefix(tenant))) {
      const name = parseSegmentKey(key);
      if (name?.tenant !== tenant) continue;
      const segments = days.get(name.day);
      if (segments === undefined) days.set(name.day, [{ key, sizeBytes, createdMs }]);
      else segments.push({ key, sizeBytes, createdMs });
    }
    const same = (day: number, keys: readonly { key: string }[]): ListedDay | undefined => {
      const was = before?.days.get(day);
      return was?.segments.length === keys.length && was.segments.every(({ key }, index) => key === keys[index].key) ? was : undefined;
    };
    return { listedMs, days: new Map([...days].map(([day, segments]) => [day, same(day, segments) ?? { segments, live: undefined }])) };
  }

  #liveOf(tenant: string, listed: ListedDay): Promise<LiveSet<LiveSegment>> {
    listed.live ??= this.#readLive(tenant, listed).catch((error) => {
      listed.live = undefined;
      throw error;
    });
    return listed.live;
  }

  async #readLive(tenant: string, { segments }: ListedDay): Promise<LiveSet<LiveSegment>> {
    const read = await inParallel(segments, async ({ key, sizeBytes, createdMs }) => {
      const footer = await this.#footers.get(key, sizeBytes);
      const { level, closure, cover, oldestMs, first } = footer;
      return { key, sizeBytes, createdMs, level, closure, cover, oldestMs, first, part: footer.parts(tenant)[0] };
    });
    return liveSet(read);
  }

  async #levelZeroFooter(key: string, object: ListedObject): Promise<Footer> {
    const footer = await this.#footers.get(key, object.sizeBytes);
    object.parts ??= new Map(footer.tenants().map((tenant) => [tenant, footer.parts(tenant)]));
    return footer;
  }
}

function touches(day: number, { fromNs, toNs }: { fromNs: bigint; toNs: bigint }): boolean {
  const startNs = BigInt(day) * BigInt(DAY_NS);
  return startNs < toNs && startNs + BigInt(DAY_NS) > fromNs;
}

/** `work` for each item, some at once; the results are in the order of the items. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let next = 0; next < items.length; next += PARALLEL_READS)
    results.push(...(await Promise.all(items.slice(next, next + PARALLEL_READS).map(work))));
  return results;
}
