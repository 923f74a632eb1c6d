import { createHash } from 'node:crypto';
import type { Fault } from '../../ops/base/fault.ts';
import type { LogPlace, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import type { TailedPlace } from '../protocol/tail.ts';
import { MissedCopies } from './missed-copies.ts';
import { REMEMBERED, Recent } from './recent.ts';
import type { Arrived, Feed, TailedLogs } from './tailed-logs.ts';

interface At {
  /** What comes next; from now on without. */
  place: LogPlace | undefined;
  /** New batches at the time that it was lost. */
  lostAt: number | undefined;
}

/** Logs of which each ingester has one of its own, and what is pushed is in several: as long as no more groups are away than hold all copies of an entry, what one would have sent comes from others. */
export class CopiedLogs implements TailedLogs {
  readonly #tolerated: number;
  readonly #batches = new Recent();
  readonly #missed: MissedCopies;
  readonly #at = new Map<Feed, At>();
  /** How far what was passed on goes, by ingester. */
  readonly #passed: Map<string, TailedPlace>;
  /** Groups that did not have any more what was to come first. */
  readonly #gaps = new Set<string>();

  constructor(tolerated: number, resume: readonly TailedPlace[]) {
    this.#tolerated = tolerated;
    this.#missed = new MissedCopies(tolerated);
    this.#passed = new Map(resume.map((place) => [place.ingester, place]));
  }

  places(): readonly TailedPlace[] {
    return [...this.#passed.values()];
  }

  /** Where it was, unless others have sent so much since that what comes again would not be known again. */
  resumption(feed: Feed): readonly LogPlace[] | undefined {
    const { place, lostAt } = this.#of(feed);
    if (lostAt !== undefined && this.#batches.count - lostAt > REMEMBERED) {
      this.#forget(feed);
      return undefined;
    }
    return place && [{ log: place.log, position: place.position }];
  }

  begun(feed: Feed, { places: [place] }: TailBegun): void {
    this.#at.set(feed, { place, lostAt: undefined });
    if (!this.#passed.has(feed.ingester)) this.#passed.set(feed.ingester, { ...place, ingester: feed.ingester });
  }

  arrived(feed: Feed, { next, batches, missed }: TailedBatches): Arrived {
    const { group, ingester } = feed;
    this.#of(feed).place = next;
    return {
      batches: this.#tolerated === 0 ? batches : batches.filter((batch) => this.#batches.isNew(identityOf(batch))),
      missed: this.#missed.told(group, missed),
      place: { ...next, ingester },
    };
  }

  passed({ place }: Arrived): void {
    if (this.#passed.has(place.ingester)) this.#passed.set(place.ingester, place);
  }

  lost(feed: Feed, fault: Fault): void {
    this.#of(feed).lostAt ??= this.#batches.count;
    if (fault.code !== 'not_found') return;
    this.#forget(feed);
    // Of what was taken in before any of them was heard, others that have it tell only if they resume.
    if (!feed.hasBegun) this.#gaps.add(feed.group);
  }

  over(feed: Feed): void {
    this.#at.delete(feed);
    if (!feed.isWanted) this.#passed.delete(feed.ingester);
  }

  isOpen(feeds: readonly Feed[]): boolean {
    return groupsNot(feeds, 'open') <= this.#dispensable(feeds);
  }

  isShort(feeds: readonly Feed[]): boolean {
    const dispensable = this.#dispensable(feeds);
    return groupsNot(feeds, 'open', 'opening') > dispensable || this.#gaps.size > dispensable;
  }

  close(): void {}

  #of(feed: Feed): At {
    let at = this.#at.get(feed);
    if (at === undefined) {
      at = { place: this.#passed.get(feed.ingester), lostAt: undefined };
      this.#at.set(feed, at);
    }
    return at;
  }

  #forget(feed: Feed): void {
    this.#of(feed).place = undefined;
    this.#passed.delete(feed.ingester);
  }

  /** Groups without which nothing is missed; not all of them. */
  #dispensable(feeds: readonly Feed[]): number {
    const groups = new Set(feeds.filter(({ isWanted }) => isWanted).map(({ group }) => group));
    return Math.max(0, Math.min(this.#tolerated, groups.size - 1));
  }
}

function groupsNot(feeds: readonly Feed[], ...states: Feed['state'][]): number {
  return new Set(feeds.filter(({ isWanted, state }) => isWanted && !states.includes(state)).map(({ group }) => group)).size;
}

/** Copies of a batch are equal to the last byte. */
function identityOf(batch: Uint8Array): bigint {
  return createHash('sha1').update(batch).digest().readBigUInt64LE();
}
