import kafkajs, { type Producer } from 'kafkajs';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { pushRecordHeader } from '../batch/push-record.ts';
import { type ConnectKafka, kafkaClient } from '../kafka/client.ts';
import { UnsentError } from '../kafka/failures.ts';
import type { KafkaOptions } from '../kafka/options.ts';
import { IngestTopic } from '../kafka/topic.ts';
import type { Position } from './ingest-log.ts';
import { PartitionWriter } from './partition-writer.ts';

export interface KafkaLogDeps {
  readonly options: KafkaOptions;
  readonly world: World;
  readonly instruments: Instruments;
  readonly connect?: ConnectKafka | undefined;
}

/** How often it is looked whether the topic has more partitions. */
const LOOK_MS = 30_000;

/** The ingest topic as those see it who write to it: a log for each partition. */
export class KafkaLog {
  readonly #deps: KafkaLogDeps;
  readonly #producer: Producer;
  readonly #topic: IngestTopic;
  readonly #writers: PartitionWriter[] = [];

  constructor(deps: KafkaLogDeps) {
    const { options, world, instruments, connect = kafkaClient } = deps;
    // Tries of its own would go on behind an append that was answered.
    const client = connect(options, instruments.log, 0);
    this.#deps = deps;
    this.#producer = client.producer({ allowAutoTopicCreation: false });
    this.#topic = new IngestTopic({ client, options, world, log: instruments.log, mayCreate: false });
  }

  /** Keeps to the topic until the signal is aborted: connects, and notices when it has more partitions. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, instruments } = this.#deps;
    try {
      this.#grow(await this.#topic.ready(signal));
      while (!signal.aborted) {
        await world.timers.sleep(LOOK_MS, signal);
        await this.#topic.partitions().then(
          (count) => this.#grow(count),
          (error) => instruments.log.debug('the ingest topic cannot be looked at', { error: String(error) }),
        );
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

  #grow(partitions: number): void {
    const { options, world, instruments } = this.#deps;
    while (this.#writers.length < partitions) {
      const partition = this.#writers.length;
      const writer = new PartitionWriter({
        name: `${options.topic}/${partition}`,
        send: (records) => this.#send(partition, records),
        world,
        instruments,
        maxRecordBytes: options.producerMaxRecordSizeBytes,
        timeoutMs: options.writeTimeout,
        probe: pushRecordHeader(''),
      });
      this.#writers.push(writer);
    }
  }

  async #send(partition: number, records: readonly Uint8Array[]): Promise<Position> {
    const { options } = this.#deps;
    try {
      await this.#producer.connect();
    } catch (error) {
      throw new UnsentError((error as Error).message, { cause: error });
    }
    const [written] = await this.#producer.send({
      topic: options.topic,
      acks: -1,
      timeout: options.writeTimeout,
      compression: kafkajs.CompressionTypes.ZSTD,
      messages: records.map((value) => ({ partition, value: value as Buffer })),
    });
    return Number(written.baseOffset);
  }
}
