import { Fault } from '../../ops/base/fault.ts';
import type { PartitionEnds } from '../../storage/kafka/topic.ts';
import type { TopicGeneration } from '../../storage/log/generation.ts';
import type { LogRecord, Position } from '../../storage/log/ingest-log.ts';
import type { Discontinuity } from '../../storage/log/kafka-group.ts';
import type { StartContext } from '../kernel/define.ts';
import type { BufferCover, LogPlace, PartitionStatus } from '../protocol/ingest.ts';
import type { IngesterDeps } from './ingester.ts';
import type { LogHeads } from './log-heads.ts';
import type { OpenTopic } from './open-topic.ts';
import { OwnedPartition, type ReadListener } from './owned-partition.ts';
import { givingWay } from './turns.ts';

/** What was a shard's stays readable for so long after it became another's, which mostly has it again by then. Seen twice it counts once. */
const FORMER_MS = 30_000;
/** Times what is flushed at once: nothing is read, and is read again. What waits in Kafka waits well, and heads travel to queriers. */
const [FULL_AT, RESUME_AT] = [1.5, 1.25];

/** Every so many ticks others may have a turn. */
const TURN_TICKS = 4;

/** The partitions that one shard owns, those that it had until just now, and what they take in memory together. */
export class OwnedPartitions {
  readonly #topic: OpenTopic;
  readonly #deps: Pick<IngesterDeps, 'blobs' | 'options' | 'recentObjectsMs'>;
  readonly #listener: ReadListener;
  readonly #context: StartContext;
  readonly #owned = new Map<number, OwnedPartition>();
  #former: { readonly partition: OwnedPartition; readonly untilMs: number }[] = [];
  /** Heads are as large as they may be: nothing is read. */
  #isFull = false;
  /** The shard leaves: nothing is read any more. */
  #isClosed = false;
  #isOver = false;
  /** Of the last tick. */
  #positions: ReadonlyMap<number, Position> = new Map();
  #ticks = 0;
  /** Not read for a tick. */
  #givingWay: readonly number[] = [];

  constructor(
    topic: OpenTopic,
    deps: Pick<IngesterDeps, 'blobs' | 'options' | 'recentObjectsMs'>,
    listener: ReadListener,
    context: StartContext,
  ) {
    this.#topic = topic;
    this.#deps = deps;
    this.#listener = listener;
    this.#context = context;
  }

  get list(): OwnedPartition[] {
    return [...this.#owned.values()];
  }

  /** By partition. */
  get statuses(): PartitionStatus[] {
    return this.list.map(({ status }) => status).sort((a, b) => a.partition - b.partition);
  }

  get isCaughtUp(): boolean {
    return this.list.every(({ isCaughtUp }) => isCaughtUp);
  }

  /** About what all heads take in memory. */
  get bytes(): number {
    const former = this.#former.reduce((sum, { partition }) => sum + partition.bytes, 0);
    return this.list.reduce((sum, { bytes }) => sum + bytes, former);
  }

  /** Of all that can be read here. */
  get heads(): LogHeads[] {
    return [...this.#former.map(({ partition }) => partition), ...this.list].flatMap(({ heads }) => heads ?? []);
  }

  get cover(): BufferCover {
    const owned = this.list.filter(({ heads }) => heads !== undefined);
    return { partitions: this.#topic.partitions, owned: owned.map(({ partition, watermarkMs }) => ({ partition, watermarkMs })) };
  }

  /** How far each log is that is read here. */
  get places(): LogPlace[] {
    return this.list.flatMap(({ heads }) => (heads === undefined ? [] : { log: heads.log.id, position: heads.appliedTo }));
  }

  /** From now on these are the shard's, and no others. */
  assign(partitions: readonly number[]): void {
    if (this.#isOver) return;
    const { instruments } = this.#context;
    const own = new Set(partitions);
    for (const partition of [...this.#owned.keys()]) if (!own.has(partition)) this.#giveUp(partition);
    const gained = partitions.filter((partition) => !this.#owned.has(partition));
    instruments.log.info('partitions are given out', { partitions: ascending(partitions), gained: ascending(gained) });
    for (const partition of gained) this.#open(partition);
  }

  #open(partition: number, stoppedBy?: string): void {
    if (this.#isOver) return;
    const { incarnation } = this.#context;
    const { flushBytes, maxChunkAge: maxHeadAgeMs, headCeiling: ceilingBytes } = this.#deps.options;
    const deps = {
      ...this.#topic.partitionDeps,
      blobs: incarnation.fence(this.#deps.blobs),
      options: { flushBytes, maxHeadAgeMs, ceilingBytes, recentObjectsMs: this.#deps.recentObjectsMs },
      context: this.#context,
      reopen: (again: number, why?: string) => {
        this.#giveUp(again);
        this.#open(again, why);
      },
      listener: this.#listener,
      renewed: (generation: TopicGeneration) => this.renew(generation),
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
  renew(generation: TopicGeneration): void {
    if (!this.#topic.renew(generation)) return;
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

  /** The next records of a partition. */
  take(partition: number, records: readonly LogRecord[]): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    try {
      owned.take(records);
    } catch (error) {
      // The next incarnation reads them again; whoever reads on here would take them for lost.
      this.#context.incarnation.fail(error);
      owned.end();
      return;
    }
    if (this.#isFull || this.#isClosed) this.#topic.setPaused(partition, true); // it was given out meanwhile
    this.#limitMemory();
  }

  /** What was read next of a partition does not follow. */
  broken(partition: number, why: Discontinuity): void {
    const owned = this.#owned.get(partition);
    if (owned !== undefined) this.#settled(owned, owned.broken(why));
  }

  /** Looks where each ends; what is read up to there has all that was taken in before. Rejects while Kafka is away. */
  async lookAtEnds(): Promise<ReadonlyMap<number, PartitionEnds>> {
    const atMs = this.#context.world.clock.nowMs();
    const read = new Map(this.list.map((owned) => [owned, owned.heads?.appliedTo ?? 0]));
    const ends = await this.#topic.ends();
    for (const [owned, position] of read) {
      const end = ends.get(owned.partition);
      // One that ended before what was read by then is not the log that it was: that is noticed where it is read.
      if (end !== undefined && end.high >= position) owned.sawEnd(atMs, end);
    }
    return ends;
  }

  /** Whether all that is read here is read up to these ends; answers tell by themselves what is stopped. */
  hasReached(ends: ReadonlyMap<number, PartitionEnds>): boolean {
    return this.list.every(({ partition, heads, isStopped }) => isStopped || (heads?.appliedTo ?? 0) >= (ends.get(partition)?.high ?? 0));
  }

  /** To be called now and then. */
  tick(): void {
    const nowMs = this.#context.world.clock.monotonicMs();
    this.#former = this.#former.filter(({ untilMs }) => untilMs > nowMs);
    for (const { heads } of this.list) heads?.flushIfDue();
    this.#giveTurns();
    this.#limitMemory();
  }

  /** Now and then those that are held up by others have a turn of their own. */
  #giveTurns(): void {
    for (const partition of this.#givingWay) this.#topic.setPaused(partition, this.#isFull || this.#isClosed);
    this.#givingWay = [];
    const now = this.list.map(({ status }) => status).filter(({ state, waitsFor }) => state !== 'stopped' && waitsFor === '');
    const before = this.#positions;
    this.#positions = new Map(now.map(({ partition, position }) => [partition, position]));
    if (++this.#ticks % TURN_TICKS !== 0 || this.#isFull || this.#isClosed) return;
    this.#givingWay = givingWay(before, now);
    for (const partition of this.#givingWay) this.#topic.setPaused(partition, true);
  }

  /** Partitions share the memory of one shard: together they are flushed when the heads of one log would be, the largest first. */
  #limitMemory(): void {
    const { flushBytes, headCeiling } = this.#deps.options;
    const owned = this.list;
    const room = owned.reduce((sum, { heads }) => sum + (heads?.roomForStreams ?? 0), 0);
    const due = Math.min(flushBytes + room, headCeiling / FULL_AT);
    let { bytes } = this;
    while (this.#former.length > 0 && bytes >= due) bytes -= this.#former.shift()!.partition.bytes;
    if (bytes >= due && !owned.some(({ heads }) => heads?.isFlushing)) {
      const [largest] = owned.sort((a, b) => b.bytes - a.bytes);
      largest?.heads?.flush().catch(() => {}); // told by then
    }
    if (bytes >= FULL_AT * due) this.#setFull(true);
    else if (bytes < RESUME_AT * due) this.#setFull(false);
  }

  #setFull(isFull: boolean): void {
    if (isFull === this.#isFull || this.#isClosed) return;
    this.#isFull = isFull;
    const word = isFull ? 'is not read until heads are stored' : 'is read again';
    this.#context.instruments.log.debug(`the ingest topic ${word}`, { head_bytes: this.bytes });
    for (const partition of this.#owned.keys()) this.#topic.setPaused(partition, isFull);
  }

  /** Puts everything that was read into storage; resolves with the number of objects. */
  async flush(): Promise<number> {
    let objects = 0;
    for (const { heads } of this.list) {
      try {
        objects += (await heads?.flush()) ?? 0;
      } catch (error) {
        // It is another's, who stores what this one had.
        if (!(error instanceof Fault) || (error.code !== 'stale_incarnation' && error.code !== 'cancelled')) throw error;
      }
    }
    return objects;
  }

  /** Nothing is read any more. */
  pause(): void {
    this.#isClosed = true;
    for (const partition of this.#owned.keys()) this.#topic.setPaused(partition, true);
  }

  /** Nothing is stored any more. */
  end(): void {
    this.#isOver = true;
    for (const owned of this.list) owned.end();
  }
}

const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
