import { Fault, faultFromWire } from '../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Broker, BrokerMessage } from '../nats/broker.ts';
import { ClusterSubjects } from '../nats/subjects.ts';
import type { Endpoint } from './exchange.ts';
import { byReference } from './in-process.ts';
import { LocalServices } from './local-services.ts';
import { AskedRequests, silentTicks, type Vigilance } from './nats-asked.ts';
import {
  ABORT,
  type BulkParcel,
  type ControlParcel,
  CREDIT,
  DROPPED,
  GONE,
  PING,
  PONG,
  PUBLISH,
  RECEIVED,
  REQUEST,
} from './nats-parcels.ts';
import { Post } from './nats-post.ts';
import { ServedRequests } from './nats-served.ts';
import { IncomingTransfers, type Told } from './nats-transfers.ts';
import { openReceived } from './parcel.ts';
import { Switchboard } from './switchboard.ts';
import type { Address, Handler, Message, RequestOptions, Service, Subscription, Transport } from './transport.ts';
import { encode } from './wire.ts';

export interface NatsTransportOptions {
  readonly world: World;
  readonly instruments?: Instruments;
  /** Which cluster's subjects are used: several may share a broker. */
  readonly cluster: string;
  /** For what is short and must not wait: a slow reader of much data otherwise loses its connection, signs of life included. */
  readonly control: Broker;
  /** For questions and answers. */
  readonly bulk: Broker;
  readonly vigilance?: Vigilance;
  /** Components that other processes ask; all, if absent. See Beyond. */
  readonly components?: ReadonlySet<string>;
}

const VIGILANCE: Vigilance = { pingMs: 1_000, missed: 3 };
/** A subscription to any of a component's instances is shared under this name: one of them gets a request. */
const ANY = 'any';
/** Tokens of a subject: after those of an inbox comes the id, or PIECE; after the id of a transfer's first piece the transfer and its length. */
const PEER_TOKEN = 3;
const ID_TOKEN = 4;
const TRANSFER_TOKEN = 5;
const LENGTH_TOKEN = 6;
const PIECE = 'piece';

/** Between the processes of a cluster. A broker loses messages without a word, when a connection or a server of it fails, and tells nobody that a process is gone: so who
 *  waits for long asks whether it is worked on, and every stream and every long message is numbered. */
export class NatsTransport implements Transport {
  readonly #world: World;
  readonly #vigilance: Vigilance;
  readonly #bulk: Broker;
  readonly #components: ReadonlySet<string> | undefined;
  readonly #subjects: ClusterSubjects;
  readonly #switchboard: Switchboard;
  readonly #local: LocalServices;
  readonly #post: Post;
  readonly #asked: AskedRequests;
  readonly #served: ServedRequests;
  readonly #incoming: IncomingTransfers;
  readonly #instruments: Instruments;
  /** Of this peer, of what it serves, and of the subjects that are subscribed to. */
  readonly #subscriptions = new Set<Subscription>();
  readonly #subjectSubscriptions = new Map<string, Subscription>();
  #stopTicking: (() => void) | undefined;
  #closed = false;

  constructor({ world, instruments = noInstruments, cluster, control, bulk, vigilance = VIGILANCE, components }: NatsTransportOptions) {
    this.#components = components;
    this.#world = world;
    this.#instruments = instruments;
    this.#vigilance = vigilance;
    this.#bulk = bulk;
    this.#subjects = new ClusterSubjects(cluster);
    const me = world.random.id();
    this.#post = new Post({ me, subjects: this.#subjects, control, bulk });
    this.#incoming = new IncomingTransfers();
    const parts = { post: this.#post, subjects: this.#subjects, world, vigilance, begun: () => this.#tickLater() };
    this.#asked = new AskedRequests({ ...parts, connected: () => bulk.connected });
    this.#served = new ServedRequests(parts);
    this.#local = new LocalServices(byReference, world.timers, instruments.log);
    this.#switchboard = new Switchboard(world, (address) => this.#asked.endpoint(address));
    this.#subscriptions.add(bulk.subscribe(`${this.#subjects.inbox(me)}.>`, (message) => this.#guarded(message, this.#receive)));
    this.#subscriptions.add(control.subscribe(this.#subjects.control(me), (message) => this.#guarded(message, this.#receiveControl)));
    this.#subscriptions.add(control.subscribe(this.#subjects.unheard(me, '*'), (message) => this.#guarded(message, this.#receiveUnheard)));
    bulk.whenLost(() => this.#asked.failAll('the connection to NATS was lost'));
  }

  spans(address: Address): boolean {
    return this.#components?.has(address.slice(0, address.indexOf('/'))) ?? true;
  }

  /** Where requests to an address go, whoever serves it. */
  endpoint(address: Address): Endpoint {
    return this.#asked.endpoint(address);
  }

  request(to: Address, message: Message, options: RequestOptions): Promise<unknown> {
    return this.#switchboard.request(to, message, options);
  }

  requestMany(to: Address, message: Message, options: RequestOptions): AsyncIterable<unknown> {
    return this.#switchboard.requestMany(to, message, options);
  }

  publish(subject: string, { kind, tenant, trace, body }: Message): void {
    this.#post.publish(this.#subjects.published(subject), encode([PUBLISH, subject, kind, tenant, trace], body));
  }

  subscribe(subject: string, receive: (message: Message) => void): Subscription {
    if (this.#local.subscribe(subject, receive)) {
      const subscription = this.#bulk.subscribe(this.#subjects.published(subject), (message) =>
        this.#guarded(message, this.#receivePublished),
      );
      this.#subjectSubscriptions.set(subject, subscription);
    }
    return {
      close: () => {
        if (!this.#local.unsubscribe(subject, receive)) return;
        this.#subjectSubscriptions.get(subject)?.close();
        this.#subjectSubscriptions.delete(subject);
      },
    };
  }

  serve(address: Address, handler: Handler): Service {
    const endpoint = this.#local.serve(address, handler);
    const receive = (message: BrokerMessage): void => this.#guarded(message, (asked) => this.#receiveRequest(address, asked));
    const open = (to: Address, queue?: string): Subscription => {
      const subscription = this.#bulk.subscribe(this.#subjects.requests(to), receive, queue);
      this.#subscriptions.add(subscription);
      return {
        close: () => {
          this.#subscriptions.delete(subscription);
          subscription.close();
        },
      };
    };
    const own = open(address);
    const anyAddress = `${address.slice(0, address.indexOf('/'))}/any`;
    let any: Subscription | undefined = open(anyAddress, ANY);
    return {
      setAvailable: (available) => {
        if (available === (any !== undefined) || !this.#local.isServed(endpoint)) return;
        if (available) any = open(anyAddress, ANY);
        else {
          any?.close();
          any = undefined;
        }
      },
      close: () => {
        if (!this.#local.unserve(endpoint)) return;
        own.close();
        any?.close();
      },
    };
  }

  /** The brokers stay open. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTicking?.();
    this.#local.close();
    this.#switchboard.close();
    this.#served.abortAll(new Fault('cancelled', 'transport is closed'));
    for (const subscription of [...this.#subscriptions, ...this.#subjectSubscriptions.values()]) subscription.close();
  }

  /** A message that cannot be read is told of, and is as if it had been lost. */
  #guarded(message: BrokerMessage, receive: (message: BrokerMessage) => void): void {
    if (this.#closed) return;
    try {
      receive(message);
    } catch (error) {
      this.#instruments.log.error('message from NATS could not be read', { subject: message.subject, error });
    }
  }

  readonly #receive = ({ subject, payload, reply, nobody }: BrokerMessage): void => {
    const tokens = subject.split('.');
    if (nobody) this.#asked.nobody(Number(tokens[ID_TOKEN]));
    else if (tokens[ID_TOKEN] === PIECE) {
      const [transfer, offset] = [Number(tokens[TRANSFER_TOKEN]), Number(tokens[TRANSFER_TOKEN + 1])];
      const peer = reply.split('.')[PEER_TOKEN];
      this.#tell(peer, transfer, this.#incoming.piece(peer, transfer, offset, payload));
    } else if (reply === '') this.#takeAnswer(payload);
    else this.#beginTransfer(reply.split('.'), payload, (bytes) => this.#takeAnswer(bytes));
  };

  #takeAnswer(bytes: Uint8Array): void {
    const { fields, sizeBytes } = openReceived(bytes);
    this.#asked.take(fields as BulkParcel, sizeBytes);
  }

  #receiveRequest(address: Address, { payload, reply }: BrokerMessage): void {
    if (payload.length === 0) return; // a probe
    const from = reply.split('.');
    const take = (bytes: Uint8Array): void => {
      const parcel = openReceived(bytes).fields as BulkParcel;
      if (parcel[0] === REQUEST) this.#served.serve(this.#local.handler(address), from[PEER_TOKEN], parcel);
    };
    if (from.length > LENGTH_TOKEN) this.#beginTransfer(from, payload, take);
    else take(payload);
  }

  #beginTransfer(from: readonly string[], piece: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    const [peer, transfer] = [from[PEER_TOKEN], Number(from[TRANSFER_TOKEN])];
    this.#tickLater();
    const whole = (bytes: Buffer): void => this.#guarded({ subject: '', payload: bytes, reply: '', nobody: false }, () => deliver(bytes));
    this.#tell(peer, transfer, this.#incoming.begin(peer, transfer, Number(from[LENGTH_TOKEN]), piece, whole));
  }

  #tell(peer: string, transfer: number, told: Told): void {
    if (told !== undefined) this.#post.control(peer, [RECEIVED, this.#post.me, transfer, told === 'gone' ? GONE : told.received]);
  }

  readonly #receivePublished = ({ payload }: BrokerMessage): void => {
    const parcel = openReceived(payload).fields as BulkParcel;
    if (parcel[0] !== PUBLISH) return;
    const [, subject, kind, tenant, trace, body] = parcel;
    this.#local.publish(subject, { kind, tenant, trace, body });
  };

  readonly #receiveUnheard = ({ subject, nobody }: BrokerMessage): void => {
    if (nobody) this.#asked.unheard(subject.slice(subject.lastIndexOf('.') + 1));
  };

  readonly #receiveControl = ({ payload }: BrokerMessage): void => {
    const parcel = openReceived(payload).fields as ControlParcel;
    switch (parcel[0]) {
      case ABORT: {
        const [, peer, id, code, message] = parcel;
        this.#served.abort(peer, id, faultFromWire({ code, message }));
        break;
      }
      case CREDIT:
        this.#served.credit(parcel[1], parcel[2], parcel[3], parcel[4]);
        break;
      case PING:
        this.#served.pinged(parcel[1], parcel[2], parcel[3]);
        break;
      case PONG:
        this.#asked.answered(parcel[1], parcel[2], parcel[3]);
        break;
      case RECEIVED: {
        const [, peer, transfer, bytes] = parcel;
        if (bytes === GONE) this.#post.transfers.gone(transfer);
        else this.#post.transfers.received(transfer, peer, bytes);
        break;
      }
      case DROPPED:
        this.#incoming.dropped(parcel[1], parcel[2]);
    }
  };

  /** Ticks as long as anything is under way. */
  #tickLater(): void {
    if (this.#stopTicking !== undefined || this.#closed) return;
    this.#stopTicking = this.#world.timers.after(this.#vigilance.pingMs, () => {
      this.#stopTicking = undefined;
      const silent = silentTicks(this.#vigilance);
      this.#asked.tick();
      this.#served.tick();
      this.#post.transfers.tick(silent);
      this.#incoming.tick(2 * silent);
      const isIdle = this.#asked.isIdle && this.#served.isIdle && this.#post.transfers.isIdle && this.#incoming.isIdle;
      if (!isIdle) this.#tickLater();
    });
  }
}
