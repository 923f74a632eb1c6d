import type { Random, Timers } from '../../ops/base/world.ts';
import type { Broker, BrokerMessage } from '../../topology/nats/broker.ts';
import type { Subscription } from '../../topology/transport/transport.ts';

interface Subscriber {
  readonly tokens: readonly string[];
  readonly queue: string | undefined;
  readonly connection: FakeBroker;
  readonly receive: (message: BrokerMessage) => void;
}

/** What happens on the way from one connection to another. */
export interface FakeNetwork {
  /** Share of the messages that are lost. */
  lossRatio: number;
  /** Share of the messages that come twice. */
  duplicateRatio?: number;
  /** Share of the messages that are overtaken by later ones. */
  lateRatio?: number;
  /** Names of processes that nobody reaches. */
  readonly isolated?: ReadonlySet<string>;
  /** Each message takes a time between these; those of one connection to another come in order. */
  delayMs: readonly [least: number, most: number];
}

/** A message broker of a simulated world: connections that subscribe as with NATS, over a network that delays and loses messages by a seed. */
export class FakeBus {
  readonly network: FakeNetwork;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #subscribers = new Set<Subscriber>();
  /** When the last message from one connection to another arrives, on a clock of its own. */
  readonly #busy = new Map<string, number>();
  readonly #nowMs: () => number;
  connections = 0;

  constructor(
    world: { timers: Timers; random: Random; clock: { monotonicMs(): number } },
    network: FakeNetwork = { lossRatio: 0, delayMs: [0, 1] },
  ) {
    this.#timers = world.timers;
    this.#random = world.random;
    this.#nowMs = () => world.clock.monotonicMs();
    this.network = network;
  }

  /** `process`: whose connection it is. */
  connect(process = ''): FakeBroker {
    return new FakeBroker(this, ++this.connections, process);
  }

  add(subscriber: Subscriber): Subscription {
    this.#subscribers.add(subscriber);
    return { close: () => void this.#subscribers.delete(subscriber) };
  }

  remove(connection: FakeBroker): void {
    for (const subscriber of this.#subscribers) if (subscriber.connection === connection) this.#subscribers.delete(subscriber);
  }

  publish(from: FakeBroker, subject: string, payload: Uint8Array, reply: string): void {
    const tokens = subject.split('.');
    const matching = [...this.#subscribers].filter((subscriber) => matches(subscriber.tokens, tokens));
    const queues = Map.groupBy(matching, ({ queue }) => queue);
    const chosen = [...(queues.get(undefined) ?? [])];
    queues.delete(undefined);
    for (const members of queues.values()) chosen.push(members[Math.floor(this.#random.next() * members.length)]);
    if (chosen.length === 0 && reply !== '') {
      const nobody = { subject: reply, payload: new Uint8Array(0), reply: '', nobody: true };
      for (const subscriber of this.#subscribers) if (matches(subscriber.tokens, reply.split('.'))) this.#deliver(from, subscriber, nobody);
    }
    for (const subscriber of chosen) this.#deliver(from, subscriber, { subject, payload, reply, nobody: false });
  }

  #deliver(from: FakeBroker, subscriber: Subscriber, message: BrokerMessage): void {
    const { lossRatio, duplicateRatio = 0, lateRatio = 0, delayMs, isolated } = this.network;
    if (this.#random.next() < lossRatio) return;
    const { process } = subscriber.connection;
    if (from.process !== process && (isolated?.has(from.process) || isolated?.has(process))) return;
    const way = `${from.number} ${subscriber.connection.number}`;
    const atMs = Math.max(this.#nowMs() + delayMs[0] + this.#random.next() * (delayMs[1] - delayMs[0]), this.#busy.get(way) ?? 0);
    const isLate = lateRatio > 0 && this.#random.next() < lateRatio;
    if (!isLate) this.#busy.set(way, atMs);
    const times = duplicateRatio > 0 && this.#random.next() < duplicateRatio ? 2 : 1;
    for (let time = 0; time < times; time++) {
      const laterMs = isLate || time > 0 ? this.#random.next() * MOST_LATE_MS : 0;
      this.#timers.after(atMs + laterMs - this.#nowMs(), () => {
        if (this.#subscribers.has(subscriber)) subscriber.receive(message);
      });
    }
  }
}

const MAX_PAYLOAD = 16_384;
/** Of a message that comes a second time, or behind others. */
const MOST_LATE_MS = 100;

/** One connection to the bus. */
export class FakeBroker implements Broker {
  readonly maxPayload: number = MAX_PAYLOAD;
  readonly number: number;
  readonly process: string;
  connected = true;
  readonly #bus: FakeBus;
  readonly #lost = new Set<() => void>();

  constructor(bus: FakeBus, number: number, process: string) {
    this.#bus = bus;
    this.process = process;
    this.number = number;
  }

  publish(subject: string, payload: Uint8Array, reply = ''): void {
    if (payload.length > MAX_PAYLOAD) throw new Error(`a payload of ${payload.length} bytes`);
    if (this.connected) this.#bus.publish(this, subject, payload, reply);
  }

  subscribe(subject: string, receive: (message: BrokerMessage) => void, queue?: string): Subscription {
    return this.#bus.add({ tokens: subject.split('.'), queue, connection: this, receive });
  }

  whenLost(action: () => void): Subscription {
    this.#lost.add(action);
    return { close: () => void this.#lost.delete(action) };
  }

  /** The connection fails; nothing of this side hears or says anything from here on. */
  lose(): void {
    this.connected = false;
    this.#bus.remove(this);
    for (const action of this.#lost) action();
  }

  /** Without a word, as when the process dies. */
  async close(): Promise<void> {
    this.connected = false;
    this.#bus.remove(this);
  }
}

function matches(pattern: readonly string[], tokens: readonly string[]): boolean {
  for (const [at, token] of pattern.entries()) {
    if (token === '>') return tokens.length > at;
    if (at >= tokens.length || (token !== '*' && token !== tokens[at])) return false;
  }
  return pattern.length === tokens.length;
}
