import { asFault, Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { type Endpoint, type Exchange, SingleExchange, StreamExchange } from './exchange.ts';
import type { Address, Message, RequestOptions } from './transport.ts';

/** Finds the endpoint that a request goes to, and keeps the caller's side of every request that is under way. */
export class Switchboard {
  readonly #world: World;
  readonly #elsewhere: (address: Address) => Endpoint | undefined;
  readonly #endpoints = new Map<Address, Endpoint>();
  readonly #instances = new Map<string, Endpoint[]>();
  readonly #open = new Set<Exchange>();
  #turn = 0;
  #closed = false;

  /** `elsewhere`: what is asked where no endpoint was added. */
  constructor(world: World, elsewhere: (address: Address) => Endpoint | undefined = () => undefined) {
    this.#world = world;
    this.#elsewhere = elsewhere;
  }

  /** The newest endpoint of an address gets its requests. */
  add(endpoint: Endpoint): void {
    const earlier = this.#endpoints.get(endpoint.address);
    if (earlier !== undefined) this.remove(earlier);
    this.#endpoints.set(endpoint.address, endpoint);
    const component = componentOf(endpoint.address);
    this.#instances.set(component, [...(this.#instances.get(component) ?? []), endpoint]);
  }

  remove(endpoint: Endpoint): void {
    if (this.#endpoints.get(endpoint.address) !== endpoint) return;
    this.#endpoints.delete(endpoint.address);
    const component = componentOf(endpoint.address);
    const others = this.#instances.get(component)!.filter((other) => other !== endpoint);
    if (others.length > 0) this.#instances.set(component, others);
    else this.#instances.delete(component);
  }

  has(address: Address): boolean {
    return this.#endpoints.has(address);
  }

  request(to: Address, message: Message, options: RequestOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(to, message, options, new SingleExchange(this.#open, resolve, reject));
    });
  }

  requestMany(to: Address, message: Message, options: RequestOptions): AsyncIterable<unknown> {
    return {
      [Symbol.asyncIterator]: () => {
        const exchange = new StreamExchange(this.#open);
        this.#begin(to, message, options, exchange);
        return exchange;
      },
    };
  }

  close(): void {
    this.#closed = true;
    for (const exchange of this.#open) exchange.giveUp(new Fault('unavailable', 'transport is closed'));
  }

  #begin(to: Address, message: Message, options: RequestOptions, exchange: Exchange): void {
    try {
      exchange.begin(this.#world, this.#find(to), message, options);
    } catch (error) {
      exchange.fault(asFault(error));
    }
  }

  #find(to: Address): Endpoint {
    if (this.#closed) throw new Fault('unavailable', 'transport is closed');
    const endpoint = (to.endsWith('/any') ? this.#leastLoaded(componentOf(to)) : this.#endpoints.get(to)) ?? this.#elsewhere(to);
    if (endpoint === undefined) throw new Fault('unavailable', `nothing serves ${to}`, { retryAfterS: 1 });
    return endpoint;
  }

  /** Instances that are equally loaded take turns. */
  #leastLoaded(component: string): Endpoint | undefined {
    const instances = this.#instances.get(component) ?? [];
    this.#turn++;
    let least: Endpoint | undefined;
    for (let offset = 0; offset < instances.length; offset++) {
      const endpoint = instances[(this.#turn + offset) % instances.length];
      if (endpoint.available && (least === undefined || endpoint.load < least.load)) least = endpoint;
    }
    return least;
  }
}

function componentOf(address: Address): string {
  const slash = address.indexOf('/');
  return slash < 0 ? address : address.slice(0, slash);
}
