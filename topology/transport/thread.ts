import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Fault } from '../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Endpoint, Exchange, Line } from './exchange.ts';
import { byReference } from './in-process.ts';
import { Link, type LinkHost, THREAD_WINDOW } from './link.ts';
import { LocalServices } from './local-services.ts';
import { Switchboard } from './switchboard.ts';
import type { Address, Handler, Message, RequestOptions, Service, Subscription, Transport } from './transport.ts';

export interface RouterOptions {
  readonly world: World;
  readonly instruments?: Instruments;
  /** To other processes. */
  readonly beyond?: Beyond | undefined;
}

/** A transport that reaches other processes. Subjects are those of all of them. */
export interface Beyond extends Pick<Transport, 'publish' | 'subscribe' | 'serve' | 'close'> {
  /** Whether the address is the same in all processes: then it is served there too, and asked there if no thread here serves it. All others are the process's own. */
  spans(address: Address): boolean;
  endpoint(address: Address): Endpoint;
}

/** The transport of one thread of a process: addresses served here are asked in process, others over a port to the thread that serves them, those of other processes beyond. Every thread has a
 *  port to every other and tells it what is served and subscribed to here. If two threads serve one address, the newest gets its requests. */
export class Router implements Transport {
  readonly #world: World;
  readonly #switchboard: Switchboard;
  readonly #local: LocalServices;
  readonly #beyond: Beyond | undefined;
  readonly #peers = new Map<string, Peer>();
  readonly #awaited = new Map<() => void, Address>();
  #closed = false;

  constructor({ world, instruments = noInstruments, beyond }: RouterOptions) {
    this.#world = world;
    this.#beyond = beyond;
    this.#switchboard = new Switchboard(world, (address) => (beyond?.spans(address) ? beyond.endpoint(address) : undefined));
    this.#local = new LocalServices(byReference, world.timers, instruments.log);
  }

  request(to: Address, message: Message, options: RequestOptions): Promise<unknown> {
    return this.#switchboard.request(to, message, options);
  }

  requestMany(to: Address, message: Message, options: RequestOptions): AsyncIterable<unknown> {
    return this.#switchboard.requestMany(to, message, options);
  }

  publish(subject: string, message: Message): void {
    if (this.#beyond !== undefined) {
      this.#beyond.publish(subject, message);
      return;
    }
    this.#local.publish(subject, message);
    for (const { link } of this.#peers.values()) link.publish(subject, message);
  }

  subscribe(subject: string, receive: (message: Message) => void): Subscription {
    if (this.#beyond !== undefined) return this.#beyond.subscribe(subject, receive);
    if (this.#local.subscribe(subject, receive)) for (const { link } of this.#peers.values()) link.subscribe(subject);
    return {
      close: () => {
        if (this.#local.unsubscribe(subject, receive)) for (const { link } of this.#peers.values()) link.unsubscribe(subject);
      },
    };
  }

  serve(address: Address, handler: Handler): Service {
    const endpoint = this.#local.serve(address, handler);
    const announce = () => {
      for (const { link } of this.#peers.values()) link.serve(address, endpoint.available);
    };
    this.#added(endpoint);
    announce();
    const afar = this.#beyond?.spans(address) ? this.#beyond.serve(address, handler) : undefined;
    return {
      setAvailable: (available) => {
        if (endpoint.available === available) return;
        endpoint.available = available;
        announce();
        afar?.setAvailable(available);
      },
      close: () => {
        if (!this.#local.unserve(endpoint)) return;
        afar?.close();
        this.#switchboard.remove(endpoint);
        for (const { link } of this.#peers.values()) link.unserve(address);
      },
    };
  }

  /** Adds the thread `name`, whose router is to `connect` the port returned, and brings it together with every thread that was added before. To be called in one
   *  thread only. A thread of the same name that was added before is taken to have ended. */
  admit(name: string): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const link = this.connect(name, port1);
    for (const [peer, { link: other }] of this.#peers) {
      if (peer === name) continue;
      const channel = new MessageChannel();
      other.introduce(name, channel.port1);
      link.introduce(peer, channel.port2);
    }
    return port2;
  }

  /** Takes up `port` as the way to the thread `name`. */
  connect(name: string, port: MessagePort): Link {
    if (this.#closed) throw new Fault('unavailable', 'transport is closed');
    this.#peers.get(name)?.link.close();
    const link = new Link(name, port, this.#world, this.#host);
    this.#peers.set(name, { link, endpoints: new Map() });
    for (const { address, available } of this.#local.endpoints) link.serve(address, available);
    for (const subject of this.#local.subjects) link.subscribe(subject);
    return link;
  }

  /** Resolves once some thread serves `address`; rejects with the signal's reason when it is aborted first. */
  whenServed(address: Address, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#switchboard.has(address)) return resolve();
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        this.#awaited.delete(served);
        reject(signal?.reason);
      };
      const served = () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.#awaited.set(served, address);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#local.close();
    this.#switchboard.close();
    for (const { link } of this.#peers.values()) link.close();
    await this.#beyond?.close();
  }

  #added(endpoint: Endpoint): void {
    this.#switchboard.add(endpoint);
    for (const [served, address] of this.#awaited) {
      if (address !== endpoint.address) continue;
      this.#awaited.delete(served);
      served();
    }
  }

  readonly #host: LinkHost = {
    handler: (address) => this.#local.handler(address),
    published: (subject, message) => this.#local.publish(subject, message),
    introduced: (peer, port) => void this.connect(peer, port),
    peerServes: (link, address, available) => {
      const endpoints = this.#peers.get(link.peer)!.endpoints;
      const known = endpoints.get(address);
      if (known !== undefined) {
        known.available = available;
        return;
      }
      const endpoint = new RemoteEndpoint(address, available, link);
      endpoints.set(address, endpoint);
      this.#added(endpoint);
    },
    peerUnserves: (link, address) => {
      const endpoints = this.#peers.get(link.peer)!.endpoints;
      const endpoint = endpoints.get(address);
      if (endpoint !== undefined) this.#switchboard.remove(endpoint);
      endpoints.delete(address);
    },
    ended: (link) => {
      const peer = this.#peers.get(link.peer);
      if (peer?.link !== link) return;
      this.#peers.delete(link.peer);
      for (const endpoint of peer.endpoints.values()) this.#switchboard.remove(endpoint);
    },
  };
}

interface Peer {
  readonly link: Link;
  readonly endpoints: Map<Address, RemoteEndpoint>;
}

/** An address served by another thread. */
class RemoteEndpoint implements Endpoint {
  readonly address: Address;
  readonly window = THREAD_WINDOW;
  available: boolean;
  load = 0;
  readonly #link: Link;

  constructor(address: Address, available: boolean, link: Link) {
    this.address = address;
    this.available = available;
    this.#link = link;
  }

  open(message: Message, options: RequestOptions, exchange: Exchange): Line {
    return this.#link.request(this.address, message, options, exchange);
  }
}
