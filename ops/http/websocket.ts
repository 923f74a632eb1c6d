import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { KiB } from '../base/bytes.ts';
import { asFault, Fault } from '../base/fault.ts';
import type { Logger } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import { faultReply, faultText, isHidden } from './fault-reply.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { type HttpReply, type HttpRequest, type Route, routeLabel, type SocketRoute, type SocketSession } from './route.ts';

export interface WebSocketsDeps {
  readonly world: World;
  readonly log: Logger;
  readonly metrics: RequestMetrics;
  /** Throws the Faults that refuse every request alike. */
  readonly requestOf: (message: IncomingMessage, trace: string, signal: AbortSignal) => HttpRequest;
  readonly traceOf: (message: IncomingMessage) => string;
}

/** Close codes of RFC 6455. */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
/** Most bytes of the reason of a close. */
const MOST_REASON = 123;

/** Clients say nothing but pongs. */
const MOST_INCOMING = 64 * KiB;
const PING_MS = 1_000;
/** A client that answers no ping for so long is gone. */
const SILENCE_MS = 60_000;
/** How long a client gets to answer a close. */
const CLOSE_MS = 1_000;

/** The connections that changed from HTTP to the websocket protocol. */
export class WebSockets {
  readonly #routes: ReadonlyMap<string, SocketRoute>;
  readonly #deps: WebSocketsDeps;
  readonly #server = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: MOST_INCOMING, perMessageDeflate: false });
  readonly #running = new Map<AbortController, Promise<void>>();

  constructor(routes: readonly SocketRoute[], deps: WebSocketsDeps) {
    this.#routes = new Map(routes.map((route) => [route.path, route]));
    this.#deps = deps;
  }

  /** What answers requests for these paths that do not ask for the websocket protocol. */
  plainRoutes(): Route[] {
    return [...this.#routes.values()].map((route) => ({
      methods: ['GET', 'POST'],
      path: route.path,
      access: 'tenant',
      handle: refusePlain(route),
    }));
  }

  /** Whether a request that asks for another protocol is for `upgrade`. Others are answered as if they had not asked: HTTP/2 is offered by many clients. */
  takes(message: IncomingMessage): boolean {
    const wanted = message.headers.upgrade?.toLowerCase() === 'websocket';
    return wanted && message.method === 'GET' && this.#routeOf(message) !== undefined;
  }

  #routeOf({ url = '' }: IncomingMessage): SocketRoute | undefined {
    return this.#routes.get(url.split('?', 1)[0]);
  }

  upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    const cancel = new AbortController();
    const running = this.#serve(message, socket, head, cancel).finally(() => this.#running.delete(cancel));
    this.#running.set(cancel, running);
  }

  /** Closes all connections with a code that says why; resolves when they are gone. */
  async close(reason: Fault): Promise<void> {
    const all = [...this.#running.values()];
    for (const cancel of this.#running.keys()) cancel.abort(reason);
    await Promise.all(all);
  }

  async #serve(message: IncomingMessage, socket: Duplex, head: Buffer, cancel: AbortController): Promise<void> {
    const { world, metrics, log, requestOf, traceOf } = this.#deps;
    const route = this.#routeOf(message)!;
    const label = routeLabel(route.path);
    const beganMs = world.clock.monotonicMs();
    const trace = traceOf(message);
    let status = 101;
    metrics.begin('GET', label);
    socket.on('error', () => {}); // its close follows
    socket.once('close', () => cancel.abort(new Fault('cancelled', 'the client is gone')));
    const early = readEarly(socket, head);
    try {
      const session = await route.prepare(requestOf(message, trace, cancel.signal));
      const failure = await session.open().then(() => undefined, asFault);
      const connection = await this.#establish(message, socket, early.stop(), cancel.signal);
      await this.#converse(connection, session, failure, { cancel, trace, path: route.path });
    } catch (error) {
      const fault = asFault(error);
      status = fault.status;
      if (isHidden(fault)) log.error('request failed', { method: 'GET', path: route.path, code: fault.code, trace, error });
      if (!socket.destroyed) refuse(socket, faultReply(fault, trace));
    } finally {
      metrics.end('GET', label, status, (world.clock.monotonicMs() - beganMs) / 1_000, true);
    }
  }

  /** Rejects, with the signal's reason, if the client broke off or its handshake was wrong (then it was told). */
  #establish(message: IncomingMessage, socket: Duplex, head: Buffer, signal: AbortSignal): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
      else this.#server.handleUpgrade(message, socket, head, resolve);
    });
  }

  /** Resolves when the connection is gone. `failure`: why the session could not begin. */
  async #converse(
    connection: WebSocket,
    session: SocketSession,
    failure: Fault | undefined,
    { cancel, trace, path }: { cancel: AbortController; trace: string; path: string },
  ): Promise<void> {
    const { signal } = cancel;
    const gone = new Promise<void>((resolve) => connection.once('close', () => resolve()));
    connection.on('error', () => {}); // of the protocol: its close follows
    const stopPings = this.#keepAlive(connection);
    const send = (text: Uint8Array): Promise<void> => new Promise((sent) => connection.send(text, { binary: false }, () => sent()));
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    aborted.catch(() => {}); // it is raced against, or not needed
    try {
      if (failure !== undefined) throw failure;
      signal.throwIfAborted();
      await Promise.race([session.run({ send }), aborted]);
      connection.close(NORMAL);
    } catch (error) {
      const fault = asFault(signal.aborted ? signal.reason : error);
      if (isHidden(fault)) this.#deps.log.error('websocket session failed', { path, code: fault.code, trace, error });
      connection.close(signal.aborted ? GOING_AWAY : INTERNAL_ERROR, shortened(faultText(fault, trace)));
    } finally {
      const cancelTimer = this.#deps.world.timers.after(CLOSE_MS, () => connection.terminate());
      await gone;
      cancelTimer();
      stopPings();
      cancel.abort(new Fault('cancelled', 'the connection is closed'));
    }
  }

  /** Pings, one at a time, so that nothing gathers for a client that does not read; ends the connection of one that is silent for too long. */
  #keepAlive(connection: WebSocket): () => void {
    const { clock, timers } = this.#deps.world;
    let heardMs = clock.monotonicMs();
    let answered = true;
    connection.on('pong', () => {
      answered = true;
      heardMs = clock.monotonicMs();
    });
    let cancel = (): void => {};
    const ping = (): void => {
      if (!answered && clock.monotonicMs() - heardMs > SILENCE_MS) {
        connection.terminate();
        return;
      }
      if (answered) connection.ping();
      answered = false;
      cancel = timers.after(PING_MS, ping);
    };
    cancel = timers.after(PING_MS, ping);
    return () => cancel();
  }
}

/** Reads what a client sends before it may: a socket that nobody reads does not tell that the client is gone. */
function readEarly(socket: Duplex, head: Buffer): { stop(): Buffer } {
  const chunks = [head];
  let bytes = head.length;
  const keep = (chunk: Buffer): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST_INCOMING) socket.destroy();
  };
  const end = (): unknown => socket.destroy();
  socket.on('data', keep).once('end', end);
  return {
    stop() {
      socket.off('data', keep).off('end', end); // and still flowing, into whatever is attached in this turn
      return Buffer.concat(chunks);
    },
  };
}

function refusePlain(route: SocketRoute): (request: HttpRequest) => Promise<never> {
  return async (request) => {
    await route.prepare(request);
    throw new Fault('bad_request', `the client is not using the websocket protocol: no 'upgrade' in the request`);
  };
}

/** `text` as far as it fits, whole characters. */
function shortened(text: string): string {
  let bytes = Buffer.from(text).subarray(0, MOST_REASON);
  while (bytes.length > 0 && !text.startsWith(bytes.toString())) bytes = bytes.subarray(0, -1);
  return bytes.toString();
}

/** Answers over a bare socket, and ends it. */
function refuse(socket: Duplex, { status, type = '', headers = {}, body = '' }: HttpReply): void {
  const text = typeof body === 'string' ? Buffer.from(body) : Buffer.concat(body);
  const fields = { connection: 'close', 'content-type': type, 'content-length': String(text.length), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`);
  socket.end(text, () => socket.destroy());
}
