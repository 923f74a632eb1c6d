import { type Instruments, noInstruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { asBuffer, detachFrame, withBuffers } from './frames.ts';
import { type Carry, LocalServices } from './local-services.ts';
import { Switchboard } from './switchboard.ts';
import type { Address, Handler, Message, RequestOptions, Service, Subscription, Transport } from './transport.ts';
import { decode, encode } from './wire.ts';

export interface InProcessOptions {
  readonly world: World;
  readonly instruments?: Instruments;
  /** For tests: every body is encoded, decoded and frozen, and frames that are given away are emptied, so that nothing can lean on shared objects. */
  readonly strict?: boolean;
}

/** Between the actors of one thread: bodies go by reference, frames included. */
export class InProcessTransport implements Transport {
  readonly #switchboard: Switchboard;
  readonly #local: LocalServices;

  constructor({ world, instruments = noInstruments, strict = false }: InProcessOptions) {
    this.#switchboard = new Switchboard(world);
    this.#local = new LocalServices(strict ? throughWire : byReference, world.timers, instruments.log);
  }

  request(to: Address, message: Message, options: RequestOptions): Promise<unknown> {
    return this.#switchboard.request(to, message, options);
  }

  requestMany(to: Address, message: Message, options: RequestOptions): AsyncIterable<unknown> {
    return this.#switchboard.requestMany(to, message, options);
  }

  publish(subject: string, message: Message): void {
    this.#local.publish(subject, message);
  }

  subscribe(subject: string, receive: (message: Message) => void): Subscription {
    this.#local.subscribe(subject, receive);
    return { close: () => void this.#local.unsubscribe(subject, receive) };
  }

  serve(address: Address, handler: Handler): Service {
    const endpoint = this.#local.serve(address, handler);
    this.#switchboard.add(endpoint);
    return {
      setAvailable: (available) => {
        endpoint.available = available;
      },
      close: () => {
        this.#local.unserve(endpoint);
        this.#switchboard.remove(endpoint);
      },
    };
  }

  async close(): Promise<void> {
    this.#local.close();
    this.#switchboard.close();
  }
}

export const byReference: Carry = (body) => withBuffers(body);

const throughWire: Carry = (body, transfer) => {
  const { envelope, frames } = encode([], body);
  const [copy] = decode(
    envelope,
    frames.map((frame) => asBuffer(detachFrame(frame, transfer))),
  );
  return deepFreeze(copy);
};

/** Freezes all but the bytes: the language cannot freeze those. */
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
