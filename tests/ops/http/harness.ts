import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Asker, AskOptions } from '../../../actors/kernel/define.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld, type World } from '../../../ops/base/world.ts';
import type { QueryLimits } from '../../../ops/http/query.ts';
import type { Route, SocketRoute } from '../../../ops/http/route.ts';
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../../ops/http/server.ts';

export interface Asked {
  readonly to: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at messages of every protocol
  readonly ask: any;
  readonly options: AskOptions;
}

/** Answers every ask with `answer`, and keeps them. An answer that never comes fails when its ask is cancelled, as the real one does. */
export class FakeAsker implements Asker {
  readonly asked: Asked[] = [];
  answer: (asked: Asked) => unknown;
  constructor(answer: (asked: Asked) => unknown = () => ({})) {
    this.answer = answer;
  }
  ask: Asker['ask'] = async (protocol, instance, ask, options) => {
    const asked = { to: `${protocol.component}/${instance}`, ask: options.transfer ? moved(ask) : ask, options };
    this.asked.push(asked);
    const { signal } = options;
    const cancelled = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Fault('cancelled', 'cancelled')), { once: true });
    });
    return Promise.race([this.answer(asked), cancelled]) as never;
  };
}

/** `ask` with its body moved away, as a thread would take it. */
function moved<A>(ask: A): A {
  const { body } = ask as { body: Buffer<ArrayBuffer> };
  return { ...ask, body: Buffer.from(structuredClone(body.buffer, { transfer: [body.buffer] })) };
}

/** Resolves or rejects from outside; for answers that a test holds back. */
export function held<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

export const DEFAULT_OPTIONS: HttpServerOptions = {
  httpListenAddress: '127.0.0.1',
  httpListenPort: 0,
  httpServerReadTimeout: 10_000,
  httpServerWriteTimeout: 10_000,
  httpServerIdleTimeout: 10_000,
  maxInflightBodyBytes: 1 << 20,
  authEnabled: false,
  multiTenantQueriesEnabled: false,
};

export const LIMITS: QueryLimits = {
  allowPartialAnswers: false,
  readAfterWrite: false,
  maxEntriesLimitPerQuery: 5_000,
  maxQueryLength: 721 * 3_600_000,
  maxQueryLookback: 0,
  maxStreamsMatchersPerQuery: 2,
  queryTimeout: 60_000,
};

export const NOW_MS = 1_768_471_200_000;
export const NOW = BigInt(NOW_MS) * 1_000_000n;

/** The real world, in which it is `NOW` for ever. */
export const atNow = (): World => ({ ...realWorld(), clock: { nowMs: () => NOW_MS, monotonicMs: () => 1_000 } });

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface Sent extends RequestOptions {
  body?: string | Uint8Array;
}

/** Our server on a port of its own. */
export class Edge implements AsyncDisposable {
  readonly server: HttpServer;
  readonly port: number;
  private constructor(server: HttpServer, port: number) {
    this.server = server;
    this.port = port;
  }

  static async start(
    routes: readonly Route[],
    options: Partial<HttpServerOptions> = {},
    instruments: Instruments = noInstruments,
    { sockets = [], world = realWorld() }: { sockets?: readonly SocketRoute[]; world?: World } = {},
  ): Promise<Edge> {
    const server = createHttpServer(routes, { world, instruments, options: { ...DEFAULT_OPTIONS, ...options } }, sockets);
    return new Edge(server, await server.listen());
  }

  /** A request under way: `end()` is the caller's. */
  open(path: string, options: RequestOptions = {}): { request: ClientRequest; response: Promise<IncomingMessage> } {
    const request = httpRequest({ host: '127.0.0.1', port: this.port, path, agent: false, ...options });
    const response = new Promise<IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject));
    response.catch(() => {});
    return { request, response };
  }

  async send(path: string, { body, ...options }: Sent = {}): Promise<Reply> {
    const { request, response } = this.open(path, options);
    request.end(body);
    return replyOf(await response);
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Reply> {
    return this.send(path, { headers });
  }

  post(path: string, body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Reply> {
    return this.send(path, { method: 'POST', body, headers });
  }

  /** A bare connection; `received` resolves with all that came once the server ended it. */
  raw(text: string): { socket: Socket; received: Promise<string> } {
    const socket = connect(this.port, '127.0.0.1');
    const received = new Promise<string>((resolve) => {
      let all = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        all += chunk;
      });
      socket.on('error', () => {}).on('close', () => resolve(all));
    });
    socket.write(text);
    return { socket, received };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server.close(0);
  }
}

export async function replyOf(response: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return { status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() };
}

const MOST_TRIES = 5_000;

/** Asks again, with a turn of the event loop between, until `condition` holds; fails rather than go on for ever. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`still not so after ${MOST_TRIES} tries`);
}
