import { defaultsOf } from '../../ops/base/options.ts';
import type { FakeWorld } from '../../ops/base/world-fake.ts';
import { type KafkaOptions, kafkaOptions } from '../../storage/kafka/options.ts';
import type { Dice } from '../support/dice.ts';
import { FakeKafka } from '../support/fake-kafka.ts';

const PARTITIONS = 5;
const SESSION_MS = 3_000;

/** Kafka in front of the ingesters of a simulated cluster. */
export class KafkaSide {
  readonly options: KafkaOptions = {
    ...defaultsOf(kafkaOptions),
    brokers: ['kafka'],
    sessionTimeout: SESSION_MS,
    producerMaxRecordSizeBytes: 4_096,
  };
  readonly fake: FakeKafka;
  readonly #world: FakeWorld;
  readonly #dice: Dice;

  constructor(world: FakeWorld, dice: Dice, isolated: ReadonlySet<string>) {
    const { clock, timers } = world;
    this.#world = world;
    this.#dice = dice;
    this.fake = new FakeKafka({ topic: this.options.topic, partitions: PARTITIONS, sessionMs: SESSION_MS, clock, timers, dice, isolated });
  }

  /** For a while. */
  async trouble(): Promise<void> {
    const { trouble } = this.fake;
    if (this.#dice.chance(0.3)) return this.fake.changeCoordinator();
    trouble[this.#dice.pick(['refused', 'unanswered', 'twice', 'late'] as const)] = this.#dice.pick([0.05, 0.2, 1]);
    await this.#world.timers.sleep(this.#dice.below(8_000));
    Object.assign(trouble, { refused: 0, unanswered: 0, twice: 0, late: 0 });
  }
}
