import kafkajs, { type Admin, type Kafka, type PartitionMetadata } from 'kafkajs';
import { Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import { inTime, unlessAborted, within } from '../../ops/base/within.ts';
import type { World } from '../../ops/base/world.ts';
import { causeOf, isAnswer, isTopicMissing } from './failures.ts';
import type { KafkaOptions } from './options.ts';

/** Records [low, high) of a partition are there. */
export interface PartitionEnds {
  readonly low: number;
  readonly high: number;
}

export interface TopicDeps {
  readonly client: Kafka;
  readonly options: KafkaOptions;
  readonly world: World;
  readonly log: Logger;
  /** Whether to make the topic if it is not there. */
  readonly mayCreate: boolean;
}

const LOOK_AGAIN_MS = 1_000;
/** A broker that does not answer holds nobody up for longer. */
const CLOSE_MS = 1_000;
/** Of a batch of records, beside the records: a group of them, and what little compression may add. */
const BATCH_ROOM_BYTES = 1024 * 1024;
/** More copies than one are no use if one of them is enough for an acknowledgement. */
const LEAST_IN_SYNC = 2;

/** The topic that is the ingest log: made, checked, and asked how far it reaches. */
export class IngestTopic {
  readonly name: string;
  readonly #deps: TopicDeps;
  #admin: Admin;
  #isConnected = false;
  #leaders: ReadonlyMap<number, number> = new Map();
  /** Why it is not used; '' if nothing is known against it. */
  #waitsFor = 'connects to Kafka';
  #isClosed = false;

  constructor(deps: TopicDeps) {
    this.#deps = deps;
    this.name = deps.options.topic;
    this.#admin = deps.client.admin();
  }

  get waitsFor(): string {
    return this.#waitsFor;
  }

  /** Resolves with the number of partitions once the topic is there and is as it has to be, however long that takes. */
  async ready(signal: AbortSignal): Promise<number> {
    const { world, log, options } = this.#deps;
    for (;;) {
      signal.throwIfAborted();
      try {
        const partitions = await unlessAborted(this.#look(), signal);
        this.#waitsFor = '';
        return partitions;
      } catch (error) {
        signal.throwIfAborted();
        const why = isTopicMissing(error)
          ? `there is no topic ${this.name} yet: ingesters make it`
          : error instanceof Fault
            ? error.message
            : `Kafka at ${options.brokers.join(', ')}: ${causeOf(error).message}`;
        if (why !== this.#waitsFor) log.warn('the ingest topic cannot be used, will be looked at again', { topic: this.name, error: why });
        this.#waitsFor = why;
      }
      await world.timers.sleep(LOOK_AGAIN_MS, signal);
    }
  }

  /** One that reached a broker which did not answer stays so, and knows for five minutes what it knew once: whatever fails, unless a broker has said so, what is asked next is asked by another one. */
  async #asking<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#admin;
    const { world, options } = this.#deps;
    const asked = async (): Promise<T> => {
      if (!this.#isConnected) await admin.connect();
      if (this.#admin === admin) this.#isConnected = true;
      return work(admin);
    };
    try {
      // It has limits of its own, and waits for ever where a broker stands still while it connects.
      return await inTime(world.timers, options.dialTimeout + options.requestTimeout, asked());
    } catch (error) {
      if (!isAnswer(error)) this.#forget(admin);
      throw error;
    }
  }

  #forget(admin: Admin): void {
    if (this.#admin !== admin || this.#isClosed) return;
    this.#admin = this.#deps.client.admin();
    this.#isConnected = false;
    void admin.disconnect().catch(() => {}); // once what it was asked is answered
  }

  /** How many partitions there are. Throws what the client throws. */
  async partitions(): Promise<number> {
    return (await this.leaders()).size;
  }

  /** The broker of each partition that takes what is written to it. Throws what the client throws. */
  async leaders(): Promise<Map<number, number>> {
    return new Map((await this.#placed()).map(({ partitionId, leader }) => [partitionId, leader]));
  }

  async #placed(): Promise<PartitionMetadata[]> {
    const { topics } = await this.#asking((admin) => admin.fetchTopicMetadata({ topics: [this.name] }));
    return topics[0].partitions;
  }

  /** By partition. Throws what the client throws. */
  async ends(): Promise<Map<number, PartitionEnds>> {
    const leaders = await this.leaders();
    // Of partitions that are new since it asked first, or elsewhere, the client would hear nothing.
    if (this.#leaders.size > 0 && !sameLeaders(leaders, this.#leaders)) this.#forget(this.#admin);
    this.#leaders = leaders;
    const ends = await this.#asking((admin) => admin.fetchTopicOffsets(this.name));
    return new Map(ends.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
  }

  /** Nobody asks any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await within(
      this.#deps.world.timers,
      CLOSE_MS,
      this.#admin.disconnect().catch(() => {}),
    );
  }

  async #look(): Promise<number> {
    try {
      const partitions = await this.partitions();
      await this.#check();
      return partitions;
    } catch (error) {
      const { mayCreate, options } = this.#deps;
      if (!isTopicMissing(error) || !mayCreate) throw error;
      if (!options.autoCreateTopicEnabled)
        throw new Fault('unavailable', `there is no topic ${this.name}, and -kafka.auto-create-topic-enabled=false`);
      await this.#create();
      return this.partitions();
    }
  }

  async #create(): Promise<void> {
    const { options, log } = this.#deps;
    const { brokers } = await this.#asking((admin) => admin.describeCluster());
    const replicationFactor = Math.min(options.topicReplicationFactor, brokers.length);
    const numPartitions = options.autoCreateTopicDefaultPartitions;
    const settings = {
      'cleanup.policy': 'delete',
      'retention.ms': String(options.topicRetention),
      'retention.bytes': '-1',
      'max.message.bytes': String(mostBatchBytes(options)),
      'message.timestamp.type': 'LogAppendTime',
      'min.insync.replicas': String(Math.min(LEAST_IN_SYNC, replicationFactor)),
      'unclean.leader.election.enable': 'false',
    };
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    const topics = [{ topic: this.name, numPartitions, replicationFactor, configEntries }];
    // Another one may have been faster.
    if (await this.#asking((admin) => admin.createTopics({ topics, waitForLeaders: true })))
      log.info('made the ingest topic', { topic: this.name, partitions: numPartitions, copies: replicationFactor, ...settings });
  }

  /** Throws Fault unavailable with what has to be changed. */
  async #check(): Promise<void> {
    const { options } = this.#deps;
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: this.name };
    const { resources } = await this.#asking((admin) => admin.describeConfigs({ includeSynonyms: false, resources: [resource] }));
    const settings = new Map(resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]));
    const copies = Math.max(...(await this.#placed()).map(({ replicas }) => replicas.length));
    const wrong = wrongSettings(settings, options, copies);
    if (wrong.length > 0) throw new Fault('unavailable', `topic ${this.name} cannot be an ingest log: ${wrong.join('; ')}`);
  }
}

/** What a topic's settings would lose or refuse, in words. `copies`: that there are of each partition. */
export function wrongSettings(settings: ReadonlyMap<string, string>, options: KafkaOptions, copies: number): string[] {
  const wrong: string[] = [];
  const policy = settings.get('cleanup.policy');
  if (policy !== 'delete') wrong.push(`cleanup.policy is ${policy}, which removes records that nobody has read: make it delete`);
  const mostBytes = Number(settings.get('max.message.bytes'));
  if (mostBytes < mostBatchBytes(options))
    wrong.push(
      `max.message.bytes is ${mostBytes}, and batches may have ${mostBatchBytes(options)}: raise it, or lower -kafka.producer-max-record-size-bytes`,
    );
  const times = settings.get('message.timestamp.type');
  if (times !== 'LogAppendTime')
    wrong.push(`message.timestamp.type is ${times}: make it LogAppendTime, by which it is known how far behind a reader is`);
  if (settings.get('unclean.leader.election.enable') === 'true')
    wrong.push(
      'unclean.leader.election.enable is true, by which a copy that lacks acknowledged records may take the place of those that have them: make it false',
    );
  const inSync = Number(settings.get('min.insync.replicas'));
  if (copies > 1 && inSync < LEAST_IN_SYNC)
    wrong.push(
      `min.insync.replicas is ${inSync}, so that one of ${copies} copies may be all that has an acknowledged record: make it ${LEAST_IN_SYNC}`,
    );
  return wrong;
}

/** By partition. */
export function sameLeaders(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([partition, leader]) => b.get(partition) === leader);
}

function mostBatchBytes({ producerMaxRecordSizeBytes }: KafkaOptions): number {
  return producerMaxRecordSizeBytes + BATCH_ROOM_BYTES;
}
