import kafkajs, { type Consumer, type EachBatchPayload, type Kafka, type PartitionAssigner } from 'kafkajs';
import { align8 } from '../../ops/base/bytes.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import { inTime, within } from '../../ops/base/within.ts';
import type { World } from '../../ops/base/world.ts';
import { causeOf } from '../kafka/failures.ts';
import type { KafkaOptions } from '../kafka/options.ts';
import type { LogRecord, Position } from './ingest-log.ts';

/** Where a partition is read from: after a record that was read before, of which it is known when Kafka took it in. */
export interface ReadPlace {
  readonly position: Position;
  /** Of the record before `position`; undefined: not known, or there is none. */
  readonly lastMs: number | undefined;
}

/** What is told of a group's partitions; no method throws. */
export interface GroupListener {
  /** From now on these partitions are this member's, and no others; while Kafka is away they stay so. Each is read from where `start` says. */
  assigned(partitions: readonly number[]): void;
  /** The next records of a partition, without a gap: the first is at the position where the last ended. None: what was read before is what is there still. Borrowed for the call. */
  records(partition: number, records: readonly LogRecord[]): void;
  /** What comes next is not what follows: records are missing, or the topic is another one. Nothing of the partition is read before the next `start`. */
  broken(partition: number, why: Discontinuity): void;
  /** Why Kafka is not read; undefined: it is. */
  waits(why: string | undefined): void;
}

/** What was found in place of the record at `expected`: one at `found`; or, before it, one of another time than it had. */
export type Discontinuity =
  | { readonly kind: 'other_position'; readonly expected: Position; readonly found: Position }
  | { readonly kind: 'other_record'; readonly expected: Position; readonly wantedMs: number; readonly foundMs: number };

export interface GroupDeps {
  readonly client: Kafka;
  readonly options: KafkaOptions;
  /** What this member is called, for whoever places partitions. */
  readonly name: string;
  /** Partitions by the id of the member that gets them; of members their ids and names are given. */
  readonly place: (
    partitions: number,
    members: readonly { readonly id: string; readonly name: string }[],
  ) => ReadonlyMap<string, readonly number[]>;
  readonly listener: GroupListener;
  readonly world: World;
  readonly log: Logger;
}

const ASSIGNER = 'millrace-ring';
const ASSIGNER_VERSION = 1;
const HEARTBEATS_A_SESSION = 6;
/** Others wait for a member that hears late that partitions are given out anew. */
const MOST_HEARTBEAT_MS = 500;
/** Brokers are asked to wait for records for so long; who stops waits for them too. */
const LONGEST_FETCH_MS = 250;
/** Compressed: several times as much in memory. */
const FETCH_BYTES = 2 * 1024 * 1024;
const PARTITION_FETCH_BYTES = 512 * 1024;
const METADATA_AGE_MS = 30_000;
/** What it takes to connect, tried again. */
const MOST_REQUESTS = 6;
/** A broker that does not answer holds who leaves up for no longer; the group notices by itself. */
const LEAVE_MS = 3_000;
const NOTHING = Buffer.alloc(0);
const [LEAST_RESTART_MS, MOST_RESTART_MS] = [100, 5_000];

interface Reading {
  next: Position;
  /** Of the record before `next`. */
  lastMs: number | undefined;
  /** The record before `next` is read once more, to see that it is the same. */
  isChecked: boolean;
}

/** A member of the group whose members share the partitions of the ingest topic. Where each is read from is not the group's to say: it is paused until `start`, and offsets that are committed are
 *  hints. Nothing is passed over: the client itself would go on elsewhere where the wanted position is gone. */
export class KafkaGroup {
  readonly #deps: GroupDeps;
  readonly #topic: string;
  readonly #own = new Map<number, Reading | undefined>();
  readonly #paused = new Set<number>();
  /** Once it is a member of the group: before that it takes no orders. */
  #consumer: Consumer | undefined;
  #scratch: Buffer = NOTHING;

  constructor(deps: GroupDeps) {
    this.#deps = deps;
    this.#topic = deps.options.topic;
  }

  /** Takes part until the signal is aborted, whatever happens to the brokers; then it has left the group. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, listener, log } = this.#deps;
    for (let failures = 0; !signal.aborted; failures++) {
      const consumer = this.#makeConsumer();
      try {
        await this.#consume(consumer, signal, () => {
          failures = 0;
          listener.waits(undefined);
        });
      } catch (error) {
        if (signal.aborted) break;
        const why = causeOf(error).message;
        listener.waits(why);
        log.warn('the ingest topic is not read, will be tried again', { topic: this.#topic, error: why });
      } finally {
        this.#consumer = undefined;
        await within(
          world.timers,
          LEAVE_MS,
          consumer.disconnect().catch(() => {}),
        );
      }
      const ms = Math.min(MOST_RESTART_MS, LEAST_RESTART_MS * 2 ** Math.min(failures, 10));
      await world.timers.sleep(ms * (0.5 + world.random.next() / 2), signal).catch(() => {});
    }
  }

  /** Reads a partition of this member's from there on. */
  start(partition: number, { position, lastMs }: ReadPlace): void {
    if (!this.#own.has(partition)) return;
    const reading: Reading = { next: position, lastMs, isChecked: position === 0 || lastMs === undefined };
    this.#own.set(partition, reading);
    this.#seek(partition, reading);
    this.resume(partition);
  }

  pause(partition: number): void {
    this.#paused.add(partition);
    this.#order((consumer, topic) => consumer.pause([{ topic, partitions: [partition] }]));
  }

  /** Where it has been started. */
  resume(partition: number): void {
    if (this.#own.get(partition) === undefined) return;
    this.#paused.delete(partition);
    this.#order((consumer, topic) => consumer.resume([{ topic, partitions: [partition] }]));
  }

  /** Tells the group, and whoever watches its lag, up to where a partition is in storage. A hint: nothing is lost if it is. */
  async commit(partition: number, position: Position): Promise<void> {
    if (!this.#own.has(partition)) return;
    await this.#consumer?.commitOffsets([{ topic: this.#topic, partition, offset: String(position) }]).catch((error) => {
      this.#deps.log.debug('the group was not told how far a partition is stored', { partition, error: String(error) });
    });
  }

  #makeConsumer(): Consumer {
    const { client, options } = this.#deps;
    return client.consumer({
      groupId: options.consumerGroup,
      sessionTimeout: options.sessionTimeout,
      rebalanceTimeout: options.sessionTimeout,
      heartbeatInterval: Math.min(MOST_HEARTBEAT_MS, Math.floor(options.sessionTimeout / HEARTBEATS_A_SESSION)),
      metadataMaxAge: METADATA_AGE_MS,
      maxWaitTimeInMs: LONGEST_FETCH_MS,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: PARTITION_FETCH_BYTES,
      allowAutoTopicCreation: false,
      partitionAssigners: [this.#assigner()],
      // A start that fails is told of, and followed by another one here.
      retry: { retries: 2, restartOnFailure: async () => false },
    });
  }

  #assigner(): PartitionAssigner {
    const { name, place } = this.#deps;
    const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;
    return ({ cluster }) => ({
      name: ASSIGNER,
      version: ASSIGNER_VERSION,
      assign: async ({ members, topics: [topic] }) => {
        const named = members.map(({ memberId: id, memberMetadata }) => ({
          id,
          name: MemberMetadata.decode(memberMetadata)?.userData.toString() ?? '',
        }));
        const placed = place(cluster.findTopicPartitionMetadata(topic).length, named);
        return named.map(({ id }) => ({
          memberId: id,
          memberAssignment: MemberAssignment.encode({
            version: ASSIGNER_VERSION,
            assignment: { [topic]: [...(placed.get(id) ?? [])] },
            userData: Buffer.alloc(0),
          }),
        }));
      },
      protocol: ({ topics }) => ({
        name: ASSIGNER,
        metadata: MemberMetadata.encode({ version: ASSIGNER_VERSION, topics, userData: Buffer.from(name) }),
      }),
    });
  }

  async #consume(consumer: Consumer, signal: AbortSignal, onWork: () => void): Promise<void> {
    const over = Promise.withResolvers<void>();
    over.promise.catch(() => {}); // it may end before anybody waits for that
    const stop = (): void => over.resolve();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (!signal.aborted) await this.#join(consumer, over, onWork);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Resolves, or rejects, when it is over. */
  async #join(consumer: Consumer, over: PromiseWithResolvers<void>, onWork: () => void): Promise<void> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    over.promise.then(end, end);
    const { options, world } = this.#deps;
    const connected = consumer.connect().then(() => consumer.subscribe({ topics: [this.#topic], fromBeginning: true }));
    await Promise.race([inTime(world.timers, MOST_REQUESTS * (options.dialTimeout + options.requestTimeout), connected), over.promise]);
    if (isOver) return;
    const { CRASH, FETCH, GROUP_JOIN } = consumer.events;
    consumer.on(CRASH, ({ payload }) => over.reject(payload.error));
    consumer.on(FETCH, onWork);
    consumer.on(GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      if (isOver) return;
      onWork();
      this.#consumer = consumer;
      this.#assigned(memberAssignment[this.#topic] ?? []);
    });
    const running = consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: async (payload) => {
        if (!isOver) this.#batch(payload);
      },
    });
    // A group that waits for somebody who does not answer is not waited for by who stops.
    await Promise.race([running.then(() => over.promise), over.promise]);
  }

  /** Before anything of them is fetched. */
  #assigned(partitions: readonly number[]): void {
    for (const partition of [...this.#own.keys()]) {
      if (partitions.includes(partition)) continue;
      this.#own.delete(partition);
      this.#paused.delete(partition);
    }
    for (const partition of partitions) {
      const reading = this.#own.get(partition);
      this.#own.set(partition, reading);
      // The client has forgotten where it was, and goes by what is committed.
      if (reading !== undefined) this.#seek(partition, { ...reading, isChecked: reading.next === 0 || reading.lastMs === undefined });
      if (reading === undefined || this.#paused.has(partition)) this.pause(partition);
    }
    this.#deps.listener.assigned(partitions);
  }

  #seek(partition: number, reading: Reading): void {
    this.#own.set(partition, reading);
    const offset = String(reading.next - (reading.isChecked ? 0 : 1));
    this.#order((consumer, topic) => consumer.seek({ topic, partition, offset }));
  }

  /** One that has just crashed takes none, and is told of as over a moment later: the next one is given what is known here when it joins. */
  #order(give: (consumer: Consumer, topic: string) => void): void {
    if (this.#consumer === undefined) return;
    try {
      give(this.#consumer, this.#topic);
    } catch (error) {
      this.#deps.log.debug('the client of the ingest topic takes no orders', { error: String(error) });
    }
  }

  #batch({ batch, isStale, isRunning, resolveOffset }: EachBatchPayload): void {
    const { partition, messages } = batch;
    const reading = this.#own.get(partition);
    if (reading === undefined || this.#paused.has(partition) || messages.length === 0 || isStale() || !isRunning()) return;
    const records: LogRecord[] = [];
    for (const { offset, timestamp, value } of messages) {
      const why = this.#follows(reading, Number(offset), Number(timestamp));
      if (why === 'known') continue;
      if (why !== 'next') {
        this.#own.set(partition, undefined);
        this.pause(partition);
        this.#give(partition, records);
        this.#deps.listener.broken(partition, why);
        return;
      }
      records.push({ kind: 'record', position: reading.next, bytes: value ?? NOTHING, timeMs: Number(timestamp) });
      reading.next++;
      reading.lastMs = Number(timestamp);
    }
    resolveOffset(messages[messages.length - 1].offset);
    if (records.length === 0) this.#deps.listener.records(partition, records);
    else this.#give(partition, records);
  }

  /** In memory that is 8-aligned: columns are read in place. */
  #give(partition: number, records: readonly LogRecord[]): void {
    if (records.length === 0) return;
    const sizeBytes = records.reduce((sum, { bytes }) => sum + align8(bytes.length), 0);
    if (this.#scratch.length < sizeBytes) this.#scratch = Buffer.allocUnsafeSlow(Math.max(sizeBytes, PARTITION_FETCH_BYTES));
    let at = 0;
    const given = records.map((record) => {
      const bytes = this.#scratch.subarray(at, at + record.bytes.length);
      record.bytes.copy(bytes);
      at += align8(bytes.length);
      return { ...record, bytes };
    });
    this.#deps.listener.records(partition, given);
  }

  /** Whether a record is the one that comes next, or the one before it, which was asked for once more. */
  #follows(reading: Reading, found: Position, foundMs: number): 'next' | 'known' | Discontinuity {
    const { next: expected, lastMs: wantedMs, isChecked } = reading;
    if (!isChecked && found === expected - 1) {
      reading.isChecked = true;
      if (wantedMs !== undefined && wantedMs !== foundMs) return { kind: 'other_record', expected, wantedMs, foundMs };
      return 'known';
    }
    // Where the record before is gone, it cannot be told whether it was the same.
    reading.isChecked = true;
    return found === expected ? 'next' : { kind: 'other_position', expected, found };
  }
}
