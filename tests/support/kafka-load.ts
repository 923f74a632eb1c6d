import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, KafkaMessage, Message, Producer } from 'kafkajs';
import { seededRandom } from './steady-load.ts';

const PAUSE_MS = 20;
const RETRY_MS = 100;
const MOST_RECORDS = 40;
/** One of so many can never be taken. */
const POISON_EACH = 50;

/** Writes records to a topic without pause, each unlike any other. What a broker did not acknowledge is written again as it is. */
export class KafkaLoad {
  /** Values of records that are entries. */
  readonly lines: string[] = [];
  /** Values of those that never can be. */
  readonly poison: string[] = [];
  repeats = 0;
  readonly #topic: string;
  readonly #producer: Producer;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(kafka: Kafka, topic: string, seed: number) {
    this.#topic = topic;
    this.#producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 2 } });
    this.#running = this.#run(seededRandom(seed));
    this.#running.catch(() => {}); // stop() reports it
  }

  /** Resolves once all is acknowledged. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#producer.disconnect();
  }

  async #run(random: () => number): Promise<void> {
    for (let number = 0; !this.#stopped; ) {
      const messages: Message[] = [];
      const timestamp = String(Date.now());
      for (let left = 1 + Math.floor(random() * MOST_RECORDS); left > 0; left--, number++) {
        const isPoison = number % POISON_EACH === POISON_EACH - 1;
        const value = isPoison ? `{ no JSON ${number}` : JSON.stringify({ number, padding: 'x'.repeat(Math.floor(random() * 200)) });
        (isPoison ? this.poison : this.lines).push(value);
        messages.push({ value, timestamp, key: String(Math.floor(random() * 100)) });
      }
      await this.#send(messages);
      await sleep(PAUSE_MS);
    }
  }

  async #send(messages: Message[]): Promise<void> {
    for (;;) {
      try {
        await this.#producer.connect();
        await this.#producer.send({ topic: this.#topic, acks: -1, timeout: 2_000, messages });
        return;
      } catch {
        this.repeats++;
        await sleep(RETRY_MS);
      }
    }
  }
}

/** So many messages of a topic, from its start; waits for them. */
export async function readTopic(kafka: Kafka, topic: string, count: number): Promise<KafkaMessage[]> {
  const messages: KafkaMessage[] = [];
  if (count === 0) return messages;
  const consumer = kafka.consumer({ groupId: `reads-${topic}-${Date.now()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    void consumer.run({
      eachMessage: async ({ message }) => {
        messages.push(message);
        if (messages.length === count) resolve();
      },
    });
  });
  await consumer.disconnect();
  return messages;
}

/** Values of all records that a topic has now. */
export async function valuesIn(kafka: Kafka, topic: string): Promise<string[]> {
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const count = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
  return (await readTopic(kafka, topic, count)).map(({ value }) => String(value));
}
