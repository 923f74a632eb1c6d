import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { Position } from '../log/ingest-log.ts';
import { type Footer, type Part, partsOverlap } from './footer.ts';
import { FooterCache } from './footer-cache.ts';
import { levelZeroPrefix, parseLevelZeroKey } from './keys.ts';
import { readFooter } from './reader.ts';

/** How many footers are read at once. */
const PARALLEL_READS = 16;

export interface CatalogOptions {
  /** Memory for footers. */
  readonly footerBytes: number;
  /** A listing older than this is made anew before it is used. */
  readonly maxListingAgeMs: number;
}

/** A live object and its index. */
export interface CatalogObject {
  readonly key: string;
  readonly footer: Footer;
}

interface ListedObject {
  readonly sizeBytes: number;
  /** What it holds, by tenant; known once its footer was read, and kept when the footer is not. */
  parts: ReadonlyMap<string, readonly Part[]> | undefined;
}

/** Which objects are live, and what they hold. Objects are found by listing; their footers, which never change, are read once. */
export class Catalog {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #options: CatalogOptions;
  readonly #footers: FooterCache;
  #objects = new Map<string, ListedObject>();
  #listedMs = Number.NEGATIVE_INFINITY;
  #listing: Promise<void> | undefined;

  constructor(blobs: BlobStore, clock: Clock, options: CatalogOptions) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#options = options;
    this.#footers = new FooterCache(options.footerBytes, (key, sizeBytes) => readFooter(blobs, key, sizeBytes));
  }

  /** Lists the objects again. Calls at the same time share one listing. */
  refresh(): Promise<void> {
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #list(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const objects = new Map<string, ListedObject>();
    for await (const { key, sizeBytes } of this.#blobs.list(levelZeroPrefix())) {
      if (parseLevelZeroKey(key) === undefined) continue;
      objects.set(key, this.#objects.get(key) ?? { sizeBytes, parts: undefined });
    }
    for (const key of this.#objects.keys()) if (!objects.has(key)) this.#footers.delete(key);
    this.#objects = objects;
    this.#listedMs = startedMs;
  }

  /** The objects that may hold entries of the tenant in [fromNs, toNs), by key. Objects named in `include` exist, whatever the last listing says:
   *  their writers told of them. Throws Fault not_found if an object is gone; the listing is then made anew by the next call. */
  async objects(wanted: { tenant: string; fromNs: bigint; toNs: bigint }, include: readonly string[]): Promise<CatalogObject[]> {
    await this.#ensureListing(include);
    const { tenant, fromNs, toNs } = wanted;
    const candidates = [...this.#objects].filter(
      ([, { parts }]) => parts === undefined || partsOverlap(parts.get(tenant) ?? [], fromNs, toNs),
    );
    const objects: CatalogObject[] = [];
    for (let next = 0; next < candidates.length; next += PARALLEL_READS) {
      const some = candidates.slice(next, next + PARALLEL_READS);
      objects.push(...(await Promise.all(some.map(async ([key, object]) => ({ key, footer: await this.#footer(key, object) })))));
    }
    return objects.filter(({ footer }) => partsOverlap(footer.parts(tenant), fromNs, toNs));
  }

  async #ensureListing(include: readonly string[]): Promise<void> {
    const unknown = (): string | undefined => include.find((key) => !this.#objects.has(key));
    const stale = this.#clock.monotonicMs() - this.#listedMs > this.#options.maxListingAgeMs;
    if (!stale && unknown() === undefined) return;
    await this.refresh();
    // The listing just waited for may have been under way before the object was there.
    if (unknown() !== undefined) await this.refresh();
    const missing = unknown();
    if (missing !== undefined) throw new Fault('not_found', `object ${missing} is not in storage`);
  }

  async #footer(key: string, object: ListedObject): Promise<Footer> {
    try {
      const footer = await this.#footers.get(key, object.sizeBytes);
      object.parts ??= new Map(footer.tenants().map((tenant) => [tenant, footer.parts(tenant)]));
      return footer;
    } catch (error) {
      if (error instanceof Fault && error.code === 'not_found') this.#listedMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }
}

/** A log's chain of level-0 objects. */
export interface Chain {
  /** Up to which position it reaches: where reading the log resumes. 0 without objects. */
  readonly end: Position;
  /** Key of its last object. */
  readonly newest: string | undefined;
}

export async function readChain(blobs: BlobStore, log: string): Promise<Chain> {
  let newest: { key: string; sizeBytes: number } | undefined;
  for await (const object of blobs.list(levelZeroPrefix(log))) if (parseLevelZeroKey(object.key) !== undefined) newest = object;
  if (newest === undefined) return { end: 0, newest: undefined };
  return { end: (await readFooter(blobs, newest.key, newest.sizeBytes)).to, newest: newest.key };
}
