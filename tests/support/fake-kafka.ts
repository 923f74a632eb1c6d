import kafkajs, {
  type ConsumerRunConfig,
  type EachBatchPayload,
  type Kafka,
  type KafkaMessage,
  type PartitionAssigner,
  type ProducerRecord,
} from 'kafkajs';
import type { Clock, Timers } from '../../ops/base/world.ts';
import type { Dice } from './dice.ts';

/** How a simulated Kafka misbehaves; ratios of what it is asked. */
export interface KafkaTrouble {
  /** A write that is not taken, and that says so. */
  refused: number;
  /** A write that is not answered; half of them are taken all the same. */
  unanswered: number;
  /** A write that is taken twice. */
  twice: number;
  /** What was fetched comes late. */
  late: number;
}

export interface FakeKafkaOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly sessionMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly dice: Dice;
  /** Hosts that nobody reaches. */
  readonly isolated: ReadonlySet<string>;
}

/** What a process has to Kafka. */
interface Line {
  readonly host: string;
  readonly isUp: () => boolean;
}

interface Stored {
  readonly value: Buffer;
  readonly timeMs: number;
}

const REQUEST_LIMIT_MS = 5_000;
const FETCH_RECORDS = 7;
const BEAT_MS = 300;
const POLL_MS = 50;

/** One topic of a Kafka cluster and one group of consumers, as the client shows them: what is asked takes a moment, and may fail. Two consumers may have a partition for a while. Everything follows from
 *  the dice. */
export class FakeKafka {
  readonly trouble: KafkaTrouble = { refused: 0, unanswered: 0, twice: 0, late: 0 };
  readonly options: FakeKafkaOptions;
  readonly logs: Stored[][];
  /** The first record of each that is still there. */
  readonly lows: number[];
  readonly #members = new Map<string, FakeConsumer>();
  readonly #committed = new Map<number, number>();
  #made = 0;
  #generation = 0;

  constructor(options: FakeKafkaOptions) {
    this.options = options;
    this.logs = Array.from({ length: options.partitions }, () => []);
    this.lows = this.logs.map(() => 0);
  }

  /** For a process of a host, until it is over. */
  client(host: string, isOver: () => boolean): Kafka {
    const line: Line = { host, isUp: () => !isOver() && !this.options.isolated.has(host) };
    return {
      admin: () => this.#admin(line),
      producer: () => this.#producer(line),
      consumer: ({ partitionAssigners: [assigner] = [] }: { partitionAssigners?: PartitionAssigner[] }) =>
        new FakeConsumer(this, line, assigner),
    } as unknown as Kafka;
  }

  /** Another broker looks after the group: nobody is a member any more. */
  changeCoordinator(): void {
    this.#members.clear();
  }

  /** Resolves when a request has come, and rejects if it does not. */
  async reach(line: Line): Promise<void> {
    const { timers, dice } = this.options;
    await timers.sleep(dice.below(5));
    if (line.isUp()) return;
    await timers.sleep(REQUEST_LIMIT_MS);
    throw new Error('Request timed out');
  }

  #admin(line: Line) {
    const { topic, partitions } = this.options;
    const settings = { 'cleanup.policy': 'delete', 'max.message.bytes': '99999999', 'message.timestamp.type': 'LogAppendTime' };
    return {
      connect: () => this.reach(line),
      disconnect: async () => {},
      fetchTopicMetadata: async () => {
        await this.reach(line);
        return {
          topics: [
            {
              name: topic,
              partitions: Array.from({ length: partitions }, (_, partitionId) => ({
                partitionId,
                leader: partitionId % 2,
                replicas: [partitionId % 2],
              })),
            },
          ],
        };
      },
      describeConfigs: async () => ({
        resources: [{ configEntries: Object.entries(settings).map(([configName, configValue]) => ({ configName, configValue })) }],
      }),
      fetchTopicOffsets: async () => {
        await this.reach(line);
        return this.logs.map((log, partition) => ({
          partition,
          low: String(this.lows[partition]),
          high: String(log.length),
          offset: String(log.length),
        }));
      },
    };
  }

  #producer(line: Line) {
    return {
      connect: () => this.reach(line),
      disconnect: async () => {},
      send: async ({ messages }: ProducerRecord) => {
        const { timers, dice } = this.options;
        await this.reach(line);
        await timers.sleep(dice.below(20));
        if (dice.chance(this.trouble.refused)) throw Object.assign(new Error('not the leader'), { type: 'NOT_LEADER_FOR_PARTITION' });
        const byPartition = [...Map.groupBy(messages, ({ partition = 0 }) => partition)];
        const write = () => byPartition.map(([partition, own]) => ({ partition, baseOffset: String(this.#write(partition, own)) }));
        if (dice.chance(this.trouble.unanswered)) {
          if (dice.chance(0.5)) void timers.sleep(dice.below(REQUEST_LIMIT_MS)).then(write);
          await timers.sleep(REQUEST_LIMIT_MS);
          throw new Error('Request timed out');
        }
        const written = write();
        if (dice.chance(this.trouble.twice)) write();
        await timers.sleep(dice.below(20));
        if (!line.isUp()) throw new Error('Connection closed');
        return written;
      },
    };
  }

  #write(partition: number, messages: ProducerRecord['messages']): number {
    const log = this.logs[partition];
    const first = log.length;
    const timeMs = Math.floor(this.options.clock.nowMs());
    for (const { value } of messages) log.push({ value: Buffer.from(value as Buffer), timeMs });
    return first;
  }

  commit(partition: number, offset: number): void {
    this.#committed.set(partition, offset);
  }

  committed(partition: number): number {
    return this.#committed.get(partition) ?? 0;
  }

  join(consumer: FakeConsumer): string {
    const id = `member-${++this.#made}`;
    this.#members.set(id, consumer);
    this.#giveOut();
    return id;
  }

  leave(id: string): void {
    if (this.#members.delete(id)) this.#giveOut();
  }

  knows(id: string): boolean {
    return this.#members.has(id);
  }

  /** Those that were not heard of are out. */
  expire(): void {
    const oldestMs = this.options.clock.monotonicMs() - this.options.sessionMs;
    for (const [id, { beatMs }] of this.#members) if (beatMs < oldestMs) this.leave(id);
  }

  /** Each hears of it when it does. */
  #giveOut(): void {
    const { timers, dice, topic } = this.options;
    const generation = ++this.#generation;
    void timers.sleep(dice.below(500)).then(async () => {
      if (generation !== this.#generation) return;
      // Who does not hear that it is to join again is out.
      for (const [id, { line }] of this.#members) if (!line.isUp()) this.#members.delete(id);
      const members = [...this.#members];
      const leader = members[0]?.[1];
      if (leader === undefined) return;
      const metadata = { findTopicPartitionMetadata: () => Array.from({ length: this.options.partitions }) };
      const assigned = await leader.assigner({ cluster: metadata } as never).assign({
        members: members.map(([memberId, { memberMetadata }]) => ({ memberId, memberMetadata })),
        topics: [topic],
      } as never);
      for (const { memberId, memberAssignment } of assigned) {
        void timers.sleep(dice.below(BEAT_MS)).then(() => {
          const consumer = this.#members.get(memberId);
          if (generation !== this.#generation || consumer === undefined) return;
          if (consumer.line.isUp()) consumer.assign(memberAssignment);
          else this.leave(memberId);
        });
      }
    });
  }
}

type Events = 'crash' | 'fetch' | 'join';

/** A member of the group, as long as it is heard of. */
class FakeConsumer {
  readonly events = { CRASH: 'crash', FETCH: 'fetch', GROUP_JOIN: 'join' };
  readonly line: Line;
  readonly assigner: PartitionAssigner;
  beatMs: number;
  readonly #kafka: FakeKafka;
  readonly #listeners = new Map<string, ((event: { payload: never }) => void)[]>();
  readonly #paused = new Set<number>();
  readonly #seeks = new Map<number, number>();
  #positions = new Map<number, number>();
  #id = '';
  #isRunning = false;
  #run: ConsumerRunConfig = {};

  constructor(kafka: FakeKafka, line: Line, assigner: PartitionAssigner) {
    this.#kafka = kafka;
    this.line = line;
    this.assigner = assigner;
    this.beatMs = kafka.options.clock.monotonicMs();
  }

  get memberMetadata(): Buffer {
    return this.assigner({ cluster: {} } as never).protocol({ topics: [this.#kafka.options.topic] }).metadata;
  }

  on(event: string, listener: (event: { payload: never }) => void): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  #emit(event: Events, payload: object): void {
    for (const listener of this.#listeners.get(event) ?? []) listener({ payload: payload as never });
  }

  connect(): Promise<void> {
    return this.#kafka.reach(this.line);
  }

  async subscribe(): Promise<void> {}

  async run(config: ConsumerRunConfig): Promise<void> {
    this.#run = config;
    this.#isRunning = true;
    void this.#beat();
    void this.#fetch();
  }

  async disconnect(): Promise<void> {
    this.#isRunning = false;
    if (this.line.isUp()) this.#kafka.leave(this.#id);
  }

  pause([{ partitions = [] }]: { partitions?: number[] }[]): void {
    for (const partition of partitions) this.#paused.add(partition);
  }

  resume([{ partitions = [] }]: { partitions?: number[] }[]): void {
    for (const partition of partitions) this.#paused.delete(partition);
  }

  seek({ partition, offset }: { partition: number; offset: string }): void {
    this.#seeks.set(partition, Number(offset));
  }

  async commitOffsets([{ partition, offset }]: { partition: number; offset: string }[]): Promise<void> {
    await this.#kafka.reach(this.line);
    this.#kafka.commit(partition, Number(offset));
  }

  assign(memberAssignment: Buffer): void {
    if (!this.#isRunning) return;
    const partitions = partitionsOf(memberAssignment, this.#kafka.options.topic);
    this.#positions = new Map(partitions.map((partition) => [partition, this.#kafka.committed(partition)]));
    this.#emit('join', { memberAssignment: { [this.#kafka.options.topic]: partitions } });
  }

  async #beat(): Promise<void> {
    const { timers, clock } = this.#kafka.options;
    while (this.#isRunning) {
      if (this.line.isUp()) {
        this.beatMs = clock.monotonicMs();
        if (!this.#kafka.knows(this.#id)) this.#id = this.#kafka.join(this);
      }
      this.#kafka.expire();
      await timers.sleep(BEAT_MS);
    }
  }

  async #fetch(): Promise<void> {
    const { timers, dice, topic } = this.#kafka.options;
    while (this.#isRunning) {
      await timers.sleep(1 + dice.below(POLL_MS));
      if (!this.line.isUp()) continue;
      this.#emit('fetch', {});
      for (const partition of [...this.#positions.keys()]) {
        if (this.#paused.has(partition)) continue;
        const sought = this.#seeks.get(partition);
        this.#seeks.delete(partition);
        const log = this.#kafka.logs[partition];
        const wanted = sought ?? this.#positions.get(partition);
        if (wanted === undefined) continue;
        const low = this.#kafka.lows[partition];
        const from = wanted > log.length || wanted < low ? low : wanted; // as the client does
        this.#positions.set(partition, from);
        const messages = log.slice(from, from + FETCH_RECORDS).map((stored, index) => messageOf(stored, from + index));
        if (messages.length === 0) continue;
        if (dice.chance(this.#kafka.trouble.late)) await timers.sleep(dice.below(2_000));
        await this.#deliver(topic, partition, messages);
      }
    }
  }

  async #deliver(topic: string, partition: number, messages: KafkaMessage[]): Promise<void> {
    const payload = {
      batch: { topic, partition, messages },
      isStale: () => this.#seeks.has(partition),
      isRunning: () => this.#isRunning,
      resolveOffset: (offset: string) => {
        if (this.#positions.has(partition)) this.#positions.set(partition, Number(offset) + 1);
      },
    };
    try {
      await this.#run.eachBatch?.(payload as unknown as EachBatchPayload);
    } catch (error) {
      this.#isRunning = false;
      this.#emit('crash', { error });
    }
  }
}

function messageOf({ value, timeMs }: Stored, offset: number): KafkaMessage {
  return { offset: String(offset), timestamp: String(timeMs), value, key: null, attributes: 0, headers: {} };
}

function partitionsOf(memberAssignment: Buffer, topic: string): number[] {
  const { assignment } = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment)!;
  return assignment[topic];
}
