import { Fault } from '../../ops/base/fault.ts';
import type { ConnectKafka } from '../../storage/kafka/client.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import type { PartitionEnds } from '../../storage/kafka/topic.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { every } from '../every.ts';
import type { AskContext, Handlers, StartContext } from '../kernel/define.ts';
import { compileMatchers } from '../matchers.ts';
import type { IngesterAsk, IngesterReply, PartitionStatus, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import { placePartitions } from './assignment.ts';
import { BufferedTails } from './buffered-tails.ts';
import { selected, seriesIn } from './head-reads.ts';
import type { IngesterDeps } from './ingester.ts';
import { OpenTopic } from './open-topic.ts';
import { OwnedPartitions } from './owned-partitions.ts';

export interface BufferedDeps {
  readonly kafka: KafkaOptions;
  /** Of ingesters: partitions are placed by its tokens. */
  readonly ring: Ring;
  /** Of this process in the ring. */
  readonly process: string;
  readonly connect?: ConnectKafka | undefined;
}

const ENDS_MS = 1_000;
/** Looks at ends between looks whether the topic is another one. */
const RENEWED_TURNS = 30;
const RETRY_MS = 250;
/** Who wants to read what was just written waits for so long, and less where the answer is due. */
const AFTER_WRITE_MS = 10_000;
const AFTER_WRITE_MARGIN_MS = 500;
const AFTER_WRITE_POLL_MS = 5;

/** One start of an ingester behind Kafka: the partitions that the group gives it, and their heads. It takes no pushes: distributors write to Kafka, from where it reads what they wrote. */
export class BufferedShard {
  readonly #deps: IngesterDeps;
  readonly #buffer: BufferedDeps;
  readonly #context: StartContext;
  readonly #topic: OpenTopic;
  readonly #tails = new BufferedTails();
  readonly #owned: OwnedPartitions;
  /** Ends when the shard leaves the group, before the incarnation does or with it. */
  readonly #leaving = new AbortController();
  readonly #running: Promise<void>;
  readonly #cancelTick: () => void;
  #waitsFor = 'is not in the group of ingesters yet';
  #hasJoined = false;
  /** Once everything was caught up. */
  #isReady = false;
  #isSealed = false;
  #records = 0;
  #rate = { records: 0, atMs: 0, perS: 0 };

  constructor(deps: IngesterDeps, buffer: BufferedDeps, context: StartContext) {
    const { world, incarnation } = context;
    this.#deps = deps;
    this.#buffer = buffer;
    this.#context = context;
    const { kafka, connect } = buffer;
    this.#topic = new OpenTopic({ kafka, blobs: deps.blobs, context, connect });
    this.#owned = new OwnedPartitions(this.#topic, deps, this.#tails, context);
    const { signal } = this.#leaving;
    incarnation.signal.addEventListener('abort', () => this.#leaving.abort(incarnation.signal.reason), { once: true });
    this.#running = this.#run(signal).catch((error) => {
      if (!signal.aborted) incarnation.fail(error);
    });
    this.#cancelTick = every(world.timers, deps.options.flushCheckPeriod, () => this.#tick());
  }

  handlers(): Handlers<IngesterAsk, IngesterReply> {
    const unsupported = async (): Promise<never> => {
      throw new Fault('unsupported', 'this ingester reads from Kafka: nothing is pushed to it, or handed over');
    };
    return {
      push: unsupported,
      hand_over: unsupported,
      take_over: unsupported,
      tail: (ask, asked) => this.#tail(ask, asked),
      select: (ask, asked) => this.#select(ask, asked),
      series: async (ask, { tenant }) => this.#series(tenant, ask),
      flush: async () => ({ objects: await this.#flush() }),
      status: async () => this.status(),
      introduce: async (ask) => this.#introduce(ask),
      seal: async () => this.#seal(),
      settle: async () => this.#settle(),
      let_go: async () => ({}),
      offer: async () => ({ refusal: 'partitions are given out by Kafka' }),
      end_offer: async () => ({}),
      give_up: (ask) => this.#giveUpRecords(ask),
      renew: () => this.#begin(),
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { world } = this.#context;
    const { neighbours } = this.#deps;
    const { ring, process } = this.#buffer;
    // What it has, some might not look for here before that.
    for (let why = neighbours.whyNoWrites(); why !== undefined; why = neighbours.whyNoWrites()) {
      this.#waitsFor = why.message;
      await world.timers.sleep(RETRY_MS, signal);
    }
    try {
      await this.#topic.open(signal);
      const looking = this.#lookAtEnds(signal);
      await this.#topic.read(
        {
          name: `${process}/${this.#deps.shard.index}`,
          place: (partitions, members) =>
            placePartitions(
              partitions,
              members.map(({ id, name }) => memberOf(id, name)),
              ring,
            ),
          listener: {
            assigned: (partitions) => {
              this.#hasJoined = true;
              this.#owned.assign(partitions);
            },
            records: (partition, records) => {
              this.#records += records.length;
              this.#owned.take(partition, records);
            },
            broken: (partition, why) => this.#owned.broken(partition, why),
            waits: (why) => {
              this.#waitsFor = why ?? '';
            },
          },
        },
        signal,
      );
      await looking;
    } finally {
      await this.#topic.close();
    }
  }

  async #lookAtEnds(signal: AbortSignal): Promise<void> {
    const { world, instruments } = this.#context;
    for (let turn = 1; !signal.aborted; turn++) {
      try {
        // Somebody may have said so elsewhere.
        const later = turn % RENEWED_TURNS === 0 ? await this.#topic.laterGeneration() : undefined;
        if (later !== undefined) this.#owned.renew(later);
        await this.#owned.lookAtEnds();
      } catch (error) {
        instruments.log.debug('the ingest topic cannot be looked at', { error: String(error) });
      }
      await world.timers.sleep(ENDS_MS, signal).catch(() => {});
    }
  }

  #tick(): void {
    this.#owned.tick();
    for (const place of this.#owned.places) this.#tails.passesOn(place);
    this.#isReady ||= this.#hasJoined && this.#owned.isCaughtUp;
    const nowMs = this.#context.world.clock.monotonicMs();
    const seconds = (nowMs - this.#rate.atMs) / 1_000;
    this.#rate = { records: this.#records, atMs: nowMs, perS: (this.#records - this.#rate.records) / seconds };
    this.#topic.show(this.#owned.statuses);
  }

  #readable(meantFor: string | undefined): void {
    const closed = this.#deps.neighbours.whyNoReads(meantFor);
    if (closed !== undefined) throw closed;
  }

  /** Resolves with true once all that Kafka has is in the heads, with false when that takes too long. What is this shard's by then counts. */
  async #readUpToNow({ deadlineMs, signal }: AskContext): Promise<boolean> {
    const { clock, timers } = this.#context.world;
    const untilMs = Math.min(clock.monotonicMs() + AFTER_WRITE_MS, deadlineMs - AFTER_WRITE_MARGIN_MS);
    for (let ends: ReadonlyMap<number, PartitionEnds> | undefined; clock.monotonicMs() < untilMs; ) {
      if (this.#leaving.signal.aborted) return true; // others read what was its
      ends ??= await this.#owned.lookAtEnds().catch(() => undefined);
      if (ends !== undefined && this.#owned.hasReached(ends)) return true;
      await timers.sleep(ends === undefined ? RETRY_MS : AFTER_WRITE_POLL_MS, signal);
    }
    return false;
  }

  async #select(ask: Extract<IngesterAsk, { kind: 'select' }>, asked: AskContext): Promise<IngesterReply['select']> {
    const isUpToNow = ask.afterWrite !== true || (await this.#readUpToNow(asked));
    this.#readable(ask.meantFor);
    const buffer = { ...this.#owned.cover, ...(!isUpToNow && { isLate: true as const }) };
    return { ...selected(this.#owned.heads, asked.tenant, ask), buffer, others: this.#deps.neighbours.beyond(ask.known) };
  }

  #series(tenant: string, ask: Extract<IngesterAsk, { kind: 'series' }>): IngesterReply['series'] {
    this.#readable(ask.meantFor);
    return { ...seriesIn(this.#owned.heads, tenant, ask), buffer: this.#owned.cover, others: this.#deps.neighbours.beyond(ask.known) };
  }

  #tail(
    { matchers, shard, resume }: Extract<IngesterAsk, { kind: 'tail' }>,
    { tenant, signal }: AskContext,
  ): AsyncIterable<TailBegun | TailedBatches> {
    this.#readable(undefined);
    const topic = this.#opened();
    const source = this.#tails.source(
      () => this.#owned.places,
      () => topic.placesOfEnds(),
    );
    return this.#tails.tails.listen(tenant, { matchers: compileMatchers(matchers), shard }, source, { resume, signal });
  }

  #introduce({ process, registration, meantFor }: Extract<IngesterAsk, { kind: 'introduce' }>): IngesterReply['introduce'] {
    this.#readable(meantFor);
    return { hasHeard: this.#deps.neighbours.hasHeardOf(process, registration) };
  }

  /** Of a shard that leaves for good, nothing is read after what is flushed last: the next owners begin there. */
  async #flush(): Promise<number> {
    let objects = await this.#owned.flush();
    if (!this.#isSealed) return objects;
    this.#owned.pause();
    objects += await this.#owned.flush();
    this.#leaving.abort(new Fault('cancelled', 'the shard has left the group'));
    return objects;
  }

  async #giveUpRecords({ partition, from, to }: Extract<IngesterAsk, { kind: 'give_up' }>): Promise<IngesterReply['give_up']> {
    const topic = this.#opened();
    if (!(from >= 0 && to > from && partition >= 0 && partition < topic.partitions))
      throw new Fault('bad_request', `there are no records ${from} to ${to - 1} of partition ${partition} to go on without`);
    await topic.giveUp(partition, from, to);
    return {};
  }

  async #begin(): Promise<IngesterReply['renew']> {
    const topic = this.#opened();
    if (this.#owned.statuses.every(({ state }) => state !== 'stopped'))
      throw new Fault('bad_request', 'none of the partitions that are read here is stopped');
    this.#owned.renew(await topic.nextGeneration());
    return {};
  }

  #opened(): OpenTopic {
    if (!this.#topic.isKnown) throw new Fault('unavailable', 'the topic is not known yet', { retryAfterS: 1 });
    return this.#topic;
  }

  #seal(): IngesterReply['seal'] {
    const wasSealed = this.#isSealed;
    this.#isSealed = true;
    return { wasSealed };
  }

  async #settle(): Promise<IngesterReply['settle']> {
    if (this.#isSealed) await this.#running;
    await Promise.all(this.#owned.heads.map((heads) => heads.listed()));
    return {};
  }

  status(): IngesterReply['status'] {
    const partitions = this.#owned.statuses;
    const closed = this.#deps.neighbours.whyNoWrites();
    const stopped = partitions.filter(({ state }) => state === 'stopped');
    const isReady = this.#isReady && stopped.length === 0;
    return {
      state: closed !== undefined ? 'introducing' : isReady ? 'ready' : 'replaying',
      replayedRecords: this.#records,
      replayLeft: partitions.filter(({ state }) => state !== 'reading').length,
      waitsFor: closed?.message ?? (isReady ? '' : this.#reason(partitions)),
      streams: 0,
      headBytes: this.#owned.bytes,
      partitions,
    };
  }

  #reason(partitions: readonly PartitionStatus[]): string {
    const waiting = partitions
      .filter(({ waitsFor }) => waitsFor !== '')
      .map(({ partition, waitsFor }) => `partition ${partition}: ${waitsFor}`);
    if (waiting.length > 0) return waiting.join('\n');
    if (!this.#hasJoined) return this.#topic.waitsFor || this.#waitsFor;
    const lag = partitions.reduce((sum, one) => sum + one.lag, 0);
    const { perS } = this.#rate;
    const left = perS > 0 ? `, ${Math.ceil(lag / perS)} s left` : '';
    return `catches up with Kafka: ${lag} records behind, ${Math.round(perS)} a second${left}`;
  }

  async stop(): Promise<void> {
    this.#cancelTick();
    this.#owned.end();
    await this.#running;
  }
}

/** `name`: as it was made for the group. */
function memberOf(id: string, name: string): { id: string; process: string; shard: number } {
  const at = name.lastIndexOf('/');
  return { id, process: name.slice(0, at), shard: Number(name.slice(at + 1)) };
}
