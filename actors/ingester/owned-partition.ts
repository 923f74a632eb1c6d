import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { PartitionEnds } from '../../storage/kafka/topic.ts';
import { partitionLog, type TopicGeneration } from '../../storage/log/generation.ts';
import type { LogRecord, Position } from '../../storage/log/ingest-log.ts';
import type { Discontinuity, ReadPlace } from '../../storage/log/kafka-group.ts';
import type { Chain } from '../../storage/segment/chain.ts';
import type { StartContext } from '../kernel/define.ts';
import type { PartitionStatus } from '../protocol/ingest.ts';
import { LogHeads, type LogHeadsOptions } from './log-heads.ts';
import { readableChain } from './readable-chain.ts';
import { Watermark } from './watermark.ts';

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
  /** Another one has written on where this one was to: what is here is to be given up, and read again. */
  readonly fenced: (partition: number) => void;
}

const LOOK_AGAIN_MS = 1_000;

/** A partition that is this shard's: its heads, from its chain of objects on, until it is another's. */
export class OwnedPartition {
  readonly partition: number;
  readonly #deps: OwnedPartitionDeps;
  readonly #ended = new AbortController();
  #heads: LogHeads | undefined;
  #watermark: Watermark | undefined;
  /** Of when it was opened: what it had before is read once more. */
  #end: Position = Number.POSITIVE_INFINITY;
  #lastEnd: Position = 0;
  /** Why nothing is read. */
  #waitsFor: string | undefined = 'its objects are looked for';
  #isStopped = false;

  constructor(partition: number, deps: OwnedPartitionDeps) {
    this.partition = partition;
    this.#deps = deps;
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

  /** Up to when all that it took in is here, ms since the epoch; 0: not known. */
  get watermarkMs(): number {
    return this.#watermark?.ms ?? 0;
  }

  get status(): PartitionStatus {
    const position = this.#heads?.appliedTo ?? 0;
    return {
      partition: this.partition,
      state: this.#isStopped ? 'stopped' : this.isCaughtUp ? 'reading' : 'catching_up',
      position,
      lag: Math.max(0, this.#lastEnd - position),
      watermarkMs: this.watermarkMs,
      waitsFor: this.#waitsFor ?? '',
    };
  }

  /** Finds out where it goes on, and has it read from there. Rejects when the partition is another's by then. */
  async open(): Promise<void> {
    const { blobs, generation, context, start } = this.#deps;
    const { signal } = this.#ended;
    const log = partitionLog(generation, this.partition);
    const found = await readableChain(log, {
      blobs,
      oldest: async () => (await this.#ends()).low,
      waits: (why) => {
        this.#waitsFor = why;
      },
      context,
      signal,
    });
    const ends = await this.#ends();
    signal.throwIfAborted();
    this.#lastEnd = ends.high;
    const wrong = whyNot(found, ends);
    if (wrong !== undefined) return this.#stop(wrong);
    this.#end = ends.high;
    this.#heads = this.#headsFrom(log, found);
    this.#watermark = new Watermark(found.lastMs ?? 0);
    this.#waitsFor = undefined;
    start(this.partition, { position: found.end, lastMs: found.lastMs });
  }

  #headsFrom(log: string, found: Chain): LogHeads {
    const { blobs, options, context, commit, fenced } = this.#deps;
    // A log without objects begins with its first: unlike a file, its records are there for longer than a flush takes.
    const isNew = found.end === 0 && found.floor === 0;
    return new LogHeads(
      { id: log, trim: (upTo) => commit(this.partition, upTo) },
      { chain: { ...found, isBroken: found.isBroken && !isNew }, end: found.floor },
      {
        blobs,
        options,
        signal: this.#ended.signal,
        fail: (error) => {
          if (this.#ended.signal.aborted) return;
          if (error instanceof Fault && error.code === 'stale_incarnation') fenced(this.partition);
          else context.incarnation.fail(error);
        },
      },
      context,
    );
  }

  /** The next records. */
  take(records: readonly LogRecord[]): void {
    const heads = this.#heads;
    if (heads === undefined) return;
    for (const record of records) heads.take(record);
    this.#watermark?.applied(heads.appliedTo, heads.lastMs ?? 0);
    heads.flushIfDue();
  }

  /** It ended there some time after `atMs`. */
  sawEnd(atMs: number, { high }: PartitionEnds): void {
    this.#lastEnd = Math.max(this.#lastEnd, high);
    if (this.#heads !== undefined) this.#watermark?.sawEnd(atMs, high, this.#heads.appliedTo);
  }

  /** What was read next does not follow. */
  async broken(why: Discontinuity): Promise<void> {
    const heads = this.#heads;
    if (heads === undefined) return;
    if (why.kind === 'other_record') {
      this.#stop(
        `the record before ${why.expected} was taken in at ${new Date(why.wantedMs).toISOString()}, and is one of ${new Date(why.foundMs).toISOString()} now: ${ANOTHER_TOPIC}`,
      );
      return;
    }
    const ends = await this.#ends();
    this.#ended.signal.throwIfAborted();
    const wrong = whyNot({ end: heads.appliedTo }, ends);
    // The client had gone elsewhere for a reason that is gone.
    if (wrong === undefined) this.#deps.start(this.partition, { position: heads.appliedTo, lastMs: heads.lastMs });
    else this.#stop(wrong);
  }

  #stop(why: string): void {
    const { instruments } = this.#deps.context;
    this.#isStopped = true;
    this.#waitsFor = why;
    instruments.counter('millrace_kafka_log_gaps_total', 'Times that a partition could not be read on without losing records.').add(1);
    instruments.log.error('log_gap: a partition is not read any more', { topic: this.#deps.topic, partition: this.partition, why });
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
    this.#ended.abort(new Fault('cancelled', `partition ${this.partition} is another's`));
  }
}

const ANOTHER_TOPIC = 'the topic was made anew, or its brokers have lost records';

/** Why a partition cannot be read on from where its objects end; undefined: it can. */
function whyNot({ end }: Pick<Chain, 'end'>, { low, high }: PartitionEnds): string | undefined {
  if (low > end) return `Kafka has deleted ${low - end} records, ${end} to ${low - 1}, that are not in storage`;
  if (high < end) return `the partition ends at ${high}, and ${end} records of it were read: ${ANOTHER_TOPIC}`;
  return undefined;
}
