import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { KiB, MiB } from '../base/bytes.ts';
import { asFault, Fault } from '../base/fault.ts';
import type { Instruments } from '../base/instruments.ts';
import { errno, type World } from '../base/world.ts';
import { BodyBudget, discardBody, readBody } from './body.ts';
import { encodeBody } from './encode.ts';
import { faultReply, isHidden } from './fault-reply.ts';
import { RequestMetrics } from './request-metrics.ts';
import { type HttpReply, type HttpRequest, type Route, routeLabel, type SocketRoute, TEXT_TYPE } from './route.ts';
import { tenantOf } from './tenant.ts';
import { WebSockets } from './websocket.ts';

export interface HttpServerOptions {
  readonly httpListenAddress: string;
  readonly httpListenPort: number;
  /** Milliseconds, as the next two. */
  readonly httpServerReadTimeout: number;
  readonly httpServerWriteTimeout: number;
  readonly httpServerIdleTimeout: number;
  readonly maxInflightBodyBytes: number;
  readonly authEnabled: boolean;
  /** Whether X-Scope-OrgID may name several tenants, where a route takes them. */
  readonly multiTenantQueriesEnabled: boolean;
}

export interface HttpServerDeps {
  readonly world: World;
  readonly instruments: Instruments;
  readonly options: HttpServerOptions;
}

export interface HttpServer {
  /** Resolves with the port once connections are taken. */
  listen(): Promise<number>;
  /** Takes no more connections and requests, lets running ones finish for `withinMs`, then cancels and cuts off what is left. */
  close(withinMs: number): Promise<void>;
}

const MAX_HEADER_SIZE = 256 * KiB; // room for a query of 64 KiB in a URL
const MAX_FORM_SIZE = 4 * MiB;
/** How long requests that were cancelled at the end of close() get to answer before they are cut off. */
const LAST_WORD_MS = 200;

export function createHttpServer(routes: readonly Route[], deps: HttpServerDeps, sockets: readonly SocketRoute[] = []): HttpServer {
  const { options, world } = deps;
  const edge = new Edge(deps);
  const websockets = edge.websockets(sockets);
  const app = fastify({
    http: {
      maxHeaderSize: MAX_HEADER_SIZE,
      shouldUpgradeCallback: (message) => websockets.takes(message),
      headersTimeout: options.httpServerReadTimeout,
      connectionsCheckingInterval: Math.max(10, Math.min(1_000, options.httpServerReadTimeout / 4)),
    },
    requestTimeout: options.httpServerReadTimeout,
    keepAliveTimeout: options.httpServerIdleTimeout,
    exposeHeadRoutes: false,
    return503OnClosing: false, // ours is text, with Retry-After
    routerOptions: { maxParamLength: MAX_HEADER_SIZE, querystringParser: () => ({}) },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, _, reply) => void sendText(reply as FastifyReply, error.statusCode ?? 400, error.message),
  });
  // Bodies are read by the handlers that want them, as bytes, whatever their type: fastify would refuse those whose type it cannot read.
  app.addHook('onRequest', (request, _, done) => {
    request.headers = { 'content-type': 'application/octet-stream' };
    done();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setErrorHandler<Error & { statusCode?: number }>((error, _, reply) => sendText(reply, error.statusCode ?? 500, error.message));
  app.setNotFoundHandler((request, reply) => edge.serve(notFound, 'other', request, reply));
  for (const route of [...routes, ...websockets.plainRoutes()]) mount(app, route, edge);
  app.server.on('upgrade', (message, socket, head) => websockets.upgrade(message, socket, head));

  return {
    async listen() {
      await listenOn(app, options);
      const address = app.server.address();
      return typeof address === 'object' && address !== null ? address.port : options.httpListenPort;
    },
    async close(withinMs) {
      edge.refuseAll();
      const sessions = websockets.close(shuttingDown()); // they have no end of their own to wait for
      let open = true;
      const closed = app.close().then(() => {
        open = false;
      });
      const deadlineMs = world.clock.monotonicMs() + withinMs;
      const wait = async (untilMs: number): Promise<void> => {
        while (open && world.clock.monotonicMs() < untilMs) {
          app.server.closeIdleConnections(); // answered before the stop began, kept alive since
          await Promise.race([closed, world.timers.sleep(20)]);
        }
      };
      await wait(deadlineMs);
      edge.cancelAll();
      await wait(deadlineMs + LAST_WORD_MS);
      app.server.closeAllConnections();
      await sessions;
      await closed;
    },
  };
}

const notFound: Route = {
  methods: [],
  path: '*',
  access: 'open',
  handle: async () => ({ status: 404, type: TEXT_TYPE, body: '404 page not found' }),
};

/** `route` under its methods; every other method of that path is answered with 405. */
function mount(app: FastifyInstance, route: Route, edge: Edge): void {
  const label = routeLabel(route.path);
  app.route({ method: [...route.methods], url: route.path, handler: (request, reply) => edge.serve(route, label, request, reply) });
  const others = app.supportedMethods.filter((method) => !route.methods.some((known) => known === method));
  const refused: Route = {
    ...route,
    access: 'open',
    handle: async () => ({ status: 405, headers: { allow: route.methods.join(', ') } }),
  };
  app.route({ method: others, url: route.path, handler: (request, reply) => edge.serve(refused, label, request, reply) });
}

async function listenOn(app: FastifyInstance, { httpListenAddress, httpListenPort }: HttpServerOptions): Promise<void> {
  if (httpListenAddress !== '') {
    await app.listen({ host: httpListenAddress, port: httpListenPort });
    return;
  }
  try {
    await app.listen({ host: '::', port: httpListenPort });
  } catch (error) {
    if (errno(error) !== 'EAFNOSUPPORT' && errno(error) !== 'EADDRNOTAVAIL') throw error;
    await app.listen({ host: '0.0.0.0', port: httpListenPort }); // a machine without IPv6
  }
}

/** Between fastify and our routes: tenant, trace, cancellation, metrics, faults, encoding. */
class Edge {
  readonly #deps: HttpServerDeps;
  readonly #metrics: RequestMetrics;
  readonly #bodies: BodyBudget;
  readonly #running = new Set<AbortController>();
  #closing = false;

  constructor(deps: HttpServerDeps) {
    this.#deps = deps;
    this.#metrics = new RequestMetrics(deps.instruments);
    this.#bodies = new BodyBudget(deps.options.maxInflightBodyBytes);
  }

  websockets(routes: readonly SocketRoute[]): WebSockets {
    const { world, instruments } = this.#deps;
    const requestOf = (raw: IncomingMessage, trace: string, signal: AbortSignal): HttpRequest => {
      if (this.#closing) throw shuttingDown();
      return this.#requestOf(raw, {}, this.#tenantOf(raw, false), trace, signal);
    };
    const traceOf = (raw: IncomingMessage): string => this.#traceOf(raw);
    return new WebSockets(routes, { world, log: instruments.log, metrics: this.#metrics, requestOf, traceOf });
  }

  refuseAll(): void {
    this.#closing = true;
  }

  cancelAll(): void {
    for (const running of this.#running) running.abort(shuttingDown());
  }

  async serve(route: Route, label: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { world } = this.#deps;
    const { method } = request;
    const response = reply.raw;
    const cancel = new AbortController();
    const beganMs = world.clock.monotonicMs();
    this.#running.add(cancel);
    this.#metrics.begin(method, label);
    response.once('close', () => {
      this.#running.delete(cancel);
      if (!response.writableFinished) cancel.abort(new Fault('cancelled', 'the client is gone'));
      const status = response.writableFinished ? response.statusCode : 499;
      this.#metrics.end(method, label, status, (world.clock.monotonicMs() - beganMs) / 1_000);
    });

    const answer = await this.#answer(route, request, cancel.signal);
    const bodyRead = await discardBody(request.raw);
    if (response.destroyed) return reply.hijack();
    if (this.#closing || !bodyRead) reply.header('connection', 'close');
    response.setTimeout(this.#deps.options.httpServerWriteTimeout);
    return send(reply, answer, headerOf(request.raw, 'accept-encoding'));
  }

  async #answer(route: Route, request: FastifyRequest, signal: AbortSignal): Promise<HttpReply> {
    const trace = this.#traceOf(request.raw);
    let tenant = '';
    try {
      if (this.#closing) throw shuttingDown();
      if (route.access !== 'open') tenant = this.#tenantOf(request.raw, route.access === 'tenants');
      const params = request.params as Record<string, string>;
      return await route.handle(this.#requestOf(request.raw, params, tenant, trace, signal));
    } catch (error) {
      const fault = signal.aborted ? asFault(signal.reason) : asFault(error);
      if (isHidden(fault)) {
        const fields = { method: request.method, path: route.path, tenant, code: fault.code, trace, error };
        this.#deps.instruments.log.error('request failed', fields);
      }
      return (route.faultReply ?? faultReply)(fault, trace, { header: (name) => headerOf(request.raw, name) });
    }
  }

  #tenantOf(raw: IncomingMessage, several: boolean): string {
    const { authEnabled, multiTenantQueriesEnabled } = this.#deps.options;
    return tenantOf(headerOf(raw, 'x-scope-orgid'), { authEnabled, several: several && multiTenantQueriesEnabled });
  }

  #requestOf(
    raw: IncomingMessage,
    pathParams: Readonly<Record<string, string>>,
    tenant: string,
    trace: string,
    signal: AbortSignal,
  ): HttpRequest {
    const body = (limitBytes: number) => readBody(raw, limitBytes, this.#bodies);
    return {
      method: raw.method ?? '',
      tenant,
      trace,
      signal,
      header: (name) => headerOf(raw, name),
      pathParam: (name) => pathParams[name] ?? '',
      body,
      async params() {
        const [, search = ''] = splitOnce(raw.url ?? '', '?');
        const isForm = raw.method === 'POST' && /^application\/x-www-form-urlencoded\b/i.test(headerOf(raw, 'content-type'));
        if (!isForm) return new URLSearchParams(search);
        const form = await body(MAX_FORM_SIZE);
        try {
          return new URLSearchParams(`${form.bytes}&${search}`);
        } finally {
          form.release();
        }
      },
    };
  }

  /** The caller's trace, or a new one. */
  #traceOf(message: IncomingMessage): string {
    const given = headerOf(message, 'traceparent');
    if (/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(given)) return given;
    const id = this.#deps.world.random.id();
    return `00-${id}-${id.slice(16)}-00`;
  }
}

function shuttingDown(): Fault {
  return new Fault('unavailable', 'shutting down');
}

function send(reply: FastifyReply, { status, type, headers, body }: HttpReply, acceptEncoding: string): FastifyReply {
  reply.code(status);
  if (type !== undefined) reply.header('content-type', type);
  if (headers !== undefined) reply.headers(headers);
  if (body === undefined) return reply.send();
  const encoded = encodeBody(body, acceptEncoding);
  return reply.headers(encoded.headers).send(encoded.payload);
}

function sendText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return send(reply, { status, type: TEXT_TYPE, body: text }, '');
}

function headerOf(message: IncomingMessage, name: string): string {
  const value = message.headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? '');
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

const CONNECTION_FAILURES: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Answers what never became a request: broken HTTP, headers too large, a request that did not arrive in time. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const status = CONNECTION_FAILURES[error.code ?? ''] ?? 400;
    const text = (STATUS_CODES[status] ?? '').toLowerCase();
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: ${TEXT_TYPE}\r\ncontent-length: ${text.length}`;
    socket.write(`${head}\r\n\r\n${text}`);
  }
  socket.destroySoon();
}
