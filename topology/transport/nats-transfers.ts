import { MiB } from '../../ops/base/bytes.ts';

/** Bytes of one transfer that may be on their way. */
const TRANSFER_WINDOW = 8 * MiB;
/** Of all transfers of one connection: a broker drops a connection that it cannot write that much to. */
const CONNECTION_WINDOW = 32 * MiB;
/** How often the receiving side says what it has. */
const RECEIVED_EVERY = MiB;

/** One long parcel on its way out. */
export interface Outgoing {
  readonly id: number;
  readonly bytes: Buffer;
  /** Publishes the piece that comes after what was sent. The first one may choose the peer; further ones go to it. */
  readonly publish: (outgoing: Outgoing, piece: Buffer) => void;
  /** Everything was published: what is sent after it arrives after it. */
  readonly onSent: () => void;
  /** All of it has come. */
  readonly onReceived: () => void;
  /** The receiving side lost a part of it, or does not want it. */
  readonly onGone: () => void;
  peer: string | undefined;
  sent: number;
  received: number;
  /** Since the last sign that it goes on. */
  ticks: number;
}

type NewOutgoing = Pick<Outgoing, 'bytes' | 'publish' | 'onSent' | 'onReceived' | 'onGone' | 'peer'>;

/** Parcels that are longer than one message, cut into pieces. Their sum on the way is bounded, whoever receives them. */
export class OutgoingTransfers {
  readonly #open = new Map<number, Outgoing>();
  /** Those that wait for room on the connection. */
  readonly #waiting = new Set<Outgoing>();
  readonly #mostBytes: () => number;
  #lastId = 0;
  #unreceived = 0;

  /** `mostBytes`: of one piece. */
  constructor(mostBytes: () => number) {
    this.#mostBytes = mostBytes;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  start(wanted: NewOutgoing): Outgoing {
    const outgoing: Outgoing = { ...wanted, id: ++this.#lastId, sent: 0, received: 0, ticks: 0 };
    this.#open.set(outgoing.id, outgoing);
    this.#send(outgoing);
    return outgoing;
  }

  /** `bytes` have come to `peer`. */
  received(id: number, peer: string, bytes: number): void {
    const outgoing = this.#open.get(id);
    if (outgoing === undefined || bytes <= outgoing.received) return;
    this.#unreceived -= bytes - outgoing.received;
    outgoing.received = bytes;
    outgoing.peer = peer;
    outgoing.ticks = 0;
    if (bytes === outgoing.bytes.length) {
      this.#open.delete(id);
      outgoing.onReceived();
    } else this.#send(outgoing);
    this.#sendWaiting();
  }

  gone(id: number): void {
    const outgoing = this.#open.get(id);
    if (outgoing !== undefined) this.#giveUp(outgoing);
  }

  /** Nobody waits for it any more. Returns the peer that is to hear of it, if any has a part of it. */
  drop(outgoing: Outgoing): string | undefined {
    if (!this.#open.has(outgoing.id)) return undefined;
    this.#forget(outgoing);
    return outgoing.peer;
  }

  /** Gives up what nobody has told of for more ticks, apart from what waits here. */
  tick(most: number): void {
    for (const outgoing of this.#open.values()) if (!this.#waiting.has(outgoing) && ++outgoing.ticks > most) this.#giveUp(outgoing);
  }

  #giveUp(outgoing: Outgoing): void {
    this.#forget(outgoing);
    outgoing.onGone();
  }

  #forget(outgoing: Outgoing): void {
    this.#open.delete(outgoing.id);
    this.#waiting.delete(outgoing);
    this.#unreceived -= outgoing.sent - outgoing.received;
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (const outgoing of this.#waiting) {
      if (this.#unreceived >= CONNECTION_WINDOW) return;
      this.#waiting.delete(outgoing);
      outgoing.ticks = 0;
      this.#send(outgoing);
    }
  }

  #send(outgoing: Outgoing): void {
    const { bytes } = outgoing;
    const most = this.#mostBytes();
    while (outgoing.sent < bytes.length) {
      if (outgoing.sent > 0 && outgoing.peer === undefined) return;
      if (outgoing.sent - outgoing.received >= TRANSFER_WINDOW) return;
      if (this.#unreceived >= CONNECTION_WINDOW) {
        this.#waiting.add(outgoing);
        return;
      }
      const piece = bytes.subarray(outgoing.sent, outgoing.sent + most);
      outgoing.publish(outgoing, piece);
      outgoing.sent += piece.length;
      this.#unreceived += piece.length;
      if (outgoing.sent === bytes.length) outgoing.onSent();
    }
  }
}

interface Incoming {
  readonly bytes: Buffer;
  received: number;
  told: number;
  /** Since the last piece. */
  ticks: number;
  readonly deliver: (bytes: Buffer) => void;
}

/** What is to be told to the sender of a piece; undefined: nothing. */
export type Told = { readonly received: number } | 'gone' | undefined;

/** Long parcels on their way in. */
export class IncomingTransfers {
  readonly #open = new Map<string, Incoming>();

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** The first piece of `totalBytes`; the whole goes to `deliver`. */
  begin(peer: string, transfer: number, totalBytes: number, piece: Uint8Array, deliver: (bytes: Buffer) => void): Told {
    const bytes = Buffer.allocUnsafeSlow(totalBytes);
    this.#open.set(`${peer} ${transfer}`, { bytes, received: 0, told: 0, ticks: 0, deliver });
    return this.piece(peer, transfer, 0, piece);
  }

  piece(peer: string, transfer: number, offset: number, piece: Uint8Array): Told {
    const key = `${peer} ${transfer}`;
    const incoming = this.#open.get(key);
    if (incoming === undefined) return 'gone';
    const { bytes, received } = incoming;
    if (offset !== received || received + piece.length > bytes.length) {
      this.#open.delete(key);
      return 'gone';
    }
    bytes.set(piece, received);
    incoming.received += piece.length;
    incoming.ticks = 0;
    const isWhole = incoming.received === bytes.length;
    if (isWhole) {
      this.#open.delete(key);
      incoming.deliver(bytes);
    }
    if (!isWhole && received > 0 && incoming.received - incoming.told < RECEIVED_EVERY) return undefined;
    incoming.told = incoming.received;
    return { received: incoming.received };
  }

  dropped(peer: string, transfer: number): void {
    this.#open.delete(`${peer} ${transfer}`);
  }

  /** Gives up what has not come on for more ticks. */
  tick(most: number): void {
    for (const [key, incoming] of this.#open) if (++incoming.ticks > most) this.#open.delete(key);
  }
}
