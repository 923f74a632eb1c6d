import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { type PushDeps, pushRoutes } from '../../../ops/http/push.ts';
import type { HttpServerOptions } from '../../../ops/http/server.ts';
import { Edge, FakeAsker, held, until } from './harness.ts';

const TAKEN = { acceptedLines: 1, acceptedBytes: 1 };
const PUSH = '/loki/api/v1/push';
const OTLP = '/otlp/v1/logs';

function start(asker: FakeAsker, deps: Partial<PushDeps> = {}, options: Partial<HttpServerOptions> = {}): Promise<Edge> {
  const base = { asker, world: realWorld(), distributors: ['0', '1'], maxBodyBytes: 1_000, timeoutMs: 60_000 };
  return Edge.start(pushRoutes({ ...base, ...deps }), options);
}

for (const [path, format] of [
  [PUSH, 'loki'],
  ['/api/prom/push', 'loki'],
  [OTLP, 'otlp'],
]) {
  test(`a push to ${path} reaches a distributor as it was sent`, async () => {
    const asker = new FakeAsker(() => TAKEN);
    await using edge = await start(asker);
    const headers = {
      'content-type': 'Application/JSON;x=1',
      'content-encoding': 'zstd',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    };
    const { status, text } = await edge.post(path, Buffer.from([0, 1, 255]), headers);
    assert.deepEqual([status, text], [204, '']);
    const [{ to, ask, options }] = asker.asked;
    assert.equal(to, 'distributor/0');
    assert.deepEqual(ask, {
      kind: 'push',
      format,
      body: Buffer.from([0, 1, 255]),
      contentType: 'Application/JSON;x=1',
      contentEncoding: 'zstd',
    });
    assert.equal(options.tenant, 'fake');
    assert.equal(options.trace, headers.traceparent);
    assert.equal(options.transfer, true);
  });
}

const otlpFaults: [what: string, fault: Fault, status: number, text: string][] = [
  ['of the whole request', new Fault('bad_request', 'proto: bad'), 400, '\x12\x0aproto: bad'],
  ['inside', new Fault('corrupt', 'secret'), 503, `\x12Astored data is damaged`],
];
for (const [what, fault, status, text] of otlpFaults) {
  test(`an OTLP client is told a fault ${what} as a Status`, async () => {
    const answers: (() => unknown)[] = [
      () => ({ ...TAKEN, fault: fault.toWire() }),
      () => {
        throw fault;
      },
    ];
    for (const answer of answers) {
      await using edge = await start(new FakeAsker(answer));
      const reply = await edge.post(OTLP, 'x', { 'content-type': 'application/x-protobuf' });
      assert.equal(reply.status, status);
      assert.equal(reply.headers['content-type'], 'application/x-protobuf');
      assert.ok(reply.text.startsWith(text), JSON.stringify(reply.text));
    }
  });
}

test('an OTLP client is told as a Status what never reaches a distributor', async () => {
  await using edge = await start(new FakeAsker(), {}, { authEnabled: true });
  const reply = await edge.post(OTLP, 'x', { 'content-type': 'application/json' });
  assert.deepEqual([reply.status, reply.text], [401, '{"message":"no org id"}']);
  const tooLarge = await edge.post(OTLP, Buffer.alloc(1_001), { 'content-type': 'application/json', 'x-scope-orgid': 'a' });
  assert.deepEqual([tooLarge.status, tooLarge.text], [413, '{"message":"request body too large, limit: 1000 bytes, got: 1001 bytes"}']);
});

const framings: [what: string, parts: (string | Buffer)[], headers: Record<string, string | number>][] = [
  ['of a known length', ['abc', 'def'], { 'content-length': 6 }],
  ['in chunks', ['abc', 'def'], { 'transfer-encoding': 'chunked' }],
  ['empty', [], { 'content-length': 0 }],
  ['longer than a step of the buffer', [Buffer.alloc(1_500_000, 'x'), Buffer.alloc(1_300_001, 'y')], { 'content-length': 2_800_001 }],
  [
    'longer than a step of the buffer, in chunks',
    [Buffer.alloc(100_000, 'x'), Buffer.alloc(70_001, 'y')],
    { 'transfer-encoding': 'chunked' },
  ],
];
for (const [what, parts, headers] of framings) {
  test(`a body ${what} arrives whole and owns its ArrayBuffer`, async () => {
    const asker = new FakeAsker(() => TAKEN);
    await using edge = await start(asker, { maxBodyBytes: 1 << 22 }, { maxInflightBodyBytes: 1 << 23 });
    const { request, response } = edge.open(PUSH, { method: 'POST', headers });
    for (const part of parts) request.write(part);
    request.end();
    assert.equal((await response).statusCode, 204);
    const { body } = asker.asked[0].ask;
    assert.ok(Buffer.concat(parts.map((part) => Buffer.from(part))).equals(body));
    assert.deepEqual([body.byteOffset, body.buffer.byteLength], [0, body.length]);
  });
}

test('pushes go to the distributors in turn', async () => {
  const asker = new FakeAsker(() => TAKEN);
  await using edge = await start(asker);
  for (let push = 0; push < 4; push++) await edge.post(PUSH, 'x');
  assert.deepEqual(
    asker.asked.map(({ to }) => to),
    ['distributor/0', 'distributor/1', 'distributor/0', 'distributor/1'],
  );
});

test('a fault in the outcome is the answer', async () => {
  const message = `entry with timestamp 5 ignored, reason: 'x',\nuser 'fake', total ignored: 1 out of 2`;
  await using edge = await start(new FakeAsker(() => ({ ...TAKEN, fault: { code: 'bad_request', message } })));
  const { status, text, headers } = await edge.post(PUSH, 'x');
  assert.deepEqual([status, text, headers['content-type']], [400, message, 'text/plain; charset=utf-8']);
});

test('a rate limit says when to come again', async () => {
  await using edge = await start(
    new FakeAsker(() => ({ ...TAKEN, fault: { code: 'rate_limited', message: 'too fast', retryAfterS: 2.4 } })),
  );
  const { status, text, headers } = await edge.post(PUSH, 'x');
  assert.deepEqual([status, text, headers['retry-after']], [429, 'too fast', '3']);
});

const tooLarge: [what: string, headers: Record<string, string | number>, message: string][] = [
  ['announced', { 'content-length': 1_001 }, 'request body too large, limit: 1000 bytes, got: 1001 bytes'],
  ['in chunks', { 'transfer-encoding': 'chunked' }, 'request body too large, limit: 1000 bytes, got: more'],
];
for (const [what, headers, message] of tooLarge) {
  test(`a body beyond the limit, ${what}: 413, and the connection stays`, async () => {
    const asker = new FakeAsker(() => TAKEN);
    await using edge = await start(asker);
    const { request, response } = edge.open(PUSH, { method: 'POST', headers });
    request.end(Buffer.alloc(1_001));
    const { statusCode, headers: replied } = await response;
    assert.equal(statusCode, 413);
    assert.equal((await edge.post(PUSH, Buffer.alloc(1_001))).text, 'request body too large, limit: 1000 bytes, got: 1001 bytes');
    assert.notEqual(replied['content-length'], '0');
    assert.equal(replied['content-length'], String(message.length));
    assert.equal(asker.asked.length, 0);
  });
}

test('a body far beyond the limit is answered without waiting for it', async () => {
  await using edge = await start(new FakeAsker());
  const { received } = edge.raw(`POST ${PUSH} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\nabc`);
  assert.match(await received, /^HTTP\/1\.1 413 .*connection: close/s);
});

test('bodies share a budget: beyond it 429, and room again once a push is done', async () => {
  const first = held<typeof TAKEN>();
  const asker = new FakeAsker(() => first.promise);
  await using edge = await start(asker, { maxBodyBytes: 900 }, { maxInflightBodyBytes: 1_000 });
  const asked = arrival(asker);
  const pushed = edge.post(PUSH, Buffer.alloc(600));
  await asked;
  const refused = await edge.post(PUSH, Buffer.alloc(600));
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1']);
  assert.equal(refused.text, 'too many request bodies in memory, limit: 1000 bytes');
  first.resolve(TAKEN);
  assert.equal((await pushed).status, 204);
  for (const size of [600, 600]) assert.equal((await edge.post(PUSH, Buffer.alloc(size))).status, 204);
});

test('a body in chunks takes no more room than its bytes', async () => {
  const first = held<typeof TAKEN>();
  const asker = new FakeAsker(() => first.promise);
  await using edge = await start(asker, { maxBodyBytes: 1 << 20 }, { maxInflightBodyBytes: 70_000 });
  const asked = arrival(asker);
  const pushed = edge.send(PUSH, { method: 'POST', body: 'small', headers: { 'transfer-encoding': 'chunked' } });
  await asked;
  asker.answer = () => TAKEN;
  assert.equal((await edge.post(PUSH, Buffer.alloc(60_000))).status, 204);
  first.resolve(TAKEN);
  assert.equal((await pushed).status, 204);
});

test('a client that leaves in the middle of its body gives its room back', async () => {
  const asker = new FakeAsker(() => TAKEN);
  await using edge = await start(asker, {}, { maxInflightBodyBytes: 1_000 });
  const { request, response } = edge.open(PUSH, { method: 'POST', headers: { 'content-length': 900 } });
  request.write('x'.repeat(500));
  await until(async () => (await edge.post(PUSH, Buffer.alloc(600))).status === 429);
  request.destroy();
  await assert.rejects(response);
  await until(async () => (await edge.post(PUSH, Buffer.alloc(600))).status === 204);
});

test('a client that leaves cancels its push', async () => {
  const asker = new FakeAsker(() => held().promise);
  await using edge = await start(asker);
  const asked = arrival(asker);
  const { request } = edge.open(PUSH, { method: 'POST' });
  request.on('error', () => {}).end('x');
  await asked;
  const { signal } = asker.asked[0].options;
  const aborted = new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
  assert.equal(signal?.aborted, false);
  request.destroy();
  await aborted;
  assert.equal(signal?.reason.code, 'cancelled');
});

test('the deadline is the push time-out from now', async () => {
  const asker = new FakeAsker(() => TAKEN);
  const world = { ...realWorld(), clock: { nowMs: () => 0, monotonicMs: () => 5_000 } };
  await using edge = await start(asker, { world, timeoutMs: 300 });
  await edge.post(PUSH, 'x');
  assert.equal(asker.asked[0].options.deadlineMs, 5_300);
});

/** Resolves when `asker` is next asked. */
function arrival(asker: FakeAsker): Promise<void> {
  const { answer } = asker;
  return new Promise((resolve) => {
    asker.answer = (asked) => {
      resolve();
      return answer(asked);
    };
  });
}
