import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { ClusterSubjects } from '../nats/subjects.ts';
import { type AnswerSink, Call } from './call.ts';
import { NATS_WINDOW, silentTicks, type Vigilance } from './nats-asked.ts';
import { ACCEPT, type BulkParcel, END, FAULT, ITEM, PONG, VALUE } from './nats-parcels.ts';
import { type Destination, Lane, type Post, type Sending } from './nats-post.ts';
import { sizeOf } from './parcel.ts';
import type { Handler } from './transport.ts';
import { type Encoded, encode } from './wire.ts';

interface Served {
  readonly call: Call;
  readonly answers: Answers;
  /** Since the last sign that somebody waits for it. */
  ticks: number;
  /** Of its stream, as far as is known. */
  readMessages: number;
  readBytes: number;
}

interface ServedParts {
  readonly post: Post;
  readonly subjects: ClusterSubjects;
  readonly world: World;
  readonly vigilance: Vigilance;
  /** Something is under way. */
  readonly begun: () => void;
}

/** The requests of other peers that this one works on. */
export class ServedRequests {
  readonly #parts: ServedParts;
  /** By peer and id. */
  readonly #open = new Map<string, Served>();
  /** Of those that are answered: long answers that are still on their way. */
  readonly #ending = new Map<string, Answers>();

  constructor(parts: ServedParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#open.size === 0 && this.#ending.size === 0;
  }

  serve(handler: Handler | undefined, peer: string, parcel: BulkParcel & [type: 0, ...rest: unknown[]]): void {
    const { post, subjects, world, begun } = this.#parts;
    const [, id, to, kind, tenant, trace, leftMs, body] = parcel;
    const key = `${peer} ${id}`;
    const nowMs = world.clock.monotonicMs();
    const destination = { subject: `${subjects.inbox(peer)}.${id}`, peer, id, tellNobody: false };
    const answers: Answers = new Answers(post, destination, (broken) => {
      this.#open.delete(key);
      if (!answers.isDelivered) this.#ending.set(key, answers);
      if (broken !== undefined) call.abort(broken);
    });
    const call = new Call(nowMs + leftMs, NATS_WINDOW, answers, world.timers);
    if (handler === undefined) {
      answers.fault(new Fault('unavailable', `nothing serves ${to}`, { retryAfterS: 1 }));
      return;
    }
    this.#open.set(key, { call, answers, ticks: 0, readMessages: 0, readBytes: 0 });
    begun();
    answers.accept();
    void call.answer(handler, { kind, tenant, trace, body });
  }

  abort(peer: string, id: number, reason: Fault): void {
    this.#giveUp(`${peer} ${id}`, reason);
  }

  #giveUp(key: string, reason: Fault): void {
    const served = this.#open.get(key);
    const answers = served?.answers ?? this.#ending.get(key);
    this.#open.delete(key);
    this.#ending.delete(key);
    answers?.drop();
    served?.call.abort(reason);
  }

  /** So much of the stream was read in all. */
  credit(peer: string, id: number, messages: number, bytes: number): void {
    const served = this.#open.get(`${peer} ${id}`);
    if (served === undefined) return;
    const more = [messages - served.readMessages, bytes - served.readBytes] as const;
    if (more[0] <= 0 && more[1] <= 0) return;
    served.readMessages = messages;
    served.readBytes = bytes;
    served.call.credit(...more);
  }

  /** Tells the peer which of its requests nothing is known of, and what is out of the streams of others. */
  pinged(peer: string, ids: readonly number[], read: readonly number[]): void {
    for (const [index, id] of ids.entries()) this.credit(peer, id, read[2 * index], read[2 * index + 1]);
    const unknown = ids.filter((id) => {
      const key = `${peer} ${id}`;
      const served = this.#open.get(key);
      if (served !== undefined) served.ticks = 0;
      return served === undefined && this.#ending.get(key)?.isDelivered !== false;
    });
    const sent = ids.flatMap((id) => {
      const items = this.#open.get(`${peer} ${id}`)?.answers.itemsOut ?? 0;
      return items > 0 ? [id, items] : [];
    });
    const { post } = this.#parts;
    post.control(peer, [PONG, post.me, unknown, sent]);
  }

  /** Gives up what nobody has asked for in a while: who waits for long asks again and again. */
  tick(): void {
    // Twice as long as the other side waits, which is the first to know.
    const most = 2 * silentTicks(this.#parts.vigilance);
    for (const [key, served] of this.#open) {
      if (++served.ticks > most) this.#giveUp(key, new Fault('cancelled', 'the process that asked is gone'));
    }
    for (const [key, answers] of this.#ending) if (answers.isDelivered) this.#ending.delete(key);
  }

  /** The transport is closed. */
  abortAll(reason: Fault): void {
    for (const key of [...this.#open.keys(), ...this.#ending.keys()]) this.#giveUp(key, reason);
  }
}

/** Sends the answers of one call, in order. */
class Answers implements AnswerSink {
  readonly #post: Post;
  readonly #destination: Destination;
  readonly #over: (broken?: Fault) => void;
  readonly #lane = new Lane();
  /** Those that were not out at once. */
  #sending: Sending[] = [];
  #items = 0;
  #isOver = false;

  /** `over`: the last answer was given, or, with the reason, what else there is cannot be. */
  constructor(post: Post, destination: Destination, over: (broken?: Fault) => void) {
    this.#post = post;
    this.#destination = destination;
    this.#over = over;
  }

  /** Whether all that was sent has come, or will without more being done. */
  get isDelivered(): boolean {
    return this.#sending.every(({ isOver }) => isOver);
  }

  /** Items of the stream that were sent as a whole. */
  get itemsOut(): number {
    return this.#items - this.#sending.filter(({ isOver }) => !isOver).length;
  }

  accept(): void {
    this.#send(encode([ACCEPT, this.#destination.id, this.#post.me], undefined));
  }

  value(answer: unknown, transfer: boolean): void {
    this.#last(encode([VALUE, this.#destination.id], answer), transfer);
  }

  item(answer: unknown, transfer: boolean): number {
    const encoded = encode([ITEM, this.#destination.id, this.#items + 1], answer);
    this.#items++;
    const sizeBytes = sizeOf(encoded);
    this.#send(encoded, transfer);
    return sizeBytes;
  }

  end(): void {
    this.#last(encode([END, this.#destination.id, this.#items], undefined));
  }

  fault({ code, message, retryAfterS }: Fault): void {
    this.#last(encode([FAULT, this.#destination.id, code, message, retryAfterS ?? null], undefined));
  }

  #last(encoded: Encoded, transfer = false): void {
    if (this.#isOver) return;
    this.#send(encoded, transfer);
    this.#isOver = true;
    this.#over();
  }

  #send(encoded: Encoded, transfer = false): void {
    if (this.#isOver) return;
    const sending = this.#post.send(encoded, transfer, this.#destination, this.#lane, () => this.#broken());
    if (sending.isOver) return;
    this.#sending = this.#sending.filter(({ isOver }) => !isOver);
    this.#sending.push(sending);
  }

  /** A part of an answer is lost. If it was the last one, the other side finds out when it asks what became of it. */
  #broken(): void {
    if (this.#isOver) return;
    this.fault(new Fault('unavailable', 'a part of the answer was lost', { retryAfterS: 1 }));
    this.#over(new Fault('cancelled', 'a part of the answer was lost'));
  }

  /** Nobody waits for answers any more. */
  drop(): void {
    this.#isOver = true;
    for (const sending of this.#sending) sending.drop();
  }
}
