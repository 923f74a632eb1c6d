import type { MessagePort } from 'node:worker_threads';
import { MiB } from '../../ops/base/bytes.ts';
import { Fault, type FaultCode, faultFromWire } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { type Batch, Outbox, openBatch } from './batch.ts';
import { type AnswerSink, Call, type Window } from './call.ts';
import type { Exchange, Line } from './exchange.ts';
import { sizeOf } from './parcel.ts';
import type { Address, Handler, Message, RequestOptions } from './transport.ts';
import { type Encoded, encode, faultOf } from './wire.ts';

export const THREAD_WINDOW: Window = { messages: 64, bytes: 8 * MiB };

/** First field of a parcel. `id` numbers the requests of the side that asks; deadlines travel as the time that is left, since each thread counts from its own start. */
const REQUEST = 0;
const VALUE = 1;
const ITEM = 2;
const END = 3;
const FAULT = 4;
const ABORT = 5;
const CREDIT = 6;
const PUBLISH = 7;
const SERVE = 8;
const UNSERVE = 9;
const SUBSCRIBE = 10;
const UNSUBSCRIBE = 11;

type Parcel =
  | [type: typeof REQUEST, id: number, to: Address, kind: string, tenant: string, trace: string, leftMs: number, body: unknown]
  | [type: typeof VALUE, id: number, answer: unknown]
  | [type: typeof ITEM, id: number, answer: unknown]
  | [type: typeof END, id: number]
  | [type: typeof FAULT, id: number, code: FaultCode, message: string, retryAfterS: number | null]
  | [type: typeof ABORT, id: number, code: FaultCode, message: string]
  | [type: typeof CREDIT, id: number, messages: number, bytes: number]
  | [type: typeof PUBLISH, subject: string, kind: string, tenant: string, trace: string, body: unknown]
  | [type: typeof SERVE, address: Address, available: boolean]
  | [type: typeof UNSERVE, address: Address]
  | [type: typeof SUBSCRIBE, subject: string]
  | [type: typeof UNSUBSCRIBE, subject: string];

/** Posted beside batches: a port to another thread. */
export interface Introduction {
  readonly peer: string;
  readonly port: MessagePort;
}

/** The thread that a link belongs to. */
export interface LinkHost {
  handler(address: Address): Handler | undefined;
  /** The peer serves `address`, or no longer does. */
  peerServes(link: Link, address: Address, available: boolean): void;
  peerUnserves(link: Link, address: Address): void;
  published(subject: string, message: Message): void;
  introduced(peer: string, port: MessagePort): void;
  /** The other thread has ended or left. */
  ended(link: Link): void;
}

/** The way between two threads: parcels both ways over one MessagePort. */
export class Link {
  readonly peer: string;
  readonly #port: MessagePort;
  readonly #host: LinkHost;
  readonly #world: World;
  readonly #outbox: Outbox;
  /** Requests of this side. */
  readonly #exchanges = new Map<number, Exchange>();
  /** Requests of the other side. */
  readonly #calls = new Map<number, Call>();
  /** Subjects that the peer subscribes to. */
  readonly #wanted = new Set<string>();
  #lastId = 0;
  #ended = false;

  constructor(peer: string, port: MessagePort, world: World, host: LinkHost) {
    this.peer = peer;
    this.#port = port;
    this.#world = world;
    this.#host = host;
    this.#outbox = new Outbox(port);
    port.on('message', this.#receive);
    port.on('close', () => this.close());
  }

  request(to: Address, message: Message, options: RequestOptions, exchange: Exchange): Line {
    const id = ++this.#lastId;
    const leftMs = options.deadlineMs - this.#world.clock.monotonicMs();
    this.#send([REQUEST, id, to, message.kind, message.tenant, message.trace, leftMs], message.body, options.transfer);
    this.#exchanges.set(id, exchange);
    return {
      abort: ({ code, message }) => {
        if (this.#exchanges.delete(id)) this.#send([ABORT, id, code, message]);
      },
      credit: (messages, bytes) => this.#send([CREDIT, id, messages, bytes]),
    };
  }

  publish(subject: string, { kind, tenant, trace, body }: Message): void {
    if (this.#wanted.has(subject)) this.#send([PUBLISH, subject, kind, tenant, trace], body);
  }

  serve(address: Address, available: boolean): void {
    this.#send([SERVE, address, available]);
  }

  unserve(address: Address): void {
    this.#send([UNSERVE, address]);
  }

  subscribe(subject: string): void {
    this.#send([SUBSCRIBE, subject]);
  }

  unsubscribe(subject: string): void {
    this.#send([UNSUBSCRIBE, subject]);
  }

  /** Gives the peer a port to the thread `name`. */
  introduce(name: string, port: MessagePort): void {
    const introduction: Introduction = { peer: name, port };
    this.#port.postMessage(introduction, [port]);
  }

  /** Posts what is waiting, then fails what is under way on both sides. Also runs when the other thread has ended. */
  close(): void {
    if (this.#ended) return;
    this.#outbox.flush();
    this.#ended = true;
    this.#port.close();
    for (const exchange of this.#exchanges.values())
      exchange.fault(new Fault('unavailable', `thread ${this.peer} has ended`, { retryAfterS: 1 }));
    for (const call of this.#calls.values()) call.abort(new Fault('cancelled', `thread ${this.peer} has ended`));
    this.#exchanges.clear();
    this.#calls.clear();
    this.#host.ended(this);
  }

  #send(head: readonly (string | number | boolean | null)[], body?: unknown, transfer = false): void {
    if (!this.#ended) this.#outbox.add(encode(head, body), transfer);
  }

  readonly #receive = (posted: Batch | Introduction): void => {
    if ('port' in posted) this.#host.introduced(posted.peer, posted.port);
    else openBatch(posted, this.#take);
  };

  readonly #take = (fields: unknown[], sizeBytes: number): void => {
    if (this.#ended) return; // by what an earlier parcel of the batch brought about
    const parcel = fields as Parcel;
    switch (parcel[0]) {
      case REQUEST:
        this.#serveRequest(parcel);
        break;
      case VALUE:
        this.#lastAnswer(parcel[1])?.value(parcel[2]);
        break;
      case ITEM:
        this.#exchanges.get(parcel[1])?.item(parcel[2], sizeBytes);
        break;
      case END:
        this.#lastAnswer(parcel[1])?.end();
        break;
      case FAULT: {
        const [, id, code, message, retryAfterS] = parcel;
        this.#lastAnswer(id)?.fault(faultOf(code, message, retryAfterS));
        break;
      }
      case ABORT: {
        const [, id, code, message] = parcel;
        const call = this.#calls.get(id);
        this.#calls.delete(id);
        call?.abort(faultFromWire({ code, message }));
        break;
      }
      case CREDIT:
        this.#calls.get(parcel[1])?.credit(parcel[2], parcel[3]);
        break;
      case PUBLISH: {
        const [, subject, kind, tenant, trace, body] = parcel;
        this.#host.published(subject, { kind, tenant, trace, body });
        break;
      }
      case SERVE:
        this.#host.peerServes(this, parcel[1], parcel[2]);
        break;
      case UNSERVE:
        this.#host.peerUnserves(this, parcel[1]);
        break;
      case SUBSCRIBE:
        this.#wanted.add(parcel[1]);
        break;
      case UNSUBSCRIBE:
        this.#wanted.delete(parcel[1]);
    }
  };

  #lastAnswer(id: number): Exchange | undefined {
    const exchange = this.#exchanges.get(id);
    this.#exchanges.delete(id);
    return exchange;
  }

  #serveRequest([, id, to, kind, tenant, trace, leftMs, body]: Extract<Parcel, [type: typeof REQUEST, ...rest: unknown[]]>): void {
    const sink = new LinkSink(id, this.#calls, this.#outbox);
    const call = new Call(this.#world.clock.monotonicMs() + leftMs, THREAD_WINDOW, sink, this.#world.timers);
    this.#calls.set(id, call);
    const handler = this.#host.handler(to);
    if (handler === undefined) sink.fault(new Fault('unavailable', `nothing serves ${to}`, { retryAfterS: 1 }));
    else void call.answer(handler, { kind, tenant, trace, body });
  }
}

/** Sends answers back, as long as the call is under way. */
class LinkSink implements AnswerSink {
  readonly #id: number;
  readonly #calls: Map<number, Call>;
  readonly #outbox: Outbox;

  constructor(id: number, calls: Map<number, Call>, outbox: Outbox) {
    this.#id = id;
    this.#calls = calls;
    this.#outbox = outbox;
  }

  value(answer: unknown, transfer: boolean): void {
    this.#last(encode([VALUE, this.#id], answer), transfer);
  }

  item(answer: unknown, transfer: boolean): number {
    const encoded = encode([ITEM, this.#id], answer);
    const sizeBytes = sizeOf(encoded);
    if (this.#calls.has(this.#id)) this.#outbox.add(encoded, transfer);
    return sizeBytes;
  }

  end(): void {
    this.#last(encode([END, this.#id], undefined));
  }

  fault(fault: Fault): void {
    this.#last(encode([FAULT, this.#id, fault.code, fault.message, fault.retryAfterS ?? null], undefined));
  }

  #last(encoded: Encoded, transfer = false): void {
    if (!this.#calls.has(this.#id)) return;
    this.#outbox.add(encoded, transfer);
    this.#calls.delete(this.#id);
  }
}
