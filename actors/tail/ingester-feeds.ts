import { createHash } from 'node:crypto';
import type { Matcher } from '../../logql/model.ts';
import { asFault, Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { Bell } from '../bell.ts';
import type { IngesterGroup, Ingesters } from '../ingesters.ts';
import type { AskOptions, Messenger } from '../kernel/define.ts';
import { ingesterProtocol, type LogPlace, type MissedEntries, type StreamShard, type TailedBatches } from '../protocol/ingest.ts';
import type { TailedPlace } from '../protocol/tail.ts';
import { MissedCopies } from './missed-copies.ts';
import { REMEMBERED, Recent } from './recent.ts';

export interface IngesterFeedsDeps {
  readonly messenger: Messenger;
  readonly world: World;
  readonly ingesters: Ingesters;
  readonly matchers: Matcher[];
  readonly shard: StreamShard;
  /** Where to go on, of those that are known from before. */
  readonly resume: readonly TailedPlace[];
  /** Of the asks. */
  readonly options: AskOptions;
}

/** What came from an ingester, less what others had sent before. To be told when it was passed on: see `passed`. */
export interface Arrived {
  readonly batches: readonly Uint8Array[];
  readonly missed: readonly MissedEntries[];
  readonly place: TailedPlace;
}

interface Feed {
  readonly group: string;
  readonly ingester: string;
  state: 'opening' | 'open' | 'away';
  /** Whether it was open before. */
  hasBegun: boolean;
  /** Whether the ingester is still one of those that may take in entries. */
  isWanted: boolean;
  /** What comes next; from now on without. */
  place: LogPlace | undefined;
  /** New batches at the time that it was lost. */
  lostAt: number | undefined;
}

interface Handed {
  readonly feed: Feed;
  readonly part: TailedBatches;
  readonly taken: () => void;
}

const BACKOFF_MS = { min: 100, max: 2_000 };

/** What all ingesters take in of a shard of the streams, each batch once, though several take it. One that goes away is resumed where it was; as long as no more groups are away than
 *  hold all copies of an entry, what it would have sent comes from others. */
export class IngesterFeeds {
  readonly #deps: IngesterFeedsDeps;
  readonly #over = new AbortController();
  readonly #options: AskOptions & { readonly signal: AbortSignal };
  readonly #bell = new Bell();
  readonly #feeds = new Map<string, Feed>();
  readonly #following = new Set<Promise<void>>();
  readonly #unfollow: () => void;
  readonly #handed: Handed[] = [];
  readonly #batches = new Recent();
  readonly #missed: MissedCopies;
  /** How far what was passed on goes, by ingester. */
  readonly #passed: Map<string, TailedPlace>;
  /** Groups that did not have any more what was to come first. */
  readonly #gaps = new Set<string>();
  #failure: Fault | undefined;

  /** Throws Fault unavailable if no ingester is known. To be closed. */
  constructor(deps: IngesterFeedsDeps) {
    const { ingesters, options, resume } = deps;
    this.#deps = deps;
    const signal = this.#over.signal;
    this.#options = { ...options, signal: options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]) };
    this.#missed = new MissedCopies(ingesters.tolerated);
    this.#passed = new Map(resume.map((place) => [place.ingester, place]));
    this.#adjust();
    const subscription = ingesters.onChange(() => {
      try {
        this.#adjust();
      } catch (error) {
        this.#fail(asFault(error));
      }
    });
    this.#unfollow = () => subscription.close();
  }

  /** Where to resume so that nothing is missed that was not passed on. */
  get places(): readonly TailedPlace[] {
    return [...this.#passed.values()];
  }

  /** Resolves once whatever is acknowledged from now on will come. Throws the fault of an ingester if too many are away. */
  async opened(): Promise<void> {
    while (this.#failure === undefined && this.#groupsNot('open') > this.#dispensable) await this.#bell.rung(this.#options.signal);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** One at a time. Throws the fault of an ingester once too many are away. */
  async next(): Promise<Arrived> {
    for (;;) {
      const handed = this.#handed.shift();
      if (handed !== undefined) return this.#take(handed);
      if (this.#failure !== undefined) throw this.#failure;
      await this.#bell.rung(this.#options.signal);
    }
  }

  passed({ place }: Arrived): void {
    if (this.#feeds.has(place.ingester)) this.#passed.set(place.ingester, place);
  }

  /** Resolves when nothing is asked any more. */
  async close(): Promise<void> {
    this.#unfollow();
    this.#over.abort(new Fault('cancelled', 'the tail is over'));
    for (const { taken } of this.#handed.splice(0)) taken();
    await Promise.all(this.#following);
  }

  #take({ feed: { group, ingester }, part, taken }: Handed): Arrived {
    taken();
    const { tolerated } = this.#deps.ingesters;
    const batches = tolerated === 0 ? part.batches : part.batches.filter((batch) => this.#batches.isNew(identityOf(batch)));
    return { batches, missed: this.#missed.told(group, part.missed), place: { ...part.next, ingester } };
  }

  /** Follows whoever there is. */
  #adjust(): void {
    const wanted = new Map(
      this.#deps.ingesters
        .groups()
        .flatMap((group) => instancesWith(group, this.#deps.shard).map((ingester): [string, string] => [ingester, group.name])),
    );
    for (const [ingester, group] of wanted) {
      if (this.#feeds.has(ingester)) continue;
      const feed: Feed = {
        group,
        ingester,
        state: 'opening',
        hasBegun: false,
        isWanted: true,
        place: this.#passed.get(ingester),
        lostAt: undefined,
      };
      this.#feeds.set(ingester, feed);
      const following: Promise<void> = this.#follow(feed).finally(() => this.#following.delete(following));
      this.#following.add(following);
    }
    // One that is there no more is heard to its end.
    for (const feed of this.#feeds.values()) feed.isWanted = wanted.has(feed.ingester);
    this.#bell.ring();
  }

  async #follow(feed: Feed): Promise<void> {
    const { messenger, world, matchers, shard } = this.#deps;
    const { signal } = this.#options;
    let backoffMs = BACKOFF_MS.min;
    do {
      try {
        const ask = { kind: 'tail' as const, matchers, shard, ...this.#resumption(feed) };
        for await (const part of messenger.stream(ingesterProtocol, feed.ingester, ask, this.#options)) {
          if (feed.state === 'open') {
            await this.#hand(feed, part);
            continue;
          }
          this.#begin(feed, part.next);
          backoffMs = BACKOFF_MS.min;
        }
        throw new Fault('unavailable', `ingester/${feed.ingester} ended the tail`);
      } catch (error) {
        if (signal.aborted) return;
        this.#lose(feed, asFault(error));
      }
      await world.timers.sleep(backoffMs * (0.5 + world.random.next() / 2), signal).catch(() => {});
      backoffMs = Math.min(2 * backoffMs, BACKOFF_MS.max);
    } while (feed.isWanted && this.#failure === undefined && !signal.aborted);
    this.#feeds.delete(feed.ingester);
    if (!feed.isWanted) this.#passed.delete(feed.ingester);
  }

  /** Where it goes on: where it was, unless others have sent so much since that what comes again would not be known again. */
  #resumption(feed: Feed): { resume?: LogPlace } {
    if (feed.lostAt !== undefined && this.#batches.count - feed.lostAt > REMEMBERED) this.#forget(feed);
    const { place } = feed;
    return place === undefined ? {} : { resume: { log: place.log, position: place.position } };
  }

  /** The first part has no batches. */
  #begin(feed: Feed, next: LogPlace): void {
    feed.state = 'open';
    feed.hasBegun = true;
    feed.lostAt = undefined;
    feed.place = next;
    if (!this.#passed.has(feed.ingester)) this.#passed.set(feed.ingester, { ...next, ingester: feed.ingester });
    this.#bell.ring();
  }

  /** Resolves once somebody has taken it. */
  async #hand(feed: Feed, part: TailedBatches): Promise<void> {
    await new Promise<void>((taken) => {
      this.#handed.push({ feed, part, taken });
      this.#bell.ring();
    });
    feed.place = part.next;
  }

  #lose(feed: Feed, fault: Fault): void {
    feed.state = 'away';
    feed.lostAt ??= this.#batches.count;
    if (fault.code === 'not_found') {
      this.#forget(feed);
      // Of what was taken in before any of them was heard, others that have it tell only if they resume.
      if (!feed.hasBegun) this.#gaps.add(feed.group);
    }
    if (this.#groupsNot('open', 'opening') > this.#dispensable || this.#gaps.size > this.#dispensable) this.#fail(fault);
  }

  #forget(feed: Feed): void {
    feed.place = undefined;
    this.#passed.delete(feed.ingester);
  }

  #fail(fault: Fault): void {
    this.#failure ??= fault;
    this.#bell.ring();
  }

  #groupsNot(...states: Feed['state'][]): number {
    const wanted = [...this.#feeds.values()].filter(({ isWanted }) => isWanted);
    return new Set(wanted.filter(({ state }) => !states.includes(state)).map(({ group }) => group)).size;
  }

  /** Groups without which nothing is missed; not all of them. */
  get #dispensable(): number {
    const groups = new Set([...this.#feeds.values()].filter(({ isWanted }) => isWanted).map(({ group }) => group));
    return Math.max(0, Math.min(this.#deps.ingesters.tolerated, groups.size - 1));
  }
}

/** Those of a group that take in streams of the shard. */
function instancesWith({ instances }: IngesterGroup, { index, of }: StreamShard): readonly string[] {
  return instances.length === of ? [instances[index]] : instances;
}

/** Copies of a batch are equal to the last byte. */
function identityOf(batch: Uint8Array): bigint {
  return createHash('sha1').update(batch).digest().readBigUInt64LE();
}
