import type { Instruments } from '../../ops/base/instruments.ts';
import { kafkaClient } from '../../storage/kafka/client.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import { type Asker, defineActor, type Handlers, type StartContext } from '../kernel/define.ts';
import { type SourceAsk, type SourceReply, type SourceStatus, sourceProtocol } from '../protocol/source.ts';
import { type ConsumerListener, consumeGroup } from './consumer.ts';
import { Delivery } from './delivery.ts';
import { mapRecords } from './mapping.ts';
import type { KafkaSourceOptions } from './options.ts';
import { type Place, placeOf } from './record.ts';

export interface KafkaSourceDeps {
  readonly kafka: KafkaOptions;
  readonly sources: readonly KafkaSourceOptions[];
  readonly asker: Asker;
  /** See DeliveryDeps. */
  readonly distributors: readonly string[];
}

/** Reads topics that applications write, as one of each source's consumer group. */
export const kafkaSource = defineActor<SourceAsk, SourceReply, KafkaSourceDeps>({
  name: sourceProtocol.component,
  mailbox: { messages: 16, bytes: 1_024, concurrency: 16, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 200, max: 10_000 } },
  async start(deps, context) {
    const sources = deps.sources.map((source) => new RunningSource(source, deps, context));
    const status = (): SourceStatus[] => sources.map((source) => source.status);
    const handlers: Handlers<SourceAsk, SourceReply> = { status: async () => ({ sources: status() }) };
    return {
      handlers,
      observe: () => ({ sources: status() }),
      stop: async () => {
        await Promise.all(sources.map(({ ended }) => ended));
      },
    };
  },
});

class RunningSource {
  readonly #source: KafkaSourceOptions;
  #waitsFor = 'connects to Kafka';
  readonly #lags = new Map<string, number>();
  /** Those that are this process's. */
  #partitions: readonly Place[] = [];
  #taken = 0;
  #deadLetters = 0;
  /** Once the incarnation has ended, and the group was left. */
  readonly ended: Promise<void>;

  constructor(
    source: KafkaSourceOptions,
    { kafka, asker, distributors }: KafkaSourceDeps,
    { world, instruments, incarnation }: StartContext,
  ) {
    this.#source = source;
    const { topics, groupId, startAt, deadLetterTopic, sessionTimeout } = source;
    const delivery = new Delivery({ asker, world, distributors, map: mapRecords(source) });
    const { log } = instruments;
    this.ended = consumeGroup(
      { topics, groupId, startAt, deadLetterTopic: deadLetterTopic || `${groupId}.dead-letters`, sessionTimeoutMs: sessionTimeout },
      {
        client: kafkaClient(kafka, log),
        world,
        log,
        deliver: (records, signal) => delivery.deliver(records, signal),
        listener: this.#listener(instruments),
      },
      incarnation.signal,
    ).catch((error) => incarnation.fail(error));
  }

  get status(): SourceStatus {
    return {
      topics: this.#source.topics,
      waitsFor: this.#waitsFor,
      partitions: this.#partitions.length,
      lagRecords: [...this.#lags.values()].reduce((sum, lag) => sum + lag, 0),
      taken: this.#taken,
      deadLetters: this.#deadLetters,
    };
  }

  #listener(instruments: Instruments): ConsumerListener {
    const { log } = instruments;
    const group = this.#source.groupId;
    const records = instruments.counter('millrace_kafka_source_records_total', 'Records of topics, by what became of them.', [
      'topic',
      'outcome',
    ]);
    const lags = instruments.gauge('millrace_kafka_source_lag_records', 'Records that are behind those that were read.', [
      'topic',
      'partition',
    ]);
    const pauses = instruments.counter('millrace_kafka_source_pauses_total', 'Times that a partition was not read for a while.', ['topic']);
    return {
      waits: (why) => {
        this.#waitsFor = why ?? '';
      },
      assigned: (partitions) => {
        const own = new Set(partitions.map(placeOf));
        log.info('reads partitions', { group, partitions: [...own] });
        for (const before of this.#partitions) {
          if (own.has(placeOf(before))) continue;
          this.#lags.delete(placeOf(before));
          lags.remove({ topic: before.topic, partition: String(before.partition) });
        }
        this.#partitions = partitions;
      },
      lag: (topic, partition, count) => {
        this.#lags.set(placeOf({ topic, partition }), count);
        lags.set(count, { topic, partition: String(partition) });
      },
      delivered: (topic, { taken, dead }) => {
        this.#taken += taken;
        this.#deadLetters += dead.length;
        if (taken > 0) records.add(taken, { topic, outcome: 'taken' });
        if (dead.length === 0) return;
        records.add(dead.length, { topic, outcome: 'dead_letter' });
        log.warn('records are dead letters', { group, topic, records: dead.length, first: dead[0].why });
      },
      paused: (topic, partition, fault, ms) => {
        pauses.add(1, { topic });
        log.info('a partition is not read for a while', { group, topic, partition, ms, error: fault.message });
      },
      lost: (topic, partition, count) => {
        records.add(count, { topic, outcome: 'lost' });
        log.error('Kafka has deleted records before anybody of the group had read them: the topic keeps them for too short a time', {
          group,
          topic,
          partition,
          records: count,
        });
      },
    };
  }
}
