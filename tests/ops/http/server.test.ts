import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Fault, type FaultCode, type FaultOptions } from '../../../ops/base/fault.ts';
import { exposition } from '../../../ops/exposition.ts';
import { acceptsGzip } from '../../../ops/http/encode.ts';
import type { HttpReply, HttpRequest, Route } from '../../../ops/http/route.ts';
import type { HttpServerOptions } from '../../../ops/http/server.ts';
import { Logs } from '../../../ops/log.ts';
import { Telemetry } from '../../../ops/telemetry.ts';
import { Edge, held, replyOf, until } from './harness.ts';

function route(handle: Route['handle'], more: Partial<Route> = {}): Route {
  return { methods: ['GET', 'POST'], path: '/x', access: 'tenant', handle, ...more };
}
const ok = async (): Promise<HttpReply> => ({ status: 200, body: 'ok' });
const naming = async ({ tenant }: HttpRequest): Promise<HttpReply> => ({ status: 200, body: tenant });
const failing = (error: unknown) => async (): Promise<HttpReply> => {
  throw error;
};

const tenants: [header: string | undefined, status: number, text: string][] = [
  ['team-a', 200, 'team-a'],
  [`A0!-_.*'()`, 200, `A0!-_.*'()`],
  ['x'.repeat(150), 200, 'x'.repeat(150)],
  [undefined, 401, 'no org id'],
  ['', 401, 'no org id'],
  ['a|b', 400, `multiple org IDs present`],
  ['a/b', 400, `tenant ID 'a/b' contains unsupported character '/'`],
  ['..', 400, `tenant ID is '.' or '..'`],
  ['.', 400, `tenant ID is '.' or '..'`],
  ['x'.repeat(151), 400, 'tenant ID is too long: max 150 characters'],
];
for (const [header, status, text] of tenants) {
  test(`tenant ${header}`, async () => {
    await using edge = await Edge.start([route(naming)], { authEnabled: true });
    const reply = await edge.get('/x', header === undefined ? {} : { 'X-Scope-OrgID': header });
    assert.deepEqual([reply.status, reply.text], [status, text]);
  });
}

const several: [header: string, status: number, text: string][] = [
  ['a|b', 200, 'a|b'],
  ['b|a|b', 200, 'a|b'],
  ['a|a', 200, 'a'],
  ['a', 200, 'a'],
  ['a|', 400, 'tenant ID is empty'],
  ['|a', 400, 'tenant ID is empty'],
  ['a||b', 400, 'tenant ID is empty'],
  ['|', 400, 'tenant ID is empty'],
  ['a| b', 400, `tenant ID ' b' contains unsupported character ' '`],
  ['a |b', 400, `tenant ID 'a ' contains unsupported character ' '`],
  ['a|..', 400, `tenant ID is '.' or '..'`],
  ['a|../b', 400, `tenant ID '../b' contains unsupported character '/'`],
  [`a|${'x'.repeat(151)}`, 400, 'tenant ID is too long: max 150 characters'],
  [Array.from({ length: 257 }, (_, number) => number).join('|'), 400, '257 tenants in one query: max 256'],
];
for (const [header, status, text] of several) {
  test(`tenants ${header}`, async () => {
    await using edge = await Edge.start([route(naming, { access: 'tenants' })], { authEnabled: true, multiTenantQueriesEnabled: true });
    const reply = await edge.get('/x', { 'X-Scope-OrgID': header });
    assert.deepEqual([reply.status, reply.text], [status, text]);
  });
}

const single: [what: string, access: Route['access'], options: Partial<HttpServerOptions>][] = [
  ['a route that wants one', 'tenant', { multiTenantQueriesEnabled: true }],
  ['a server that has that turned off', 'tenants', {}],
];
for (const [what, access, options] of single) {
  test(`${what} refuses several tenants`, async () => {
    await using edge = await Edge.start([route(naming, { access })], { authEnabled: true, ...options });
    const { status, text } = await edge.get('/x', { 'X-Scope-OrgID': 'a|b' });
    assert.deepEqual([status, text], [400, 'multiple org IDs present']);
    assert.equal((await edge.get('/x', { 'X-Scope-OrgID': 'a|a' })).text, 'a');
  });
}

test('two headers are not two tenants', async () => {
  await using edge = await Edge.start([route(naming, { access: 'tenants' })], { authEnabled: true, multiTenantQueriesEnabled: true });
  const { status, text } = await edge.send('/x', { headers: { 'X-Scope-OrgID': ['a', 'b'] } });
  assert.deepEqual([status, text], [400, `tenant ID 'a, b' contains unsupported character ','`]);
});

test('without authentication every tenant is fake', async () => {
  await using edge = await Edge.start([route(naming)]);
  assert.equal((await edge.get('/x', { 'X-Scope-OrgID': 'a/b' })).text, 'fake');
});

test('open routes want no tenant', async () => {
  await using edge = await Edge.start([route(naming, { access: 'open' })], { authEnabled: true });
  assert.deepEqual((await edge.get('/x')).text, '');
});

test('an unknown path: 404 as text, also with a body', async () => {
  await using edge = await Edge.start([route(ok)]);
  for (const reply of [await edge.get('/y'), await edge.post('/y', 'body', { 'content-type': 'application/json' })]) {
    assert.deepEqual([reply.status, reply.text, reply.headers['content-type']], [404, '404 page not found', 'text/plain; charset=utf-8']);
  }
});

for (const method of ['PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
  test(`a wrong method, ${method}: 405 and the right ones`, async () => {
    await using edge = await Edge.start([route(ok)]);
    const { status, headers, text } = await edge.send('/x', { method, ...(method.startsWith('P') ? { body: 'b' } : {}) });
    assert.deepEqual([status, headers.allow, text], [405, 'GET, POST', '']);
  });
}

const faults: [code: FaultCode, options: FaultOptions, status: number, retryAfter: string | undefined][] = [
  ['bad_request', {}, 400, undefined],
  ['too_large', {}, 413, undefined],
  ['rate_limited', {}, 429, '1'],
  ['mailbox_full', { retryAfterS: 7.2 }, 429, '8'],
  ['unsupported', {}, 501, undefined],
  ['unavailable', {}, 503, '1'],
  ['disk_full', { retryAfterS: 30 }, 503, '30'],
  ['deadline', {}, 504, '1'],
];
for (const [code, options, status, retryAfter] of faults) {
  test(`fault ${code} is answered with its message`, async () => {
    await using edge = await Edge.start([route(failing(new Fault(code, 'line one\nline two\n', options)))]);
    const reply = await edge.get('/x');
    assert.deepEqual([reply.status, reply.text, reply.headers['retry-after']], [status, 'line one\nline two', retryAfter]);
    assert.equal(reply.headers['content-type'], 'text/plain; charset=utf-8');
  });
}

const hidden: [what: string, error: unknown, status: number, text: RegExp][] = [
  ['an error', new TypeError('secret of /var/lib'), 500, /^internal error, trace id ([0-9a-f]{32})$/],
  ['an internal fault', new Fault('internal', 'secret'), 500, /^internal error, trace id ([0-9a-f]{32})$/],
  ['damaged data', new Fault('corrupt', 'secret'), 500, /^stored data is damaged, trace id ([0-9a-f]{32})$/],
];
for (const [what, error, status, expected] of hidden) {
  test(`${what} is hidden behind a trace id under which it is logged`, async () => {
    const lines: string[] = [];
    const telemetry = new Telemetry('main', new Logs('info', { write: (line) => lines.push(line), nowMs: () => 0 }));
    await using edge = await Edge.start([route(failing(error))], {}, telemetry.instruments('http'));
    const reply = await edge.get('/x');
    assert.equal(reply.status, status);
    const [, trace] = expected.exec(reply.text) ?? assert.fail(reply.text);
    assert.equal(lines.length, 1);
    assert.match(lines[0], new RegExp(`level=error component=http .*trace=00-${trace}-.*secret`));
    telemetry.close();
  });
}

test("the caller's trace is passed on, a broken one replaced", async () => {
  await using edge = await Edge.start([route(async ({ trace }) => ({ status: 200, body: trace }))]);
  const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  assert.equal((await edge.get('/x', { traceparent: trace })).text, trace);
  const made = (await edge.get('/x', { traceparent: `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01` })).text;
  assert.match(made, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.doesNotMatch(made, /^00-0{32}/);
});

for (const type of ['json', 'a/b, c/d', 'text/plain;']) {
  test(`content type "${type}" is no reason to refuse a body`, async () => {
    await using edge = await Edge.start([route(async ({ body }) => ({ status: 200, body: [(await body(10)).bytes] }))]);
    const { status, text } = await edge.post('/x', '{"a":1}', { 'content-type': type });
    assert.deepEqual([status, text], [200, '{"a":1}']);
  });
}

test('a refused request with a body leaves the connection usable', async () => {
  await using edge = await Edge.start([route(ok)], { authEnabled: true });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (let request = 0; request < 3; request++) {
    const { request: sent, response } = edge.open('/x', { method: 'POST', agent });
    sent.end(Buffer.alloc(300_000));
    const reply = await response;
    ports.add(reply.socket.localPort);
    assert.equal((await replyOf(reply)).status, 401);
  }
  assert.equal(ports.size, 1);
  agent.destroy();
});

test('pipelined requests are answered in order', async () => {
  await using edge = await Edge.start([route(async ({ params }) => ({ status: 200, body: `<${(await params()).get('n')}>` }))]);
  const requests = [1, 2, 3].map((n) => `GET /x?n=${n} HTTP/1.1\r\nhost: x\r\n${n === 3 ? 'connection: close\r\n' : ''}\r\n`);
  assert.deepEqual((await edge.raw(requests.join('')).received).match(/<\d>/g), ['<1>', '<2>', '<3>']);
});

// --- answers ---------------------------------------------------------------------------------------------------------------------------------

/** Longer than gzip looks back, so that its copies do not compress either. */
const incompressible = Buffer.concat(Array.from({ length: 2_048 }, (_, index) => createHash('sha256').update(String(index)).digest()));
const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(50_000, String.fromCharCode(97 + (index % 26))));
const whole = Buffer.concat(chunks);

test('a body of many chunks arrives whole, with its length', async () => {
  await using edge = await Edge.start([route(async () => ({ status: 200, body: chunks }))]);
  const { body, headers } = await edge.get('/x');
  assert.ok(body.equals(whole));
  assert.equal(headers['content-length'], String(whole.length));
});

test('a large body is gzipped for those who take it', async () => {
  await using edge = await Edge.start([route(async () => ({ status: 200, body: chunks }))]);
  const { body, headers } = await edge.get('/x', { 'accept-encoding': 'deflate, gzip;q=0.5' });
  assert.deepEqual([headers['content-encoding'], headers.vary], ['gzip', 'Accept-Encoding']);
  assert.ok(gunzipSync(body).equals(whole));
});

test('a body of a few chunks is sent in one piece, gzipped for those who take it', async () => {
  const few = chunks.slice(0, 3).map((chunk) => chunk.subarray(0, 3_000));
  await using edge = await Edge.start([route(async () => ({ status: 200, body: few }))]);
  const gzipped = await edge.get('/x', { 'accept-encoding': 'gzip' });
  assert.deepEqual([gzipped.headers['content-encoding'], gzipped.headers.vary], ['gzip', 'Accept-Encoding']);
  assert.equal(gzipped.headers['content-length'], String(gzipped.body.length));
  assert.ok(gunzipSync(gzipped.body).equals(Buffer.concat(few)));
  const plain = await edge.get('/x');
  assert.deepEqual([plain.headers['content-length'], plain.headers['content-encoding']], ['9000', undefined]);
  assert.ok(plain.body.equals(Buffer.concat(few)));
});

test('a small body is not gzipped', async () => {
  await using edge = await Edge.start([route(ok)]);
  const { text, headers } = await edge.get('/x', { 'accept-encoding': 'gzip' });
  assert.deepEqual([text, headers['content-encoding']], ['ok', undefined]);
});

const encodings: [header: string, gzip: boolean][] = [
  ['', false],
  ['gzip', true],
  ['GZIP', true],
  ['br, gzip', true],
  ['gzip;q=0', false],
  ['gzip; q=0.000', false],
  ['gzip;q=0.1', true],
  ['*', true],
  ['*;q=0', false],
  ['*, gzip;q=0', false],
  ['identity, br', false],
];
for (const [header, gzip] of encodings) test(`accept-encoding "${header}"`, () => assert.equal(acceptsGzip(header), gzip));

for (const encoding of ['identity', 'gzip']) {
  test(`a client that reads slowly holds the answer back (${encoding})`, async () => {
    let taken = 0;
    const endless = {
      [Symbol.iterator]: function* () {
        for (; taken < 1_000; taken++) yield incompressible;
      },
    };
    const body = Object.assign(
      Array.from({ length: 1_000 }, () => incompressible),
      endless,
    );
    await using edge = await Edge.start([route(async () => ({ status: 200, body }))]);
    const { request, response } = edge.open('/x', { headers: { 'accept-encoding': encoding } });
    request.end();
    const reply = await response;
    await settled(() => taken);
    assert.ok(taken < 500, `${taken} of 1000 chunks were taken while nobody read`);
    reply.destroy();
  });
}

test('a client that leaves aborts the signal of its request', async () => {
  const aborted = held<unknown>();
  const begun = held<void>();
  const waiting = async ({ signal }: HttpRequest): Promise<HttpReply> => {
    signal.addEventListener('abort', () => aborted.resolve(signal.reason), { once: true });
    begun.resolve();
    await aborted.promise;
    return { status: 200 };
  };
  await using edge = await Edge.start([route(waiting)]);
  const { request } = edge.open('/x');
  request.on('error', () => {}).end();
  await begun.promise;
  request.destroy();
  assert.equal(((await aborted.promise) as Fault).code, 'cancelled');
});

// --- broken and slow clients -------------------------------------------------------------------------------------------------------------------

const broken: [what: string, text: string, reply: RegExp][] = [
  ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\nbad request$/s],
  ['headers beyond the limit', `GET /x HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(300_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ['headers that never end', 'GET /x HTTP/1.1\r\nhost: x\r\n', /^HTTP\/1\.1 408 Request Timeout\r\n/],
  ['a body that never ends', 'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc', /^HTTP\/1\.1 408 /],
  ['a path that cannot be decoded', 'GET /l/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', /^HTTP\/1\.1 400 .*text\/plain/s],
];
for (const [what, text, expected] of broken) {
  test(`${what} is refused`, async () => {
    const reading = route(async ({ body }) => ({ status: 200, body: [(await body(100)).bytes] }));
    await using edge = await Edge.start([reading, route(ok, { path: '/l/:name' })], { httpServerReadTimeout: 60 });
    assert.match(await edge.raw(text).received, expected);
  });
}

test('a path parameter may be long', async () => {
  await using edge = await Edge.start([route(async ({ pathParam }) => ({ status: 200, body: pathParam('name') }), { path: '/l/:name' })]);
  assert.equal((await edge.get(`/l/${'n'.repeat(100_000)}`)).text.length, 100_000);
});

test('a client that takes nothing of its answer is cut off', async () => {
  const body = Array.from({ length: 500 }, () => incompressible);
  const gone = held<void>();
  const big = async ({ signal }: HttpRequest): Promise<HttpReply> => {
    signal.addEventListener('abort', () => gone.resolve(), { once: true });
    return { status: 200, body };
  };
  await using edge = await Edge.start([route(big)], { httpServerWriteTimeout: 40 });
  const { request, response } = edge.open('/x');
  request.end();
  (await response).on('error', () => {});
  await gone.promise;
});

// --- metrics -----------------------------------------------------------------------------------------------------------------------------------

test('requests are counted by method, route and status', async () => {
  const telemetry = new Telemetry('main', new Logs('error'));
  const routes = [route(ok, { path: '/loki/api/v1/label/:name/values' }), route(failing(new Fault('bad_request', 'no')))];
  await using edge = await Edge.start(routes, {}, telemetry.instruments('http'));
  for (const path of ['/loki/api/v1/label/a/values', '/loki/api/v1/label/b/values', '/x', '/nowhere']) await edge.get(path);
  const counts = async (): Promise<string[]> => {
    const text = await exposition([await telemetry.snapshot()]);
    return text.split('\n').filter((line) => line.startsWith('loki_request_duration_seconds_count'));
  };
  await until(async () => (await counts()).length === 3);
  assert.deepEqual((await counts()).sort(), [
    'loki_request_duration_seconds_count{method="GET",route="loki_api_v1_label_name_values",status_code="200",ws="false"} 2',
    'loki_request_duration_seconds_count{method="GET",route="other",status_code="404",ws="false"} 1',
    'loki_request_duration_seconds_count{method="GET",route="x",status_code="400",ws="false"} 1',
  ]);
  assert.match(await exposition([await telemetry.snapshot()]), /loki_inflight_requests\{method="GET",route="x"\} 0/);
  telemetry.close();
});

// --- stopping ----------------------------------------------------------------------------------------------------------------------------------

interface Slow {
  readonly edge: Edge;
  readonly finish: (reply: HttpReply) => void;
  readonly signal: AbortSignal;
  readonly response: Promise<IncomingMessage>;
}

/** A server with one request under way on a kept-alive connection. */
async function withRunning(agent: Agent): Promise<Slow> {
  const begun = held<HttpRequest>();
  const reply = held<HttpReply>();
  const slow = async (request: HttpRequest): Promise<HttpReply> => {
    begun.resolve(request);
    request.signal.addEventListener('abort', () => reply.reject(request.signal.reason), { once: true });
    return reply.promise;
  };
  const edge = await Edge.start([route(slow), route(ok, { path: '/fast' })]);
  const { request, response } = edge.open('/x', { agent });
  request.end();
  return { edge, finish: reply.resolve, signal: (await begun.promise).signal, response };
}

test('a stop waits for what is running, and no longer than that', async () => {
  const agent = new Agent({ keepAlive: true });
  const { edge, finish, response, signal } = await withRunning(agent);
  const closed = edge.server.close(600_000);
  await assert.rejects(untilRefused(edge), { code: 'ECONNREFUSED' });
  assert.equal(signal.aborted, false);
  finish({ status: 200, body: 'late' });
  const reply = await replyOf(await response);
  assert.deepEqual([reply.status, reply.text, reply.headers.connection], [200, 'late', 'close']);
  await closed;
  agent.destroy();
});

test('a stop cancels at its deadline what is still running', async () => {
  const agent = new Agent({ keepAlive: true });
  const { edge, response, signal } = await withRunning(agent);
  await edge.server.close(30);
  assert.equal(signal.aborted, true);
  const reply = await replyOf(await response);
  assert.deepEqual([reply.status, reply.text], [503, 'shutting down']);
  agent.destroy();
});

test('a stop does not wait for idle connections and half sent requests for longer than its deadline', async () => {
  await using edge = await Edge.start([route(ok)]);
  const idle = edge.raw('GET /x HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(idle.socket, 'data');
  const half = edge.raw('POST /x HTTP/1.1\r\nhost: x\r\ncontent-le');
  await once(half.socket, 'connect');
  await edge.server.close(30);
  await Promise.all([idle.received, half.received]);
});

test('a request that comes on an open connection during a stop is refused', async () => {
  const agent = new Agent({ keepAlive: true });
  const { edge, finish } = await withRunning(agent);
  const { socket, received } = edge.raw('GET /fast HTTP/1.1\r\nhost: x\r\n');
  await once(socket, 'connect');
  const closed = edge.server.close(600_000);
  socket.write('\r\n');
  assert.match(await received, /^HTTP\/1\.1 503 .*retry-after: 1\r\n.*shutting down$/s);
  finish({ status: 204 });
  await closed;
  agent.destroy();
});

async function untilRefused(edge: Edge): Promise<never> {
  for (;;) await edge.get('/fast');
}

/** Resolves once `value` has stayed the same for fifty turns of the event loop that gave the kernel time. */
async function settled(value: () => number): Promise<void> {
  for (let same = 0, last = -1; same < 50; same++) {
    if (value() !== last) same = 0;
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
