import type { Admin, Consumer, EachBatchPayload, Kafka, KafkaMessage, Producer } from 'kafkajs';
import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { sendLetters } from './dead-letters.ts';
import type { DeadLetter, Delivered } from './delivery.ts';
import { type Place, placeOf, type SourceRecord } from './record.ts';

export interface GroupOptions {
  readonly topics: readonly string[];
  readonly groupId: string;
  readonly startAt: 'earliest' | 'latest';
  readonly deadLetterTopic: string;
  readonly sessionTimeoutMs: number;
}

/** What is told of a consumer's work. */
export interface ConsumerListener {
  /** Why nothing is read; undefined: it is, or will be as soon as there is something. */
  waits(why: string | undefined): void;
  /** The partitions that are this consumer's from now on. */
  assigned(partitions: readonly Place[]): void;
  /** So many records of the partition follow those that were read. */
  lag(topic: string, partition: number, records: number): void;
  delivered(topic: string, delivered: Delivered): void;
  /** A partition is not read for a while: its records are refused for now. */
  paused(topic: string, partition: number, fault: Fault, ms: number): void;
  /** Kafka has deleted records that nobody of the group had read. */
  lost(topic: string, partition: number, records: number): void;
}

export interface ConsumerDeps {
  readonly client: Kafka;
  readonly world: World;
  readonly log: Logger;
  readonly deliver: (records: readonly SourceRecord[], signal: AbortSignal) => Promise<Delivered>;
  readonly listener: ConsumerListener;
}

/** Partitions of one consumer that are delivered side by side. */
const AT_ONCE = 4;
const HEARTBEATS_A_SESSION = 6;
const COMMIT_EVERY_MS = 1_000;
const [LEAST_PAUSE_MS, MOST_PAUSE_MS] = [200, 10_000];
const [LEAST_RESTART_MS, MOST_RESTART_MS] = [200, 10_000];
/** Brokers are asked to wait for records for so long; who stops waits for them too. */
const LONGEST_FETCH_MS = 500;
/** A topic that is made while the consumer runs is noticed after this. */
const METADATA_AGE_MS = 30_000;

/** Reads topics as one of a consumer group until the signal is aborted, whatever happens to the brokers. Offsets are committed once the records before them are delivered or are dead
 *  letters; what was delivered and not committed is delivered again by whoever gets the partition next. */
export async function consumeGroup(options: GroupOptions, deps: ConsumerDeps, signal: AbortSignal): Promise<void> {
  const { world, listener, log } = deps;
  for (let failures = 0; !signal.aborted; failures++) {
    const member = new Member(options, deps, signal);
    try {
      await member.run(() => {
        failures = 0;
        listener.waits(undefined);
      });
    } catch (error) {
      if (signal.aborted) break;
      const message = reasonOf(error, options);
      listener.waits(message);
      log.warn('Kafka is not read, will be tried again', { group: options.groupId, topics: options.topics, error: message });
      const ms = Math.min(MOST_RESTART_MS, LEAST_RESTART_MS * 2 ** Math.min(failures, 10));
      await world.timers.sleep(ms * (0.5 + world.random.next() / 2), signal).catch(() => {});
    } finally {
      await member.close();
    }
  }
}

function reasonOf(error: unknown, { topics }: GroupOptions): string {
  const { message, type } = error as Error & { readonly type?: string };
  return type === 'UNKNOWN_TOPIC_OR_PARTITION' ? `there is no topic ${topics.join(', or no ')}` : message;
}

/** One start of a consumer. */
class Member {
  readonly #options: GroupOptions;
  readonly #deps: ConsumerDeps;
  readonly #signal: AbortSignal;
  readonly #consumer: Consumer;
  readonly #producer: Producer;
  readonly #admin: Admin;
  /** Of a partition, the offset after the last record that was delivered here. */
  readonly #next = new Map<string, bigint>();
  readonly #failures = new Map<string, number>();
  #onAbort = (): void => {};
  /** Once where reading begins is settled for all partitions that are this one's. */
  #placed: Promise<void> = Promise.resolve();

  constructor(options: GroupOptions, deps: ConsumerDeps, signal: AbortSignal) {
    this.#options = options;
    this.#deps = deps;
    this.#signal = signal;
    const { groupId, sessionTimeoutMs: sessionTimeout } = options;
    this.#consumer = deps.client.consumer({
      groupId,
      sessionTimeout,
      rebalanceTimeout: 2 * sessionTimeout,
      heartbeatInterval: Math.floor(sessionTimeout / HEARTBEATS_A_SESSION),
      metadataMaxAge: METADATA_AGE_MS,
      maxWaitTimeInMs: LONGEST_FETCH_MS,
      allowAutoTopicCreation: false,
      // A start that fails is told of, and followed by another one here.
      retry: { restartOnFailure: async () => false },
    });
    this.#producer = deps.client.producer({ allowAutoTopicCreation: false });
    this.#admin = deps.client.admin();
  }

  /** Resolves when the signal is aborted; rejects with what ends it before. `onWork` is called when brokers answer. */
  async run(onWork: () => void): Promise<void> {
    const { topics } = this.#options;
    await this.#admin.connect();
    await this.#makeDeadLetterTopic();
    await this.#producer.connect();
    await this.#consumer.connect();
    // Where the wanted offset is gone, the client goes on at this end by itself: so nothing is passed over.
    await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true });
    const over = Promise.withResolvers<void>();
    over.promise.catch(() => {}); // it may end before anybody waits for that
    const { CRASH, FETCH, GROUP_JOIN } = this.#consumer.events;
    this.#consumer.on(CRASH, ({ payload }) => over.reject(payload.error));
    this.#consumer.on(FETCH, onWork);
    this.#consumer.on(GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      const partitions = Object.entries(memberAssignment).flatMap(([topic, own]) => own.map((partition) => ({ topic, partition })));
      this.#next.clear();
      this.#deps.listener.assigned(partitions);
      this.#placed = this.#place(memberAssignment);
      this.#placed.catch(over.reject);
    });
    this.#onAbort = () => over.resolve();
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal.aborted) return;
    await this.#consumer.run({
      eachBatchAutoResolve: false,
      autoCommitInterval: COMMIT_EVERY_MS,
      partitionsConsumedConcurrently: AT_ONCE,
      eachBatch: (payload) => this.#batch(payload),
    });
    await over.promise;
  }

  /** Leaves the group; what is committed stays so. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (const client of [this.#consumer, this.#producer, this.#admin]) await client.disconnect().catch(() => {});
  }

  async #makeDeadLetterTopic(): Promise<void> {
    const { deadLetterTopic: topic } = this.#options;
    const { log } = this.#deps;
    try {
      await this.#admin.createTopics({ topics: [{ topic, numPartitions: -1, replicationFactor: -1 }] });
    } catch (error) {
      // Whether it is there shows when it is needed.
      log.warn('the topic of dead letters could not be made', { topic, error: (error as Error).message });
    }
  }

  /** Where each partition that is this one's is read from; tells of records that nobody can read any more. */
  async #place(assignment: Readonly<Record<string, number[]>>): Promise<void> {
    const { groupId, startAt } = this.#options;
    for (const [topic, partitions] of Object.entries(assignment)) {
      if (partitions.length === 0) continue;
      const [{ partitions: committed }] = await this.#admin.fetchOffsets({ groupId, topics: [topic] });
      const ends = await this.#admin.fetchTopicOffsets(topic);
      for (const partition of partitions) {
        const end = ends.find((one) => one.partition === partition);
        const offset = BigInt(committed.find((one) => one.partition === partition)?.offset ?? -1);
        if (end === undefined) continue;
        if (offset < 0n) {
          if (startAt === 'latest') this.#consumer.seek({ topic, partition, offset: end.high });
        } else this.#next.set(placeOf({ topic, partition }), offset);
        this.#findLost(topic, partition, BigInt(end.low));
      }
    }
  }

  /** `low`: the first record of the partition that is still there. */
  #findLost(topic: string, partition: number, low: bigint): void {
    const place = placeOf({ topic, partition });
    const next = this.#next.get(place);
    if (next === undefined || low <= next) return;
    this.#next.set(place, low);
    this.#deps.listener.lost(topic, partition, Number(low - next));
  }

  async #batch(payload: EachBatchPayload): Promise<void> {
    const { batch, isRunning, isStale } = payload;
    const { topic, partition, messages } = batch;
    await this.#placed;
    if (!isRunning() || isStale() || messages.length === 0) return;
    const place = placeOf({ topic, partition });
    const next = this.#next.get(place);
    if (next !== undefined && BigInt(messages[0].offset) > next) {
      // Compaction and transactions leave gaps too.
      const ends = await this.#admin.fetchTopicOffsets(topic);
      this.#findLost(topic, partition, BigInt(ends.find((one) => one.partition === partition)?.low ?? 0));
    }
    try {
      await this.#whileBeating(payload, async (signal) => {
        const delivered = await this.#deps.deliver(
          messages.map((message) => recordOf(topic, partition, message)),
          signal,
        );
        await this.#bury(delivered.dead);
        this.#deps.listener.delivered(topic, delivered);
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#signal.throwIfAborted();
      this.#pause(payload, error);
      return;
    }
    this.#failures.delete(place);
    payload.resolveOffset(messages[messages.length - 1].offset);
    this.#next.set(place, BigInt(batch.lastOffset()) + 1n);
    this.#deps.listener.lag(topic, partition, Number(batch.offsetLag()));
  }

  /** The group hears of this member while `work` goes on, which ends as soon as the partitions are given to others. */
  async #whileBeating({ heartbeat }: EachBatchPayload, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { timers } = this.#deps.world;
    const ended = new AbortController();
    const failed = new AbortController();
    const beat = async (): Promise<void> => {
      const everyMs = this.#options.sessionTimeoutMs / HEARTBEATS_A_SESSION;
      for (;;) {
        await timers.sleep(everyMs, ended.signal);
        await heartbeat();
      }
    };
    const beating = beat().catch((error) => {
      if (!ended.signal.aborted) failed.abort(error);
    });
    try {
      await work(AbortSignal.any([this.#signal, failed.signal]));
      failed.signal.throwIfAborted();
    } catch (error) {
      throw failed.signal.aborted ? failed.signal.reason : error;
    } finally {
      ended.abort();
      await beating;
    }
  }

  #pause({ batch: { topic, partition }, pause }: EachBatchPayload, fault: Fault): void {
    const { world, listener } = this.#deps;
    const place = placeOf({ topic, partition });
    const failures = this.#failures.get(place) ?? 0;
    this.#failures.set(place, failures + 1);
    const ms = Math.max((fault.retryAfterS ?? 0) * 1_000, Math.min(MOST_PAUSE_MS, LEAST_PAUSE_MS * 2 ** Math.min(failures, 10)));
    const resume = pause();
    world.timers.after(ms * (0.75 + world.random.next() / 2), resume);
    listener.paused(topic, partition, fault, ms);
  }

  /** Resolves once they are in the topic of dead letters. Throws Fault unavailable. */
  async #bury(dead: readonly DeadLetter[]): Promise<void> {
    const { deadLetterTopic: topic } = this.#options;
    try {
      // Not compressed: whoever looks after them may read them with any tool.
      await sendLetters(dead, (messages) => this.#producer.send({ topic, acks: -1, messages }));
    } catch (error) {
      throw new Fault('unavailable', `dead letters cannot be written to ${topic}: ${asFault(error).message}`, { cause: error });
    }
  }
}

function recordOf(topic: string, partition: number, { offset, timestamp, key, value, headers = {} }: KafkaMessage): SourceRecord {
  const byName = new Map<string, Buffer>();
  for (const [name, given] of Object.entries(headers)) {
    const last = Array.isArray(given) ? given.at(-1) : given;
    if (last !== undefined) byName.set(name, Buffer.from(last));
  }
  return { topic, partition, offset: Number(offset), timestampMs: Number(timestamp), key, value, headers: byName };
}
