import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect, credsAuthenticator, ErrorCode, Events, type NatsConnection, nkeyAuthenticator } from 'nats';
import { MiB } from '../../ops/base/bytes.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { Subscription } from '../transport/transport.ts';
import type { Broker, BrokerMessage } from './broker.ts';

export interface NatsOptions {
  /** `host:port`, or `nats://…`, of one or more servers of one NATS cluster. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** A file that holds the seed of an nkey. */
  readonly nkeyFile?: string;
  /** A .creds file: a JWT and the seed of its nkey. */
  readonly credentialsFile?: string;
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
}

/** A server that does not answer pings for twice this long is given up. */
const PING_MS = 5_000;
/** Before the first connection is there. */
const RETRY_MS = 1_000;
const CONNECT_LIMIT_MS = 5_000;
/** What may be better in a while; nothing else is. */
const AWAY: ReadonlySet<unknown> = new Set([
  ErrorCode.ConnectionRefused,
  ErrorCode.ConnectionTimeout,
  ErrorCode.Timeout,
  ErrorCode.Disconnect,
  ErrorCode.ConnectionClosed,
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
/** NATS' own default. */
const DEFAULT_MAX_PAYLOAD = MiB;
const RECONNECT_MS = 100;
const RECONNECT_JITTER_MS = 400;
/** The status of a message that stands for "nobody subscribes". */
const NO_RESPONDERS = 503;

/** Connects, for as long as it takes, and stays connected. Rejects if it is refused: wrong credentials and certificates get no better by waiting. */
export async function connectNats(options: NatsOptions, name: string, instruments: Instruments): Promise<NatsBroker> {
  const settings = { ...connectionOptions(options), name };
  for (;;) {
    try {
      return new NatsBroker(await connect(settings), instruments);
    } catch (error) {
      if (!AWAY.has((error as { code?: unknown }).code)) throw error;
      instruments.log.warn('NATS cannot be reached, will be tried again', { servers: options.servers, error: String(error) });
      await sleep(RETRY_MS * (0.5 + Math.random() / 2));
    }
  }
}

function connectionOptions({ servers, user, password, nkeyFile, credentialsFile, tls }: NatsOptions): ConnectionOptions {
  return {
    servers: [...servers],
    timeout: CONNECT_LIMIT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_MS,
    ...(user !== undefined && { user, pass: password ?? '' }),
    ...(nkeyFile !== undefined && { authenticator: nkeyAuthenticator(Buffer.from(readFileSync(nkeyFile, 'utf8').trim())) }),
    ...(credentialsFile !== undefined && { authenticator: credsAuthenticator(readFileSync(credentialsFile)) }),
    ...(tls !== undefined && { tls }),
  };
}

/** One connection to NATS. */
export class NatsBroker implements Broker {
  readonly connection: NatsConnection;
  readonly #instruments: Instruments;
  readonly #lost = new Set<() => void>();
  #connected = true;
  #maxPayload = DEFAULT_MAX_PAYLOAD;

  constructor(connection: NatsConnection, instruments: Instruments) {
    this.connection = connection;
    this.#instruments = instruments;
    void this.#watch();
  }

  get maxPayload(): number {
    // While it connects anew it knows nothing of its server.
    this.#maxPayload = this.connection.info?.max_payload ?? this.#maxPayload;
    return this.#maxPayload;
  }

  get connected(): boolean {
    return this.#connected;
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    if (!this.connection.isClosed()) this.connection.publish(subject, payload, reply === undefined ? {} : { reply });
  }

  subscribe(subject: string, receive: (message: BrokerMessage) => void, queue?: string): Subscription {
    const subscription = this.connection.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error !== null) this.#instruments.log.error('subscription refused', { subject, error });
        else {
          const nobody = message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
          receive({ subject: message.subject, payload: message.data, reply: message.reply ?? '', nobody });
        }
      },
    });
    return { close: () => subscription.unsubscribe() };
  }

  whenLost(action: () => void): Subscription {
    this.#lost.add(action);
    return { close: () => void this.#lost.delete(action) };
  }

  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    if (this.#connected) await this.connection.drain();
    else await this.connection.close();
  }

  async #watch(): Promise<void> {
    const { log } = this.#instruments;
    for await (const { type, data } of this.connection.status()) {
      if (type === Events.Disconnect) {
        this.#connected = false;
        log.warn('connection to NATS lost', { server: data });
        for (const action of this.#lost) action();
      } else if (type === Events.Reconnect) {
        this.#connected = true;
        log.info('connected to NATS again', { server: data });
      } else if (type === Events.Error) log.warn('NATS reports an error', { error: data });
    }
    this.#connected = false;
  }
}
