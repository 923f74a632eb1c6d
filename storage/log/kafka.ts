import kafkajs, { type Kafka, type Producer } from 'kafkajs';
import type { Instruments } from '../../ops/base/instruments.ts';
import { inTime, unlessAborted, within } from '../../ops/base/within.ts';
import type { World } from '../../ops/base/world.ts';
import { pushRecordHeader } from '../batch/push-record.ts';
import { type ConnectKafka, kafkaClient } from '../kafka/client.ts';
import { UnsentError } from '../kafka/failures.ts';
import type { KafkaOptions } from '../kafka/options.ts';
import { IngestTopic, sameLeaders } from '../kafka/topic.ts';
import { Courier, type Parcel } from './courier.ts';
import type { Position } from './ingest-log.ts';
import { PartitionWriter } from './partition-writer.ts';

export interface KafkaLogDeps {
  readonly options: KafkaOptions;
  readonly world: World;
  readonly instruments: Instruments;
  readonly connect?: ConnectKafka | undefined;
}

/** How often it is looked whether the topic has more partitions, and at which brokers they are. */
const LOOK_MS = 10_000;
const LOOK_SOON_MS = 500;
/** While partitions take nothing, it is tried with a new client every so often. */
const ANEW_MS = 5_000;
/** An answer that says that copies did not come in time comes so much later than that time. */
const ANSWER_MS = 1_000;
/** A write may have to find out first who leads. The client has limits of its own, but none while it signs in. */
const MOST_REQUESTS = 2;
/** A broker that does not answer holds nobody up for longer. */
const CLOSE_MS = 1_000;

/** The ingest topic as those see it who write to it: a log for each partition. */
export class KafkaLog {
  readonly #deps: KafkaLogDeps;
  readonly #client: Kafka;
  #producer: Producer | undefined;
  #connectedMs = 0;
  readonly #topic: IngestTopic;
  readonly #writers: PartitionWriter[] = [];
  readonly #courier: Courier;
  #leaders: ReadonlyMap<number, number> = new Map();
  #isClosed = false;

  constructor(deps: KafkaLogDeps) {
    const { options, world, instruments, connect = kafkaClient } = deps;
    // Tries of its own would go on behind an append that was answered.
    this.#client = connect(
      { ...options, requestTimeout: Math.min(options.requestTimeout, options.writeTimeout + ANSWER_MS) },
      instruments.log,
      0,
    );
    this.#deps = deps;
    this.#courier = new Courier({
      deliver: (parcels, timeoutMs) => this.#deliver(parcels, timeoutMs),
      timeoutMs: options.writeTimeout,
      brokerOf: (partition) => this.#leaders.get(partition) ?? -1,
      timers: world.timers,
    });
    this.#topic = new IngestTopic({ client: this.#client, options, world, log: instruments.log, mayCreate: false });
  }

  /** Keeps to the topic until the signal is aborted: connects, and notices when it has more partitions. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, instruments } = this.#deps;
    try {
      await this.#topic.ready(signal);
      for (;;) {
        await unlessAborted(this.#look(), signal).catch((error) =>
          instruments.log.debug('the ingest topic cannot be looked at', { error: String(error) }),
        );
        await world.timers.sleep(this.#writers.length === 0 || this.broken > 0 ? LOOK_SOON_MS : LOOK_MS, signal);
      }
    } finally {
      await Promise.all(this.#writers.map((writer) => writer.close()));
      this.#isClosed = true;
      await Promise.all([
        this.#topic.close(),
        within(world.timers, CLOSE_MS, this.#producer?.disconnect().catch(() => {}) ?? Promise.resolve()),
      ]);
    }
  }

  /** Of each partition; none before the topic is there. */
  get writers(): readonly PartitionWriter[] {
    return this.#writers;
  }

  /** Why there are none. */
  get waitsFor(): string {
    return this.#topic.waitsFor;
  }

  /** Partitions that take nothing now. */
  get broken(): number {
    return this.#writers.filter(({ broken }) => broken !== undefined).length;
  }

  /** Throws what the client throws. */
  async #look(): Promise<void> {
    const { options, world, instruments } = this.#deps;
    const sinceMs = world.clock.monotonicMs() - this.#connectedMs;
    const isDue = this.broken > 0 && sinceMs > ANEW_MS;
    const leaders = await this.#topic.leaders().catch(async (error) => {
      // A partition without a leader is enough for that, and others may have moved.
      if (isDue) await this.#connect();
      throw error;
    });
    if (isDue || !sameLeaders(leaders, this.#leaders)) await this.#connect();
    this.#leaders = leaders;
    for (const writer of this.#writers.splice(leaders.size)) void writer.close();
    while (this.#writers.length < this.#leaders.size) {
      const partition = this.#writers.length;
      const writer = new PartitionWriter({
        name: `${options.topic}/${partition}`,
        send: (records, alone) => this.#courier.send(partition, records, alone),
        world,
        instruments,
        maxRecordBytes: options.producerMaxRecordSizeBytes,
        timeoutMs: options.writeTimeout,
        probe: pushRecordHeader(''),
      });
      this.#writers.push(writer);
    }
  }

  /** With a producer that knows nothing yet: one before it writes for five minutes to whom it knows, who may be out of reach, and replaced long ago; of what is new since it knows nothing; and one that reached
   *  a broker which did not answer stays so. */
  async #connect(): Promise<void> {
    const { options, world } = this.#deps;
    const { timers, clock } = world;
    const next = this.#client.producer({ allowAutoTopicCreation: false });
    try {
      await inTime(timers, options.dialTimeout + options.requestTimeout, next.connect());
    } catch (error) {
      void next.disconnect().catch(() => {});
      throw error;
    }
    const before = this.#isClosed ? next : this.#producer;
    if (!this.#isClosed) this.#producer = next;
    this.#connectedMs = clock.monotonicMs();
    void before?.disconnect().catch(() => {}); // once what it has sent is answered
  }

  async #deliver(parcels: readonly Parcel[], timeout: number): Promise<(Position | undefined)[]> {
    const { options } = this.#deps;
    const producer = this.#producer;
    if (producer === undefined) throw new UnsentError('there is no connection yet');
    try {
      await producer.connect();
    } catch (error) {
      throw new UnsentError((error as Error).message, { cause: error });
    }
    if (this.#isClosed || producer !== this.#producer) throw new UnsentError('the client was replaced');
    const sent = producer.send({
      topic: options.topic,
      acks: -1,
      timeout,
      compression: kafkajs.CompressionTypes.ZSTD,
      messages: parcels.flatMap(({ partition, records }) => records.map((value) => ({ partition, value: value as Buffer }))),
    });
    const { dialTimeout, requestTimeout } = options;
    const written = await inTime(this.#deps.world.timers, dialTimeout + MOST_REQUESTS * requestTimeout, sent);
    const firsts = new Map(written.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
    return parcels.map(({ partition }) => firsts.get(partition));
  }
}
