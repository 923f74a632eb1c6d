import { type NatsConnection, headers as newHeaders, type ServiceMsg } from 'nats';
import { SINGLE_TENANT } from '../../actors/tenants.ts';
import { subjectToken, tokenText } from '../../topology/nats/subjects.ts';
import { KiB, lengthOf, MiB, release } from '../base/bytes.ts';
import { asFault, Fault } from '../base/fault.ts';
import type { Instruments } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import { BodyBudget } from '../http/body.ts';
import { faultReply, isHidden } from '../http/fault-reply.ts';
import type { HttpReply, HttpRequest, Route, SocketRoute } from '../http/route.ts';
import { tenantOf } from '../http/tenant.ts';

export interface NatsServicesDeps {
  readonly connection: NatsConnection;
  /** Those of the HTTP server: a service answers as its route does. */
  readonly routes: readonly Route[];
  readonly sockets: readonly SocketRoute[];
  readonly authEnabled: boolean;
  /** Bodies of pushes that are in memory at once. */
  readonly maxInflightBodyBytes: number;
  readonly version: string;
  readonly world: World;
  readonly instruments: Instruments;
}

/** By the last part of `logs.<tenant>.<name>`. `pathParam`: a parameter that stands in the route's path. */
const SERVICES: Readonly<Record<string, { readonly method: string; readonly path: string; readonly pathParam?: string }>> = {
  push: { method: 'POST', path: '/loki/api/v1/push' },
  query: { method: 'GET', path: '/loki/api/v1/query' },
  query_range: { method: 'GET', path: '/loki/api/v1/query_range' },
  labels: { method: 'GET', path: '/loki/api/v1/labels' },
  label_values: { method: 'GET', path: '/loki/api/v1/label/:name/values', pathParam: 'name' },
  series: { method: 'GET', path: '/loki/api/v1/series' },
  stats: { method: 'GET', path: '/loki/api/v1/index/stats' },
};
const TAIL_PATH = '/loki/api/v1/tail';
const SUBJECT_ROOT = 'logs';
/** A request with this header takes an answer in several messages. Each says which it is of how many. */
const TAKES_PARTS = 'Millrace-Parts';
const PART = 'Millrace-Part';
const RETRY_AFTER = 'Retry-After';
/** NATS' own. */
const DEFAULT_MAX_PAYLOAD = MiB;
/** Of a payload that is left free for headers. */
const RESERVED_BYTES = 4 * KiB;
/** Where a tail is told that nobody listens to it any more. */
const LISTENING_CHECK = '_millrace_tails';

/** Services of NATS' micro protocol, for clients that push and query by request and reply: JSON in and out, as over HTTP; the tenant is a part of the subject, so that it is the
 *  server's accounts that say who may be whom. Returns what ends them. */
export async function serveNats(deps: NatsServicesDeps): Promise<() => Promise<void>> {
  const { connection, version } = deps;
  const service = await connection.services.add({
    name: 'millrace',
    version,
    description: 'A log store that speaks LogQL: push and query by request and reply.',
  });
  const group = service.addGroup(SUBJECT_ROOT);
  const bodies = new BodyBudget(deps.maxInflightBodyBytes);
  for (const [name, { method, path, pathParam }] of Object.entries(SERVICES)) {
    const route = deps.routes.find((one) => one.path === path && one.methods.some((known) => known === method));
    if (route === undefined) throw new Error(`no route ${method} ${path}`);
    const endpoint = { method, pathParam, bodies, deps };
    group.addEndpoint(name, { subject: `*.${name}`, handler: (_, message) => void answer(message, route, endpoint) });
  }
  const tail = deps.sockets.find(({ path }) => path === TAIL_PATH);
  const tails = new Tails(deps);
  if (tail !== undefined) group.addEndpoint('tail', { subject: '*.tail', handler: (_, message) => void tails.run(message, tail) });
  await connection.flush(); // whoever is told that the process is ready finds them
  return async () => {
    await service.stop();
    await tails.stop();
  };
}

/** The subject that a service of a tenant is asked on. */
export function serviceSubject(tenant: string, name: string): string {
  return `${SUBJECT_ROOT}.${subjectToken(tenant)}.${name}`;
}

interface Endpoint {
  readonly method: string;
  readonly pathParam: string | undefined;
  readonly bodies: BodyBudget;
  readonly deps: NatsServicesDeps;
}

async function answer(message: ServiceMsg, route: Route, { method, pathParam, bodies, deps }: Endpoint): Promise<void> {
  const trace = traceOf(message, deps.world);
  try {
    const request = requestOf(message, { method, pathParam, tenant: tenantIn(message.subject, deps), trace, bodies });
    respond(message, await route.handle(request), deps.connection);
  } catch (error) {
    respondFault(message, error, trace, deps);
  }
}

/** Throws Fault unauthorized or bad_request. */
function tenantIn(subject: string, { authEnabled }: NatsServicesDeps): string {
  const token = subject.split('.')[1] ?? '';
  const named = tokenText(token);
  if (named === undefined)
    throw new Fault('bad_request', `'${token}' in the subject is no tenant; what a subject cannot have is percent-encoded`);
  if (!authEnabled && named !== SINGLE_TENANT)
    throw new Fault('unauthorized', `without -auth.enabled there is one tenant: ${SINGLE_TENANT}`);
  return tenantOf(named, { authEnabled, several: false });
}

function traceOf({ headers }: ServiceMsg, world: World): string {
  const given = headers?.get('traceparent') ?? '';
  if (given !== '') return given;
  const id = world.random.id();
  return `00-${id}-${id.slice(16)}-00`;
}

interface RequestParts {
  readonly method: string;
  readonly tenant: string;
  readonly trace: string;
  readonly pathParam?: string | undefined;
  readonly bodies?: BodyBudget;
  readonly signal?: AbortSignal;
}

/** A message as its route reads it. */
function requestOf({ data, headers }: ServiceMsg, { method, tenant, trace, pathParam, bodies, signal }: RequestParts): HttpRequest {
  const isPush = method === 'POST';
  const params = isPush ? new URLSearchParams() : paramsIn(data);
  const header = (name: string): string => headers?.get(name) || (isPush && name === 'content-type' ? 'application/json' : '');
  return {
    method,
    tenant,
    trace,
    signal: signal ?? new AbortController().signal,
    header,
    pathParam: (name) => (name === pathParam ? (params.get(name) ?? '') : ''),
    params: async () => params,
    async body(limitBytes) {
      if (data.length > limitBytes)
        throw new Fault('too_large', `request body too large, limit: ${limitBytes} bytes, got: ${data.length} bytes`);
      bodies?.take(data.length);
      const bytes = Buffer.allocUnsafeSlow(data.length);
      bytes.set(data);
      const giveBack = (): void => {
        bodies?.give(data.length);
        release(bytes);
      };
      return { bytes, release: giveBack };
    },
  };
}

/** A JSON object of what would be in a URL: texts and numbers, or lists of them. Throws Fault bad_request. */
function paramsIn(data: Uint8Array): URLSearchParams {
  const params = new URLSearchParams();
  if (data.length === 0) return params;
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(data).toString());
  } catch (error) {
    throw new Fault('bad_request', `the parameters are no JSON: ${(error as Error).message}`);
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw new Fault('bad_request', 'the parameters are to be a JSON object');
  for (const [name, value] of Object.entries(read)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one !== 'string' && typeof one !== 'number' && typeof one !== 'boolean')
        throw new Fault('bad_request', `parameter ${name} is neither a text nor a number`);
      params.append(name === 'match' ? 'match[]' : name, String(one));
    }
  }
  return params;
}

function respond(message: ServiceMsg, { status, body = '' }: HttpReply, connection: NatsConnection): void {
  const chunks = typeof body === 'string' ? [Buffer.from(body)] : body;
  if (status >= 400) {
    message.respondError(status, Buffer.concat(chunks).toString().trimEnd());
    return;
  }
  const most = (connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD) - RESERVED_BYTES;
  const sizeBytes = lengthOf(chunks);
  if (sizeBytes <= most) {
    message.respond(Buffer.concat(chunks));
    return;
  }
  if (!message.headers?.has(TAKES_PARTS)) {
    throw new Fault(
      'too_large',
      `the answer takes ${sizeBytes} bytes, limit of a message: ${most}; ask for less, or take it in parts: with the header ${TAKES_PARTS} it comes in several messages`,
    );
  }
  const whole = Buffer.concat(chunks);
  const parts = Math.ceil(sizeBytes / most);
  for (let part = 0; part < parts; part++) {
    const headers = newHeaders();
    headers.set(PART, `${part + 1}/${parts}`);
    message.respond(whole.subarray(part * most, (part + 1) * most), { headers });
  }
}

function respondFault(message: ServiceMsg, error: unknown, trace: string, { instruments }: NatsServicesDeps): void {
  const fault = asFault(error);
  if (isHidden(fault)) instruments.log.error('request failed', { subject: message.subject, code: fault.code, trace, error });
  const { status, body, headers: told = {} } = faultReply(fault, trace);
  const headers = newHeaders();
  if (told['retry-after'] !== undefined) headers.set(RETRY_AFTER, told['retry-after']);
  message.respondError(status, String(body).replaceAll(/\s*\n\s*/g, ' '), undefined, { headers });
}

/** Live tails: every message of one goes to the reply subject, until nobody subscribes to that any more. */
class Tails {
  readonly #deps: NatsServicesDeps;
  readonly #running = new Map<string, AbortController>();
  readonly #ended: ReturnType<NatsConnection['subscribe']>;
  readonly #inbox: string;

  constructor(deps: NatsServicesDeps) {
    this.#deps = deps;
    this.#inbox = `${LISTENING_CHECK}.${deps.world.random.id()}`;
    this.#ended = deps.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, { subject, headers }) => {
        if (error === null && headers?.code === 503)
          this.#stop(subject.slice(this.#inbox.length + 1), new Fault('cancelled', 'nobody listens any more'));
      },
    });
  }

  async run(message: ServiceMsg, route: SocketRoute): Promise<void> {
    const { world, connection } = this.#deps;
    const inbox = this.#inbox;
    const trace = traceOf(message, world);
    const id = world.random.id();
    const cancel = new AbortController();
    this.#running.set(id, cancel);
    try {
      const tenant = tenantIn(message.subject, this.#deps);
      const { reply } = message;
      if (reply === undefined || reply === '') throw new Fault('bad_request', 'a tail needs a reply subject');
      const session = await route.prepare(requestOf(message, { method: 'GET', tenant, trace, signal: cancel.signal }));
      await session.open();
      await session.run({
        async send(text) {
          connection.publish(reply, text, { reply: `${inbox}.${id}` });
          await connection.flush();
        },
      });
    } catch (error) {
      if (!cancel.signal.aborted) respondFault(message, error, trace, this.#deps);
    } finally {
      this.#running.delete(id);
    }
  }

  #stop(id: string, reason: Fault): void {
    this.#running.get(id)?.abort(reason);
    this.#running.delete(id);
  }

  async stop(): Promise<void> {
    this.#ended.unsubscribe();
    for (const id of [...this.#running.keys()]) this.#stop(id, new Fault('unavailable', 'shutting down'));
  }
}
