import { Fault } from '../../ops/base/fault.ts';
import type { ConnectKafka } from '../../storage/kafka/client.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import type { TopicGeneration } from '../../storage/log/generation.ts';
import type { LogRecord } from '../../storage/log/ingest-log.ts';
import type { Discontinuity } from '../../storage/log/kafka-group.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { every } from '../every.ts';
import type { AskContext, Handlers, StartContext } from '../kernel/define.ts';
import type { BufferCover, IngesterAsk, IngesterReply, PartitionStatus } from '../protocol/ingest.ts';
import { placePartitions } from './assignment.ts';
import { selected, seriesIn } from './head-reads.ts';
import type { IngesterDeps } from './ingester.ts';
import type { LogHeads } from './log-heads.ts';
import { OpenTopic } from './open-topic.ts';
import { OwnedPartition } from './owned-partition.ts';

export interface BufferedDeps {
  readonly kafka: KafkaOptions;
  /** Of ingesters: partitions are placed by its tokens. */
  readonly ring: Ring;
  /** Of this process in the ring. */
  readonly process: string;
  readonly connect?: ConnectKafka | undefined;
}

/** What was a shard's stays readable for so long after it became another's, which mostly has it again by then. Seen twice it counts once. */
const FORMER_MS = 30_000;
const ENDS_MS = 1_000;
/** Looks at ends between looks whether the topic is another one. */
const RENEWED_TURNS = 30;
const RETRY_MS = 250;
/** Who wants to read what was just written waits for so long, and less where the answer is due. */
const AFTER_WRITE_MS = 10_000;
const AFTER_WRITE_MARGIN_MS = 500;
const AFTER_WRITE_POLL_MS = 5;
/** Times what is flushed at once: nothing is read, and is read again. What waits in Kafka waits well, and heads travel to queriers. */
const [FULL_AT, RESUME_AT] = [1.5, 1.25];

/** One start of an ingester behind Kafka: the partitions that the group gives it, and their heads. It takes no pushes: distributors write to Kafka, from where it reads what they wrote. */
export class BufferedShard {
  readonly #deps: IngesterDeps;
  readonly #buffer: BufferedDeps;
  readonly #context: StartContext;
  readonly #owned = new Map<number, OwnedPartition>();
  #former: { readonly partition: OwnedPartition; readonly untilMs: number }[] = [];
  /** Ends when the shard leaves the group, before the incarnation does or with it. */
  readonly #leaving = new AbortController();
  readonly #running: Promise<void>;
  readonly #cancelTick: () => void;
  #topic: OpenTopic | undefined;
  #waitsFor = 'is not in the group of ingesters yet';
  #hasJoined = false;
  /** Once everything was caught up. */
  #isReady = false;
  #isSealed = false;
  /** Heads are as large as they may be: nothing is read. */
  #isFull = false;
  #records = 0;
  #rate = { records: 0, atMs: 0, perS: 0 };

  constructor(deps: IngesterDeps, buffer: BufferedDeps, context: StartContext) {
    const { world, incarnation } = context;
    this.#deps = deps;
    this.#buffer = buffer;
    this.#context = context;
    const signal = AbortSignal.any([incarnation.signal, this.#leaving.signal]);
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
      tail: () => {
        throw new Fault('unsupported', 'tails are not served where Kafka is in front of ingesters');
      },
      select: async (ask, asked) => {
        if (ask.afterWrite) await this.#readUpToNow(asked);
        return this.#select(asked.tenant, ask);
      },
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
    const { neighbours, blobs } = this.#deps;
    const { kafka, ring, process, connect } = this.#buffer;
    // What it has, some might not look for here before that.
    for (let why = neighbours.whyNoWrites(); why !== undefined; why = neighbours.whyNoWrites()) {
      this.#waitsFor = why.message;
      await world.timers.sleep(RETRY_MS, signal);
    }
    const topic = new OpenTopic({ kafka, blobs, context: this.#context, connect });
    try {
      this.#topic = topic;
      await topic.open(signal);
      const looking = this.#lookAtEnds(topic, signal);
      await topic.read(
        {
          name: `${process}/${this.#deps.shard.index}`,
          place: (partitions, members) =>
            placePartitions(
              partitions,
              members.map(({ id, name }) => memberOf(id, name)),
              ring,
            ),
          listener: {
            assigned: (partitions) => this.#assigned(partitions),
            records: (partition, records) => this.#take(partition, records),
            broken: (partition, why) => this.#broken(partition, why),
            waits: (why) => {
              this.#waitsFor = why ?? '';
            },
          },
        },
        signal,
      );
      await looking;
    } finally {
      await topic.close();
    }
  }

  async #lookAtEnds(topic: OpenTopic, signal: AbortSignal): Promise<void> {
    const { world, instruments } = this.#context;
    for (let turn = 1; !signal.aborted; turn++) {
      const atMs = world.clock.nowMs();
      try {
        // Somebody may have said so elsewhere.
        const later = turn % RENEWED_TURNS === 0 ? await topic.laterGeneration() : undefined;
        if (later !== undefined) this.#renew(later);
        const ends = await topic.ends();
        for (const [partition, owned] of this.#owned) {
          const end = ends.get(partition);
          if (end !== undefined) owned.sawEnd(atMs, end);
        }
      } catch (error) {
        instruments.log.debug('the ingest topic cannot be looked at', { error: String(error) });
      }
      await world.timers.sleep(ENDS_MS, signal).catch(() => {});
    }
  }

  #assigned(partitions: readonly number[]): void {
    const { instruments } = this.#context;
    this.#hasJoined = true;
    const own = new Set(partitions);
    for (const partition of [...this.#owned.keys()]) if (!own.has(partition)) this.#giveUp(partition);
    const gained = partitions.filter((partition) => !this.#owned.has(partition));
    instruments.log.info('partitions are given out', { partitions: ascending(partitions), gained: ascending(gained) });
    for (const partition of gained) this.#open(partition);
  }

  #open(partition: number, stoppedBy?: string): void {
    const topic = this.#topic!;
    const { incarnation } = this.#context;
    const { flushBytes, maxChunkAge: maxHeadAgeMs, headCeiling: ceilingBytes } = this.#deps.options;
    const deps = {
      ...topic.partitionDeps,
      blobs: incarnation.fence(this.#deps.blobs),
      options: { flushBytes, maxHeadAgeMs, ceilingBytes, recentObjectsMs: this.#deps.recentObjectsMs },
      context: this.#context,
      reopen: (again: number, why?: string) => {
        this.#giveUp(again);
        this.#open(again, why);
      },
      renewed: (generation: TopicGeneration) => this.#renew(generation),
    };
    const owned = new OwnedPartition(partition, deps, stoppedBy);
    this.#owned.set(partition, owned);
    this.#settled(owned, owned.open());
  }

  /** What it has stays readable for a while. */
  #giveUp(partition: number): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    owned.end();
    this.#owned.delete(partition);
    this.#former.push({ partition: owned, untilMs: this.#context.world.clock.monotonicMs() + FORMER_MS });
  }

  /** The topic is another one: its partitions are other logs. What was read of those before is stored under their names first. */
  #renew(generation: TopicGeneration): void {
    if (this.#topic?.renew(generation) !== true) return;
    for (const [partition, owned] of [...this.#owned]) {
      const stored = owned.heads?.flush() ?? Promise.resolve(0);
      this.#settled(
        owned,
        stored.then(() => {
          if (this.#owned.get(partition) !== owned) return;
          this.#giveUp(partition);
          this.#open(partition);
        }),
      );
    }
  }

  /** Its end is no failure, whatever it was about. */
  #settled(owned: OwnedPartition, work: Promise<void>): void {
    work.catch((error) => {
      if (this.#owned.get(owned.partition) === owned) this.#context.incarnation.fail(error);
    });
  }

  #take(partition: number, records: readonly LogRecord[]): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    owned.take(records);
    if (this.#isFull) this.#topic?.setPaused(partition, true); // it was given out meanwhile
    this.#records += records.length;
    this.#limitMemory();
  }

  #broken(partition: number, why: Discontinuity): void {
    const owned = this.#owned.get(partition);
    if (owned !== undefined) this.#settled(owned, owned.broken(why));
  }

  get #bytes(): number {
    const former = this.#former.reduce((sum, { partition }) => sum + partition.bytes, 0);
    return [...this.#owned.values()].reduce((sum, { bytes }) => sum + bytes, former);
  }

  /** Partitions share the memory of one shard: together they are flushed when the heads of one log would be, the largest first. */
  #limitMemory(): void {
    const { flushBytes, headCeiling } = this.#deps.options;
    const owned = [...this.#owned.values()];
    const room = owned.reduce((sum, { heads }) => sum + (heads?.roomForStreams ?? 0), 0);
    const due = Math.min(flushBytes + room, headCeiling / FULL_AT);
    let bytes = this.#bytes;
    while (this.#former.length > 0 && bytes >= due) bytes -= this.#former.shift()!.partition.bytes;
    if (bytes >= due && !owned.some(({ heads }) => heads?.isFlushing)) {
      const [largest] = owned.sort((a, b) => b.bytes - a.bytes);
      largest?.heads?.flush().catch(() => {}); // told by then
    }
    if (bytes >= FULL_AT * due) this.#setFull(true);
    else if (bytes < RESUME_AT * due) this.#setFull(false);
  }

  #setFull(isFull: boolean): void {
    if (isFull === this.#isFull || this.#isSealed) return;
    this.#isFull = isFull;
    const word = isFull ? 'is not read until heads are stored' : 'is read again';
    this.#context.instruments.log.debug(`the ingest topic ${word}`, { head_bytes: this.#bytes });
    for (const partition of this.#owned.keys()) this.#topic?.setPaused(partition, isFull);
  }

  #tick(): void {
    const nowMs = this.#context.world.clock.monotonicMs();
    this.#former = this.#former.filter(({ untilMs }) => untilMs > nowMs);
    for (const { heads } of this.#owned.values()) heads?.flushIfDue();
    this.#limitMemory();
    this.#isReady ||= this.#isCaughtUp;
    const seconds = (nowMs - this.#rate.atMs) / 1_000;
    this.#rate = { records: this.#records, atMs: nowMs, perS: (this.#records - this.#rate.records) / seconds };
    this.#topic?.show([...this.#owned.values()].map(({ status }) => status));
  }

  get #isCaughtUp(): boolean {
    return this.#hasJoined && [...this.#owned.values()].every(({ isCaughtUp }) => isCaughtUp);
  }

  #heads(): LogHeads[] {
    const all = [...this.#former.map(({ partition }) => partition), ...this.#owned.values()];
    return all.flatMap(({ heads }) => heads ?? []);
  }

  #cover(): BufferCover {
    const owned = [...this.#owned.values()].filter(({ heads }) => heads !== undefined);
    return {
      partitions: this.#topic?.partitions ?? 0,
      owned: owned.map(({ partition, watermarkMs }) => ({ partition, watermarkMs })),
    };
  }

  #readable(meantFor: string | undefined): void {
    const closed = this.#deps.neighbours.whyNoReads(meantFor);
    if (closed !== undefined) throw closed;
  }

  /** Resolves once all that Kafka has is in the heads, or when that takes too long: what is known of it then is in the reply. */
  async #readUpToNow({ deadlineMs, signal }: AskContext): Promise<void> {
    const { clock, timers } = this.#context.world;
    const untilMs = Math.min(clock.monotonicMs() + AFTER_WRITE_MS, deadlineMs - AFTER_WRITE_MARGIN_MS);
    const atMs = clock.nowMs();
    const ends = await this.#topic?.ends().catch(() => undefined);
    if (ends === undefined) return;
    const owned = (): OwnedPartition[] => [...this.#owned.values()];
    for (const one of owned()) {
      const end = ends.get(one.partition);
      if (end !== undefined) one.sawEnd(atMs, end);
    }
    while (owned().some(({ watermarkMs }) => watermarkMs < atMs) && clock.monotonicMs() < untilMs)
      await timers.sleep(AFTER_WRITE_POLL_MS, signal);
  }

  #select(tenant: string, ask: Extract<IngesterAsk, { kind: 'select' }>): IngesterReply['select'] {
    this.#readable(ask.meantFor);
    return { ...selected(this.#heads(), tenant, ask), buffer: this.#cover(), others: this.#deps.neighbours.beyond(ask.known) };
  }

  #series(tenant: string, ask: Extract<IngesterAsk, { kind: 'series' }>): IngesterReply['series'] {
    this.#readable(ask.meantFor);
    return { ...seriesIn(this.#heads(), tenant, ask), buffer: this.#cover(), others: this.#deps.neighbours.beyond(ask.known) };
  }

  #introduce({ process, registration, meantFor }: Extract<IngesterAsk, { kind: 'introduce' }>): IngesterReply['introduce'] {
    this.#readable(meantFor);
    return { hasHeard: this.#deps.neighbours.hasHeardOf(process, registration) };
  }

  /** Of a shard that leaves for good, nothing is read after what is flushed last: the next owners begin there. */
  async #flush(): Promise<number> {
    let objects = await this.#flushOwned();
    if (!this.#isSealed) return objects;
    for (const partition of this.#owned.keys()) this.#topic?.setPaused(partition, true);
    objects += await this.#flushOwned();
    this.#leaving.abort(new Fault('cancelled', 'the shard has left the group'));
    return objects;
  }

  async #flushOwned(): Promise<number> {
    let objects = 0;
    for (const { heads } of [...this.#owned.values()]) {
      try {
        objects += (await heads?.flush()) ?? 0;
      } catch (error) {
        // It is another's, who stores what this one had.
        if (!(error instanceof Fault) || (error.code !== 'stale_incarnation' && error.code !== 'cancelled')) throw error;
      }
    }
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
    const stopped = [...this.#owned.values()].filter(({ status }) => status.state === 'stopped');
    if (stopped.length === 0) throw new Fault('bad_request', 'none of the partitions that are read here is stopped');
    this.#renew(await topic.nextGeneration());
    return {};
  }

  #opened(): OpenTopic {
    if (this.#topic === undefined || this.#topic.partitions === 0)
      throw new Fault('unavailable', 'the topic is not known yet', { retryAfterS: 1 });
    return this.#topic;
  }

  #seal(): IngesterReply['seal'] {
    const wasSealed = this.#isSealed;
    this.#isSealed = true;
    return { wasSealed };
  }

  async #settle(): Promise<IngesterReply['settle']> {
    if (this.#isSealed) await this.#running;
    await Promise.all(this.#heads().map((heads) => heads.listed()));
    return {};
  }

  status(): IngesterReply['status'] {
    const partitions = [...this.#owned.values()].map(({ status }) => status).sort((a, b) => a.partition - b.partition);
    const closed = this.#deps.neighbours.whyNoWrites();
    const stopped = partitions.filter(({ state }) => state === 'stopped');
    const isReady = this.#isReady && stopped.length === 0;
    return {
      state: closed !== undefined ? 'introducing' : isReady ? 'ready' : 'replaying',
      replayedRecords: this.#records,
      replayLeft: partitions.filter(({ state }) => state !== 'reading').length,
      waitsFor: closed?.message ?? (isReady ? '' : this.#reason(partitions)),
      streams: 0,
      headBytes: this.#bytes,
      partitions,
    };
  }

  #reason(partitions: readonly PartitionStatus[]): string {
    const waiting = partitions
      .filter(({ waitsFor }) => waitsFor !== '')
      .map(({ partition, waitsFor }) => `partition ${partition}: ${waitsFor}`);
    if (waiting.length > 0) return waiting.join('\n');
    if (!this.#hasJoined) return this.#topic?.waitsFor || this.#waitsFor;
    const lag = partitions.reduce((sum, one) => sum + one.lag, 0);
    const { perS } = this.#rate;
    const left = perS > 0 ? `, ${Math.ceil(lag / perS)} s left` : '';
    return `catches up with Kafka: ${lag} records behind, ${Math.round(perS)} a second${left}`;
  }

  async stop(): Promise<void> {
    this.#cancelTick();
    for (const owned of this.#owned.values()) owned.end();
    await this.#running;
  }
}

const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

/** `name`: as it was made for the group. */
function memberOf(id: string, name: string): { id: string; process: string; shard: number } {
  const at = name.lastIndexOf('/');
  return { id, process: name.slice(0, at), shard: Number(name.slice(at + 1)) };
}
