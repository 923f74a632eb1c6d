import type { Matcher } from '../../logql/model.ts';
import { asFault, Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { Bell } from '../bell.ts';
import type { IngesterGroup, Ingesters } from '../ingesters.ts';
import type { AskOptions, Messenger } from '../kernel/define.ts';
import { ingesterProtocol, type StreamShard, type TailedBatches } from '../protocol/ingest.ts';
import type { TailedPlace } from '../protocol/tail.ts';
import { CopiedLogs } from './copied-logs.ts';
import { SharedLogs } from './shared-logs.ts';
import type { Arrived, Feed, TailedLogs } from './tailed-logs.ts';

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

interface Handed {
  readonly feed: Feed;
  readonly part: TailedBatches;
  readonly taken: () => void;
}

const BACKOFF_MS = { min: 100, max: 2_000 };

/** What all ingesters take in of a shard of the streams, each batch once, though several may send it. One that goes away is resumed where it was. */
export class IngesterFeeds {
  readonly #deps: IngesterFeedsDeps;
  readonly #over = new AbortController();
  readonly #options: AskOptions & { readonly signal: AbortSignal };
  readonly #bell = new Bell();
  readonly #feeds = new Map<string, Feed>();
  readonly #following = new Set<Promise<void>>();
  readonly #unfollow: () => void;
  readonly #handed: Handed[] = [];
  readonly #logs: TailedLogs;
  #failure: Fault | undefined;

  /** Throws Fault unavailable if no ingester is known. To be closed. */
  constructor(deps: IngesterFeedsDeps) {
    const { ingesters, options, resume, world } = deps;
    this.#deps = deps;
    const signal = this.#over.signal;
    this.#options = { ...options, signal: options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]) };
    this.#logs = ingesters.shareLogs
      ? new SharedLogs(resume, world.timers, (fault) => this.#fail(fault))
      : new CopiedLogs(ingesters.tolerated, resume);
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
    return this.#logs.places();
  }

  /** Resolves once whatever is acknowledged from now on will come. Throws the fault of an ingester if too many are away. */
  async opened(): Promise<void> {
    while (this.#failure === undefined && !this.#logs.isOpen(this.#all)) await this.#bell.rung(this.#options.signal);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** One at a time. Throws the fault of an ingester once too many are away. */
  async next(): Promise<Arrived> {
    for (;;) {
      const handed = this.#handed.shift();
      if (handed !== undefined) {
        handed.taken();
        return this.#logs.arrived(handed.feed, handed.part);
      }
      if (this.#failure !== undefined) throw this.#failure;
      await this.#bell.rung(this.#options.signal);
    }
  }

  passed(arrived: Arrived): void {
    this.#logs.passed(arrived);
  }

  /** Resolves when nothing is asked any more. */
  async close(): Promise<void> {
    this.#unfollow();
    this.#logs.close();
    this.#over.abort(new Fault('cancelled', 'the tail is over'));
    for (const { taken } of this.#handed.splice(0)) taken();
    await Promise.all(this.#following);
  }

  get #all(): Feed[] {
    return [...this.#feeds.values()];
  }

  /** Follows whoever there is. */
  #adjust(): void {
    const { ingesters, shard } = this.#deps;
    const instances = (group: IngesterGroup): readonly string[] => (ingesters.shareLogs ? group.instances : instancesWith(group, shard));
    const wanted = new Map(
      ingesters.groups().flatMap((group) => instances(group).map((ingester): [string, string] => [ingester, group.name])),
    );
    for (const [ingester, group] of wanted) {
      if (this.#feeds.has(ingester)) continue;
      const feed: Feed = { group, ingester, state: 'opening', hasBegun: false, isWanted: true };
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
        const resume = this.#logs.resumption(feed);
        const ask = { kind: 'tail' as const, matchers, shard, ...(resume && { resume }) };
        for await (const part of messenger.stream(ingesterProtocol, feed.ingester, ask, this.#options)) {
          if (part.kind === 'batches') {
            await this.#hand(feed, part);
            continue;
          }
          this.#logs.begun(feed, part);
          feed.state = 'open';
          feed.hasBegun = true;
          backoffMs = BACKOFF_MS.min;
          this.#bell.ring();
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
    this.#logs.over(feed);
  }

  /** Resolves once somebody has taken it. */
  #hand(feed: Feed, part: TailedBatches): Promise<void> {
    return new Promise<void>((taken) => {
      this.#handed.push({ feed, part, taken });
      this.#bell.ring();
    });
  }

  #lose(feed: Feed, fault: Fault): void {
    feed.state = 'away';
    this.#logs.lost(feed, fault);
    if (this.#logs.isShort(this.#all)) this.#fail(fault);
  }

  #fail(fault: Fault): void {
    this.#failure ??= fault;
    this.#bell.ring();
  }
}

/** Those of a group that take in streams of the shard. */
function instancesWith({ instances }: IngesterGroup, { index, of }: StreamShard): readonly string[] {
  return instances.length === of ? [instances[index]] : instances;
}
