import kafkajs, { type Producer } from 'kafkajs';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { pushRecordHeader } from '../batch/push-record.ts';
import { type ConnectKafka, kafkaClient } from '../kafka/client.ts';
import { UnsentError } from '../kafka/failures.ts';
import type { KafkaOptions } from '../kafka/options.ts';
import { IngestTopic } from '../kafka/topic.ts';
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

/** The ingest topic as those see it who write to it: a log for each partition. */
export class KafkaLog {
  readonly #deps: KafkaLogDeps;
  readonly #producer: Producer;
  readonly #topic: IngestTopic;
  readonly #writers: PartitionWriter[] = [];
  readonly #courier: Courier;
  #leaders: ReadonlyMap<number, number> = new Map();

  constructor(deps: KafkaLogDeps) {
    const { options, world, instruments, connect = kafkaClient } = deps;
    // Tries of its own would go on behind an append that was answered.
    const client = connect(options, instruments.log, 0);
    this.#deps = deps;
    this.#producer = client.producer({ allowAutoTopicCreation: false });
    this.#courier = new Courier({
      deliver: (parcels) => this.#deliver(parcels),
      brokerOf: (partition) => this.#leaders.get(partition) ?? -1,
      timers: world.timers,
    });
    this.#topic = new IngestTopic({ client, options, world, log: instruments.log, mayCreate: false });
  }

  /** Keeps to the topic until the signal is aborted: connects, and notices when it has more partitions. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, instruments } = this.#deps;
    try {
      await this.#topic.ready(signal);
      for (;;) {
        await this.#look().catch((error) => instruments.log.debug('the ingest topic cannot be looked at', { error: String(error) }));
        await world.timers.sleep(this.#writers.length === 0 || this.broken > 0 ? LOOK_SOON_MS : LOOK_MS, signal);
      }
    } finally {
      await Promise.all(this.#writers.map((writer) => writer.close()));
      await this.#topic.close();
      await this.#producer.disconnect().catch(() => {});
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
    this.#leaders = await this.#topic.leaders();
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

  async #deliver(parcels: readonly Parcel[]): Promise<Position[]> {
    const { options } = this.#deps;
    try {
      await this.#producer.connect();
    } catch (error) {
      throw new UnsentError((error as Error).message, { cause: error });
    }
    const written = await this.#producer.send({
      topic: options.topic,
      acks: -1,
      timeout: options.writeTimeout,
      compression: kafkajs.CompressionTypes.ZSTD,
      messages: parcels.flatMap(({ partition, records }) => records.map((value) => ({ partition, value: value as Buffer }))),
    });
    const firsts = new Map(written.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
    return parcels.map(({ partition }) => {
      const first = firsts.get(partition);
      if (first === undefined) throw new Error(`the answer does not say what became of partition ${partition}`);
      return first;
    });
  }
}
