import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import WebSocket, { type ClientOptions } from 'ws';
import type { AskOptions, Messenger } from '../../../actors/kernel/define.ts';
import type { TailFrontendAsk, TailMessage } from '../../../actors/protocol/tail.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld, type World } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import type { QueryLimits } from '../../../ops/http/query.ts';
import type { HttpServerOptions } from '../../../ops/http/server.ts';
import { tailRoutes } from '../../../ops/http/tail.ts';
import { Edge, LIMITS, NOW, NOW_MS, until } from './harness.ts';

const S = 1_000_000_000n;
const PATH = '/loki/api/v1/tail';
const QUERY = `${PATH}?query=${encodeURIComponent('{app="a"}')}`;

/** Answers a tail with what the test sends; what it is asked, and how far it was read, can be seen. */
class FakeTails {
  readonly asked: { ask: TailFrontendAsk; options: AskOptions }[] = [];
  /** Messages that were taken from here. */
  taken = 0;
  readonly #opens: boolean;
  readonly #queue: (string | Fault)[] = [];
  #wake = (): void => {};

  /** Otherwise a tail is not open before the test sends ''. */
  constructor(opens = true) {
    this.#opens = opens;
  }

  /** The next message, or the tail's end. */
  send(...items: (string | Fault)[]): this {
    this.#queue.push(...items);
    this.#wake();
    return this;
  }

  get signal(): AbortSignal | undefined {
    return this.asked.at(-1)?.options.signal;
  }

  readonly messenger = {
    stream: (_protocol: unknown, _instance: string, ask: TailFrontendAsk, options: AskOptions) => ({
      [Symbol.asyncIterator]: () => {
        this.asked.push({ ask, options });
        return this.#messages(options.signal!);
      },
    }),
  } as unknown as Messenger;

  async *#messages(signal: AbortSignal): AsyncGenerator<TailMessage> {
    if (this.#opens) yield { body: Buffer.alloc(0) };
    for (;;) {
      while (this.#queue.length === 0) {
        await new Promise<void>((resolve, reject) => {
          this.#wake = resolve;
          signal.addEventListener('abort', () => reject(new Fault('cancelled', 'cancelled')));
        });
      }
      const next = this.#queue.shift()!;
      if (next instanceof Fault) throw next;
      this.taken++;
      yield { body: Buffer.from(next) };
    }
  }
}

interface Started extends AsyncDisposable {
  readonly edge: Edge;
  readonly tails: FakeTails;
  readonly url: (path: string) => string;
}

async function start(
  tails = new FakeTails(),
  {
    options = {},
    world = realWorld(),
    instruments = noInstruments,
    limits = {},
  }: { options?: Partial<HttpServerOptions>; world?: World; instruments?: Instruments; limits?: Partial<QueryLimits> } = {},
): Promise<Started> {
  const clock = { nowMs: () => NOW_MS, monotonicMs: world.clock.monotonicMs };
  const sockets = tailRoutes({ messenger: tails.messenger, world: { ...world, clock }, limits: () => ({ ...LIMITS, ...limits }) });
  const edge = await Edge.start([], options, instruments, { sockets, world });
  return { edge, tails, url: (path) => `ws://127.0.0.1:${edge.port}${path}`, [Symbol.asyncDispose]: () => edge[Symbol.asyncDispose]() };
}

/** A connection, or the status and text of the refusal. */
function connect(url: string, options: ClientOptions = {}): Promise<WebSocket | [status: number, text: string]> {
  const socket = new WebSocket(url, options);
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket));
    socket.on('error', reject);
    socket.on('unexpected-response', async (_request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString()]);
    });
  });
}

async function connected(url: string, options: ClientOptions = {}): Promise<WebSocket> {
  const socket = await connect(url, options);
  assert.ok(socket instanceof WebSocket, String(socket));
  return socket;
}

const closing = async (socket: WebSocket): Promise<[code: number, reason: string]> => {
  const [code, reason] = await once(socket, 'close');
  return [code, String(reason)];
};

const defaults: TailFrontendAsk = {
  kind: 'tail',
  query: '{app="a"}',
  startNs: NOW - 3_600n * S,
  limit: 100,
  delayMs: 0,
  categorize: false,
  legacy: false,
};
const asks: [path: string, params: Record<string, string>, ask: TailFrontendAsk, headers?: Record<string, string>][] = [
  [PATH, {}, defaults],
  ['/api/prom/tail', {}, { ...defaults, legacy: true }],
  [PATH, { start: '1768470000', limit: '7', delay_for: '5' }, { ...defaults, startNs: 1_768_470_000n * S, limit: 7, delayMs: 5_000 }],
  [PATH, { since: '2h' }, { ...defaults, startNs: NOW - 7_200n * S }],
  [PATH, { start: '1768471300' }, { ...defaults, startNs: NOW + 100n * S }],
  [PATH, { limit: '5001' }, { ...defaults, limit: 5_000 }],
  [PATH, { query: '{app="a"} | json', regexp: 'a.c' }, { ...defaults, query: '{app="a"} | json |~ "a.c"' }],
  [PATH, {}, { ...defaults, categorize: true }, { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' }],
];
for (const [path, params, ask, headers = {}] of asks) {
  test(`a tail is asked for: ${path} ${JSON.stringify({ ...params, ...headers })}`, async () => {
    await using started = await start();
    await connected(started.url(`${path}?${new URLSearchParams({ query: '{app="a"}', ...params })}`), { headers });
    const [asked] = started.tails.asked;
    assert.deepEqual([asked.ask, asked.options.tenant, asked.options.deadlineMs], [ask, 'fake', Number.POSITIVE_INFINITY]);
  });
}

const refused: [params: Record<string, string>, message: string][] = [
  [{ query: 'rate({app="a"}[1m])' }, 'parse error : only log selector is supported'],
  [{ query: '{app=' }, 'parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING'],
  [{ query: '' }, 'parse error : syntax error: unexpected $end'],
  [{ query: '{app="a"} |~ "("' }, `parse error : stage '|~ "("' : error parsing regexp: missing closing ): \`(\``],
  [{ query: 'rate({app="a"}[1m])', regexp: 'x' }, 'parse error : only log selector is supported'],
  [{ delay_for: '6' }, `delay_for can't be greater than 5`],
  [{ delay_for: '-1' }, 'delay_for value -1 is out of range [0, 4294967295]'],
  [{ delay_for: '2s' }, 'strconv.Atoi: parsing "2s": invalid syntax'],
  [{ limit: '0' }, 'limit must be a positive value'],
  [{ limit: 'ten' }, 'strconv.Atoi: parsing "ten": invalid syntax'],
  [{ start: 'yesterday' }, `could not parse 'start' parameter: strconv.ParseInt: parsing "yesterday": invalid syntax`],
  [{ query: '{a="1",b="2",c="3"}' }, 'max streams matchers per query exceeded, matchers-count > limit (3 > 2)'],
  [{ start: '1764463999' }, 'the query time range exceeds the limit (query length: 1113h6m41s, limit: 30d1h)'],
];
for (const [params, message] of refused) {
  test(`no websocket for ${JSON.stringify(params)}`, async () => {
    await using started = await start();
    const path = `${PATH}?${new URLSearchParams({ query: '{app="a"}', ...params })}`;
    assert.deepEqual(await connect(started.url(path)), [400, message]);
    const { status, text } = await started.edge.get(path);
    assert.deepEqual([status, text], [400, message]);
    assert.equal(started.tails.asked.length, 0);
  });
}

test('the history of a tail begins where the tenant begins to see', async () => {
  await using started = await start(new FakeTails(), { limits: { maxQueryLookback: 60_000 } });
  await connected(started.url(QUERY));
  assert.equal(started.tails.asked[0].ask.startNs, NOW - 60n * S);
});

test('a request that asks for no websocket is told so, and begins nothing', async () => {
  await using started = await start();
  const { status, text } = await started.edge.get(QUERY);
  assert.deepEqual([status, text], [400, "the client is not using the websocket protocol: no 'upgrade' in the request"]);
  assert.equal(started.tails.asked.length, 0);
});

test('with authentication a tail has the tenant of its header, and none without', async () => {
  await using started = await start(new FakeTails(), { options: { authEnabled: true } });
  assert.deepEqual(await connect(started.url(QUERY)), [401, 'no org id']);
  await connected(started.url(QUERY), { headers: { 'X-Scope-OrgID': 'tenant-a' } });
  assert.equal(started.tails.asked[0].options.tenant, 'tenant-a');
});

test('the connection is established when the tail is open, not before', async () => {
  await using started = await start(new FakeTails(false));
  const { tails } = started;
  let open = false;
  const connection = connected(started.url(QUERY)).then((socket) => {
    open = true;
    return socket;
  });
  await until(async () => tails.asked.length === 1);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(open, false);
  tails.send('');
  await connection;
});

test('messages arrive as text, in their order', async () => {
  await using started = await start();
  const socket = await connected(started.url(QUERY));
  const got: string[] = [];
  socket.on('message', (data, isBinary) => got.push(`${isBinary}: ${data}`));
  started.tails.send('{"n":1}', '{"n":"ü"}', 'x'.repeat(100_000));
  await until(async () => got.length === 3);
  assert.deepEqual(got, ['false: {"n":1}', 'false: {"n":"ü"}', `false: ${'x'.repeat(100_000)}`]);
});

const ends: [what: string, fault: Fault, reason: RegExp][] = [
  [
    'a limit',
    new Fault('limit_exceeded', 'max concurrent tail requests limit exceeded, count > limit (11 > 10)'),
    /^max concurrent tail requests limit exceeded, count > limit \(11 > 10\)$/,
  ],
  ['a failure that is about our insides', new Fault('internal', 'secret'), /^internal error, trace id [0-9a-f]{32}$/],
  ['a reason too long for a close', new Fault('unavailable', `${'ü'.repeat(60)}${'€'.repeat(60)}`), /^ü{60}€$/],
];
for (const [what, fault, reason] of ends) {
  for (const when of ['before it is open', 'when it runs']) {
    test(`the client is told of ${what} ${when}`, async () => {
      const tails = when === 'when it runs' ? new FakeTails().send('{}') : new FakeTails(false);
      await using started = await start(tails.send(fault));
      const socket = await connected(started.url(QUERY));
      const [code, text] = await closing(socket);
      assert.equal(code, 1011);
      assert.match(text, reason);
    });
  }
}

for (const [what, leave] of [
  ['closes', (socket: WebSocket) => socket.close(1000)],
  ['breaks off', (socket: WebSocket) => socket.terminate()],
  ['breaks the protocol', (socket: WebSocket) => socket.send('x'.repeat(100_000))],
] as const) {
  test(`the tail ends when its client ${what}`, async () => {
    await using started = await start(new FakeTails().send('{}'));
    const socket = await connected(started.url(QUERY));
    socket.on('error', () => {});
    assert.equal(started.tails.signal?.aborted, false);
    leave(socket);
    await until(async () => started.tails.signal?.aborted === true);
    assert.equal((started.tails.signal!.reason as Fault).code, 'cancelled');
  });
}

test('a client that leaves while the tail is being opened ends it too', async () => {
  await using started = await start(new FakeTails(false));
  const socket = new WebSocket(started.url(QUERY));
  socket.on('error', () => {});
  await until(async () => started.tails.asked.length === 1);
  socket.terminate();
  await until(async () => started.tails.signal?.aborted === true);
});

test('a handshake that is wrong is refused, and ends the tail', async () => {
  await using started = await start();
  const { received } = started.edge.raw(
    `GET ${QUERY} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n`,
  );
  assert.match(await received, /^HTTP\/1\.1 400 /);
  await until(async () => started.tails.signal?.aborted === true);
});

for (const [what, path, protocol] of [
  ['HTTP/2 on a path with websockets', QUERY, 'h2c'],
  ['a websocket elsewhere', '/none', 'websocket'],
] as const) {
  test(`an upgrade that is not ours is passed over: ${what}`, async () => {
    await using started = await start();
    const { status } = await started.edge.get(path, { connection: 'Upgrade', upgrade: protocol });
    assert.equal(status, path === '/none' ? 404 : 400);
  });
}

test('what a client does not read is not asked for', async () => {
  await using started = await start();
  const { tails } = started;
  const socket = await connected(started.url(QUERY));
  socket.pause();
  const message = 'x'.repeat(1_000_000);
  for (let number = 0; number < 100; number++) tails.send(message);
  // What the system takes for a client that does not read is bounded, whatever its bound is.
  let before = -1;
  await until(async () => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    const still = tails.taken === before;
    before = tails.taken;
    return still;
  });
  assert.ok(tails.taken < 60, `${tails.taken} MB on their way`);
  let received = 0;
  socket.on('message', () => received++);
  socket.resume();
  await until(async () => received === 100);
});

test('a stop closes tails at once, and says so', async () => {
  const started = await start();
  const sockets = [await connected(started.url(QUERY)), await connected(started.url(QUERY.replace('loki/api/v1', 'api/prom')))];
  const codes = Promise.all(sockets.map(closing));
  await started.edge.server.close(600_000);
  assert.deepEqual(await codes, [
    [1001, 'shutting down'],
    [1001, 'shutting down'],
  ]);
});

test('a stop cuts off a client that does not answer', async () => {
  const started = await start();
  const socket = await connected(started.url(QUERY));
  socket.pause();
  started.tails.send(...Array.from({ length: 20 }, () => 'x'.repeat(1_000_000)));
  await started.edge.server.close(600_000);
  assert.equal(started.tails.signal?.aborted, true);
});

test('a client that answers pings stays, one that does not is cut off after a minute', async () => {
  const world = fakeWorld(1);
  const started = await start(new FakeTails(), { world: { ...realWorld(), clock: world.clock, timers: world.timers } });
  const [alive, dead] = [await connected(started.url(QUERY)), await connected(started.url(QUERY), { autoPong: false })];
  const pings = { alive: 0, dead: 0 };
  alive.on('ping', () => pings.alive++);
  dead.on('ping', () => pings.dead++);
  const gone = closing(dead);
  for (let second = 1; second <= 65; second++) {
    await world.advance(1_000);
    await until(async () => pings.alive === second);
  }
  assert.deepEqual(await gone, [1006, '']);
  assert.equal(pings.dead, 1); // others would wait for one that does not read
  assert.equal(alive.readyState, WebSocket.OPEN);
  alive.terminate();
  await until(async () => started.tails.asked[0].options.signal?.aborted === true);
  await started.edge.server.close(0);
});

test('tails are counted apart from other requests', async () => {
  const seen: unknown[] = [];
  const instruments: Instruments = {
    ...noInstruments,
    histogram: () => ({ observe: (_, labels) => seen.push(labels) }),
  };
  await using started = await start(new FakeTails(), { instruments });
  (await connected(started.url(QUERY))).close();
  await until(async () => seen.length === 1);
  await connect(started.url(`${PATH}?query=`));
  await until(async () => seen.length === 2);
  const labels = { method: 'GET', route: 'loki_api_v1_tail', ws: 'true' };
  assert.deepEqual(seen, [
    { ...labels, status_code: '101' },
    { ...labels, status_code: '400' },
  ]);
});
