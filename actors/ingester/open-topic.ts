import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { type ConnectKafka, kafkaClient } from '../../storage/kafka/client.ts';
import { causeOf } from '../../storage/kafka/failures.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import { IngestTopic, type PartitionEnds } from '../../storage/kafka/topic.ts';
import { currentGeneration, latestGeneration, nextGeneration, partitionLog, type TopicGeneration } from '../../storage/log/generation.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import { type GroupDeps, KafkaGroup } from '../../storage/log/kafka-group.ts';
import { giveUp } from '../../storage/log/skips.ts';
import type { StartContext } from '../kernel/define.ts';
import type { LogPlace, PartitionStatus } from '../protocol/ingest.ts';
import type { OwnedPartitionDeps } from './owned-partition.ts';
import { retrying } from './readable-chain.ts';

export interface OpenTopicDeps {
  readonly kafka: KafkaOptions;
  readonly blobs: BlobStore;
  readonly context: StartContext;
  readonly connect?: ConnectKafka | undefined;
}

const LOOK_TIMEOUT_MS = 5_000;

/** The ingest topic at one shard: its generation, how far it reaches, and the shard's place in the group of those who read it. */
export class OpenTopic {
  readonly #deps: OpenTopicDeps;
  readonly #client: ReturnType<ConnectKafka>;
  readonly #topic: IngestTopic;
  #generation: TopicGeneration | undefined;
  #partitions = 0;
  #group: KafkaGroup | undefined;
  readonly #shown = new Set<number>();

  constructor(deps: OpenTopicDeps) {
    const { kafka, context, connect = kafkaClient } = deps;
    const { world, instruments } = context;
    this.#deps = deps;
    this.#client = connect(kafka, instruments.log, 1);
    // Who is asked how things are and does not answer is not waited for as long as who is asked for records.
    const asked = connect({ ...kafka, requestTimeout: Math.min(kafka.requestTimeout, LOOK_TIMEOUT_MS) }, instruments.log, 1);
    this.#topic = new IngestTopic({ client: asked, options: kafka, world, log: instruments.log, mayCreate: true });
  }

  /** 0: not known yet. */
  get partitions(): number {
    return this.#partitions;
  }

  get isKnown(): boolean {
    return this.#generation !== undefined;
  }

  get waitsFor(): string {
    return this.#topic.waitsFor;
  }

  /** Resolves once it is there, and it is known which it is. */
  async open(signal: AbortSignal): Promise<void> {
    const { blobs, kafka, context } = this.#deps;
    const { world, instruments } = context;
    this.#partitions = await this.#topic.ready(signal);
    this.#generation = await retrying(() => currentGeneration(blobs, kafka.topic, world), context, signal);
    instruments.log.info('reads the ingest topic', {
      topic: kafka.topic,
      partitions: this.#partitions,
      generation: this.#generation.number,
      log: this.#generation.id,
    });
  }

  /** Takes part in the group until the signal is aborted. */
  async read(own: Pick<GroupDeps, 'name' | 'place' | 'listener'>, signal: AbortSignal): Promise<void> {
    const { kafka, context } = this.#deps;
    const { world, instruments } = context;
    this.#group = new KafkaGroup({ ...own, client: this.#client, options: kafka, world, log: instruments.log });
    await this.#group.run(signal);
  }

  /** By partition. Rejects while Kafka is away. */
  async ends(): Promise<Map<number, PartitionEnds>> {
    const ends = await this.#topic.ends();
    this.#partitions = Math.max(this.#partitions, ends.size);
    return ends;
  }

  /** By log. Throws Fault unavailable while Kafka is away. */
  async placesOfEnds(): Promise<LogPlace[]> {
    const ends = await this.ends().catch((error) => {
      throw new Fault('unavailable', `Kafka does not say where partitions end: ${causeOf(error).message}`, { retryAfterS: 1 });
    });
    return [...ends].map(([partition, { high }]) => ({ log: partitionLog(this.#generation!, partition), position: high }));
  }

  get partitionDeps(): Pick<OwnedPartitionDeps, 'topic' | 'generation' | 'ends' | 'start' | 'commit'> {
    const group = this.#group!;
    return {
      topic: this.#deps.kafka.topic,
      generation: this.#generation!,
      ends: async (partition) => {
        const end = (await this.ends()).get(partition);
        if (end === undefined) throw new Fault('unavailable', `there is no partition ${partition}`);
        return end;
      },
      start: (partition, place) => group.start(partition, place),
      commit: (partition, position) => group.commit(partition, position),
    };
  }

  /** Whether it is a later one than was in use; then it is in use. */
  renew(generation: TopicGeneration): boolean {
    if (this.#generation !== undefined && generation.number <= this.#generation.number) return false;
    this.#generation = generation;
    this.#deps.context.instruments.log.warn('the ingest topic is read as another log', { topic: this.#deps.kafka.topic, ...generation });
    return true;
  }

  /** One that storage knows of by now. Throws what the store throws. */
  async laterGeneration(): Promise<TopicGeneration | undefined> {
    const { blobs, kafka } = this.#deps;
    const latest = await latestGeneration(blobs, kafka.topic);
    return latest !== undefined && latest.number > (this.#generation?.number ?? -1) ? latest : undefined;
  }

  /** Made here, unless another one was faster; not in use yet. Throws what the store throws. */
  nextGeneration(): Promise<TopicGeneration> {
    const { blobs, kafka, context } = this.#deps;
    return nextGeneration(blobs, kafka.topic, this.#generation, context.world);
  }

  /** Throws what the store throws, and Fault exists. */
  giveUp(partition: number, from: Position, to: Position): Promise<void> {
    const { blobs, kafka } = this.#deps;
    return giveUp(blobs, kafka.topic, { log: partitionLog(this.#generation!, partition), from, to });
  }

  setPaused(partition: number, isPaused: boolean): void {
    if (isPaused) this.#group?.pause(partition);
    else this.#group?.resume(partition);
  }

  /** In metrics. */
  show(partitions: readonly PartitionStatus[]): void {
    const { instruments, world } = this.#deps.context;
    const lag = instruments.gauge('millrace_kafka_lag_records', 'Records of a partition that are behind what its owner has read.', [
      'partition',
    ]);
    const stopped = instruments.gauge('millrace_kafka_stopped_partitions', 'Partitions that cannot be read on until somebody says how.');
    stopped.set(partitions.filter(({ state }) => state === 'stopped').length);
    const age = instruments.gauge('millrace_kafka_watermark_age_seconds', 'Time up to which a partition is not known to be read.', [
      'partition',
    ]);
    const gone = new Set(this.#shown);
    for (const { partition, lag: records, watermarkMs } of partitions) {
      const labels = { partition: String(partition) };
      lag.set(records, labels);
      if (watermarkMs > 0) age.set(Math.max(0, world.clock.nowMs() - watermarkMs) / 1_000, labels);
      this.#shown.add(partition);
      gone.delete(partition);
    }
    for (const partition of gone) {
      for (const gauge of [lag, age]) gauge.remove({ partition: String(partition) });
      this.#shown.delete(partition);
    }
  }

  async close(): Promise<void> {
    await this.#topic.close();
  }
}
