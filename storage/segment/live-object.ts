import { DAY_NS } from '../batch/batch.ts';
import type { Arrival } from './arrival.ts';
import type { Footer } from './footer.ts';
import type { CompiledMatcher } from './postings.ts';
import type { SegmentSeries } from './tenant-section.ts';

const DAY = BigInt(DAY_NS);

/** What of an object counts for a tenant. */
export class LiveObject implements Arrival {
  readonly key: string;
  readonly footer: Footer;
  readonly oldestMs: number;
  readonly first: string;
  /** Days whose parts count; those of a level-0 object may have been merged into segments apart from each other. */
  readonly days: ReadonlySet<number>;
  readonly #tenant: string;

  constructor(object: { key: string; footer: Footer } & Arrival, tenant: string, days: ReadonlySet<number>) {
    this.key = object.key;
    this.footer = object.footer;
    this.oldestMs = object.oldestMs;
    this.first = object.first;
    this.days = days;
    this.#tenant = tenant;
  }

  /** Streams that all matchers let through, with their chunks that count and hold times in [fromNs, toNs); sorted by labels. Throws Fault corrupt. */
  select(matchers: readonly CompiledMatcher[], fromNs: bigint, toNs: bigint): SegmentSeries[] {
    const selected = this.footer.select(this.#tenant, matchers, fromNs, toNs);
    if (this.footer.parts(this.#tenant).every(({ day }) => this.days.has(day))) return selected;
    return selected.flatMap((series) => {
      const chunks = series.chunks.filter(({ baseNs }) => this.days.has(Number(baseNs / DAY)));
      return chunks.length === 0 ? [] : [{ ...series, chunks }];
    });
  }
}
