import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { PartitionEnds } from '../../storage/kafka/topic.ts';
import { latestGeneration, partitionLog, type TopicGeneration } from '../../storage/log/generation.ts';
import type { LogGap, LogRecord, Position } from '../../storage/log/ingest-log.ts';
import type { Discontinuity, ReadPlace } from '../../storage/log/kafka-group.ts';
import { skippedTo } from '../../storage/log/skips.ts';
import type { Chain } from '../../storage/segment/chain.ts';
import type { StartContext } from '../kernel/define.ts';
import type { LogPlace, PartitionStatus } from '../protocol/ingest.ts';
import { LogHeads, type LogHeadsOptions } from './log-heads.ts';
import { readableChain, retrying } from './readable-chain.ts';
import { Watermark } from './watermark.ts';

/** Told of what is read, in this order. */
export interface ReadListener {
  /** The log is read from there on. */
  begins(place: LogPlace): void;
  /** Its next records are in the heads; borrowed for the call. */
  took(log: string, records: readonly LogRecord[]): void;
  /** Whoever reads it next begins there at the earliest, or this one does so no more. */
  passesOn(place: LogPlace): void;
}

export interface OwnedPartitionDeps {
  readonly blobs: BlobStore;
  readonly options: LogHeadsOptions;
  readonly context: StartContext;
  readonly topic: string;
  readonly generation: TopicGeneration;
  /** What the partition has now. Rejects while Kafka is away. */
  readonly ends: (partition: number) => Promise<PartitionEnds>;
  /** Reads it from there on. */
  readonly start: (partition: number, place: ReadPlace) => void;
  readonly commit: (partition: number, position: Position) => Promise<void>;
  /** It is to be given up, and opened anew. `stoppedBy`: why it could not be read on. */
  readonly reopen: (partition: number, stoppedBy?: string) => void;
  readonly listener: ReadListener;
  /** Storage knows of a later generation of the topic. */
  readonly renewed: (generation: TopicGeneration) => void;
}

const LOOK_AGAIN_MS = 1_000;
/** One that is stopped is looked at again, as somebody may have said how to go on. */
const STOPPED_MS = 5_000;

/** A partition that is this shard's: its heads, from its chain of objects on, until it is another's. */
export class OwnedPartition {
  readonly partition: number;
  readonly #deps: OwnedPartitionDeps;
  readonly #log: string;
  readonly #ended = new AbortController();
  #heads: LogHeads | undefined;
  #watermark: Watermark | undefined;
  /** Of when it was opened: what it had before is read once more. */
  #end: Position = Number.POSITIVE_INFINITY;
  #lastEnd: Position = 0;
  /** Why nothing is read. */
  #waitsFor: string | undefined = 'its objects are looked for';
  /** Why it cannot be read on, as it was told of. */
  #stoppedBy: string | undefined;

  constructor(partition: number, deps: OwnedPartitionDeps, stoppedBy?: string) {
    this.partition = partition;
    this.#deps = deps;
    this.#log = partitionLog(deps.generation, partition);
    this.#stoppedBy = stoppedBy;
  }

  get heads(): LogHeads | undefined {
    return this.#heads;
  }

  get bytes(): number {
    return this.#heads?.bytes ?? 0;
  }

  /** Everything that it had when it was opened is in the heads. */
  get isCaughtUp(): boolean {
    return this.#heads !== undefined && this.#heads.appliedTo >= this.#end;
  }

  get isStopped(): boolean {
    return this.#stoppedBy !== undefined;
  }

  /** Up to when all that it took in is here, ms since the epoch; 0: not known. */
  get watermarkMs(): number {
    return this.#watermark?.ms ?? 0;
  }

  get status(): PartitionStatus {
    const position = this.#heads?.appliedTo ?? 0;
    return {
      partition: this.partition,
      state: this.#stoppedBy !== undefined ? 'stopped' : this.isCaughtUp ? 'reading' : 'catching_up',
      position,
      lag: Math.max(0, this.#lastEnd - position),
      watermarkMs: this.watermarkMs,
      waitsFor: this.#stoppedBy ?? this.#waitsFor ?? '',
    };
  }

  /** Finds out where it goes on, and has it read from there. Rejects when the partition is another's by then. */
  async open(): Promise<void> {
    for (;;) {
      const chain = await this.#chain();
      const { position, lost } = await this.#skipped(chain.end);
      const ends = await this.#ends();
      this.#lastEnd = ends.high;
      const wrong = whyNot(position, ends, this.partition);
      if (wrong === undefined) return this.#begin(chain, { position, lost }, ends);
      await this.#stopped(wrong);
    }
  }

  #chain(): Promise<Chain> {
    const { blobs, context } = this.#deps;
    return readableChain(this.#log, {
      blobs,
      oldest: async () => (await this.#ends()).low,
      waits: (why) => {
        this.#waitsFor = why;
      },
      context,
      signal: this.#ended.signal,
    });
  }

  /** Where it goes on behind what was given up, each of which begins where the one before ended. */
  async #skipped(end: Position): Promise<{ position: Position; lost: LogGap | undefined }> {
    const { blobs, topic, context } = this.#deps;
    let position = end;
    for (;;) {
      const from = position;
      const to = await retrying(() => skippedTo(blobs, topic, { log: this.#log, from }), context, this.#ended.signal);
      if (to === undefined) break;
      position = to;
    }
    const reason = 'Kafka had deleted them, and they were given up';
    return { position, lost: position > end ? { kind: 'gap', from: end, to: position, lostBytes: 0, doubtful: false, reason } : undefined };
  }

  #begin(chain: Chain, { position, lost }: { position: Position; lost: LogGap | undefined }, ends: PartitionEnds): void {
    this.#ended.signal.throwIfAborted();
    this.#end = ends.high;
    this.#heads = this.#headsFrom(chain);
    if (lost !== undefined) this.#heads.take(lost);
    this.#deps.listener.begins({ log: this.#log, position });
    this.#watermark = new Watermark(chain.lastMs ?? 0);
    this.#waitsFor = undefined;
    // Only what is read says that it is the topic that it was; where the record before is gone, or there is none, nothing will.
    const lastMs = lost === undefined ? chain.lastMs : undefined;
    if (lastMs === undefined || position === 0 || ends.low >= position) this.#stoppedBy = undefined;
    this.#deps.start(this.partition, { position, lastMs });
  }

  #headsFrom(chain: Chain): LogHeads {
    const { blobs, options, context, commit, reopen, listener } = this.#deps;
    const { instruments, incarnation } = context;
    // A log without objects begins with its first: unlike a file's, its records are there for longer than a flush takes.
    const isNew = chain.end === 0 && chain.floor === 0;
    return new LogHeads(
      // A hint, which nobody waits for.
      { id: this.#log, trim: async (upTo) => void commit(this.partition, upTo) },
      { chain: { ...chain, isBroken: chain.isBroken && !isNew }, end: chain.floor },
      {
        blobs,
        options,
        stores: (position) => listener.passesOn({ log: this.#log, position }),
        signal: this.#ended.signal,
        fail: (error) => {
          if (this.#ended.signal.aborted) return;
          if (!(error instanceof Fault) || error.code !== 'stale_incarnation') return incarnation.fail(error);
          instruments
            .counter(
              'millrace_kafka_fenced_flushes_total',
              'Flushes that came after another owner’s: the heads were given up, and read again.',
            )
            .add(1);
          instruments.log.warn('another owner of a partition has flushed: it is read again from there', { partition: this.partition });
          reopen(this.partition);
        },
      },
      context,
    );
  }

  /** The next records. */
  take(records: readonly LogRecord[]): void {
    const heads = this.#heads;
    if (heads === undefined || this.#ended.signal.aborted) return;
    this.#stoppedBy = undefined;
    for (const record of records) heads.take(record);
    this.#watermark?.applied(heads.appliedTo, heads.lastMs ?? 0);
    this.#deps.listener.took(this.#log, records);
    heads.flushIfDue();
  }

  /** It ended there some time after `atMs`. */
  sawEnd(atMs: number, { high }: PartitionEnds): void {
    this.#lastEnd = Math.max(this.#lastEnd, high);
    if (this.#heads !== undefined && this.#stoppedBy === undefined) this.#watermark?.sawEnd(atMs, high, this.#heads.appliedTo);
  }

  /** What was read next does not follow. What is here is stored before the partition is opened anew: Kafka may not have it any more. */
  async broken(why: Discontinuity): Promise<void> {
    const heads = this.#heads;
    if (heads === undefined) return;
    const { reopen, start } = this.#deps;
    if (why.kind === 'other_position') {
      const wrong = whyNot(heads.appliedTo, await this.#ends(), this.partition);
      this.#ended.signal.throwIfAborted();
      // The client had gone elsewhere for a reason that is gone.
      if (wrong === undefined) return start(this.partition, { position: heads.appliedTo, lastMs: heads.lastMs });
      this.#stoppedBy = wrong;
      await heads.flush();
    } else {
      this.#stoppedBy = anotherRecord(why, this.partition);
      await heads.flush();
      await this.#stopped(this.#stoppedBy);
    }
    this.#ended.signal.throwIfAborted();
    reopen(this.partition, this.#stoppedBy);
  }

  /** Resolves when it is to be looked at again. */
  async #stopped(why: string): Promise<void> {
    const { context, topic, blobs, generation, renewed } = this.#deps;
    const { signal } = this.#ended;
    context.instruments.log.error('log_gap: a partition is not read any more', { topic, partition: this.partition, why });
    this.#stoppedBy = why;
    await context.world.timers.sleep(STOPPED_MS, signal);
    const latest = await retrying(() => latestGeneration(blobs, topic), context, signal);
    signal.throwIfAborted();
    if (latest === undefined || latest.number <= generation.number) return;
    this.#stoppedBy = undefined;
    renewed(latest);
  }

  async #ends(): Promise<PartitionEnds> {
    const { context, ends } = this.#deps;
    for (;;) {
      this.#ended.signal.throwIfAborted();
      try {
        return await ends(this.partition);
      } catch (error) {
        this.#waitsFor = `Kafka does not say where the partition ends: ${(error as Error).message}`;
        await context.world.timers.sleep(LOOK_AGAIN_MS, this.#ended.signal);
      }
    }
  }

  /** It is another's from now on, or is to be opened anew: what is here can be read, and is not stored any more. */
  end(): void {
    if (this.#heads !== undefined) this.#deps.listener.passesOn({ log: this.#log, position: this.#heads.appliedTo });
    this.#ended.abort(new Fault('cancelled', `partition ${this.partition} is another's`));
  }
}

/** How to have it go on, for whoever reads why it does not. */
const ANOTHER_TOPIC =
  'the topic was made anew, or its brokers have lost records. POST /ingest-log with renew=true to read it from its begin, as another log';

function anotherRecord({ expected, wantedMs, foundMs }: Extract<Discontinuity, { kind: 'other_record' }>, partition: number): string {
  const [wanted, found] = [wantedMs, foundMs].map((ms) => new Date(ms).toISOString());
  return `record ${expected - 1} of partition ${partition} was taken in at ${wanted}, and is one of ${found} now: ${ANOTHER_TOPIC}`;
}

/** Why a partition cannot be read on from `position`, and what is to be done; undefined: it can. */
function whyNot(position: Position, { low, high }: PartitionEnds, partition: number): string | undefined {
  if (low > position)
    return `Kafka has deleted ${low - position} records of partition ${partition}, ${position} to ${low - 1}, that are not in storage. POST /ingest-log with partition=${partition}&from=${position}&to=${low} to go on without them`;
  if (high < position) return `partition ${partition} ends at ${high}, and ${position} records of it were read: ${ANOTHER_TOPIC}`;
  return undefined;
}
