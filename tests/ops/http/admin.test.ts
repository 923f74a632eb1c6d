import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { type AdminDeps, adminRoutes } from '../../../ops/http/admin.ts';
import type { Route } from '../../../ops/http/route.ts';
import type { LogLevel } from '../../../ops/log.ts';
import { Edge, FakeAsker } from './harness.ts';

function start(deps: Partial<AdminDeps> = {}): Promise<Edge> {
  const push: Route = { methods: ['POST'], path: '/loki/api/v1/push', access: 'tenant', handle: async () => ({ status: 204 }) };
  const listed = [push, ...Array.from({ length: 60 }, (_, index): Route => ({ ...push, path: `/more/${index}` }))];
  const base: AdminDeps = {
    asker: new FakeAsker(),
    world: realWorld(),
    build: { version: '1.2.3', revision: 'abc', branch: 'main' },
    ingesters: ['0', '1'],
    flushTimeoutMs: 1_000,
    ready: async () => ({ ready: true, reason: '' }),
    metrics: async () => 'up 1\n',
    config: (mode) => `# ${mode}\n`,
    services: async () => [
      { name: 'ingester/0', state: 'Running' },
      { name: 'ingester/1', state: 'Starting' },
    ],
    logLevel: { get: () => 'info', set: () => {} },
  };
  return Edge.start(adminRoutes({ ...base, ...deps }, listed), { authEnabled: true });
}

const pages: [path: string, type: string, text: string][] = [
  ['/ready', 'text/plain; charset=utf-8', 'ready\n'],
  ['/metrics', 'text/plain; version=0.0.4; charset=utf-8', 'up 1\n'],
  ['/config', 'text/plain; charset=utf-8', '# effective\n'],
  ['/config?mode=what', 'text/plain; charset=utf-8', '# effective\n'],
  ['/config?mode=diffs', 'text/plain; charset=utf-8', '# diffs\n'],
  ['/config?mode=diff', 'text/plain; charset=utf-8', '# diffs\n'],
  ['/config?mode=defaults', 'text/plain; charset=utf-8', '# defaults\n'],
  ['/services', 'text/plain; charset=utf-8', 'ingester/0 => Running\ningester/1 => Starting\n'],
  ['/log_level', 'text/plain; charset=utf-8', 'Current log level is info'],
];
for (const [path, type, expected] of pages) {
  test(`GET ${path}, without a tenant`, async () => {
    await using edge = await start();
    const { status, headers, text } = await edge.get(path);
    assert.deepEqual([status, headers['content-type'], text], [200, type, expected]);
  });
}

test('not ready: 503 and why', async () => {
  await using edge = await start({ ready: async () => ({ ready: false, reason: 'ingester/0 replays its log, 40 MB left' }) });
  const { status, text } = await edge.get('/ready');
  assert.deepEqual([status, text], [503, 'ingester/0 replays its log, 40 MB left\n']);
});

for (const method of ['GET', 'POST']) {
  test(`${method} /flush flushes every ingester`, async () => {
    const asker = new FakeAsker();
    await using edge = await start({ asker });
    assert.equal((await edge.send('/flush', { method })).status, 204);
    assert.deepEqual(
      asker.asked.map(({ to, ask }) => [to, ask.kind]),
      [
        ['ingester/0', 'flush'],
        ['ingester/1', 'flush'],
      ],
    );
  });
}

test('/flush fails if one ingester could not flush', async () => {
  const asker = new FakeAsker(({ to }) => (to === 'ingester/1' ? Promise.reject(new Fault('unavailable', 'storage is away')) : {}));
  await using edge = await start({ asker });
  const { status, text } = await edge.send('/flush', { method: 'POST' });
  assert.deepEqual([status, text], [503, 'storage is away']);
});

for (const [path, form] of [
  ['/log_level?log_level=debug', ''],
  ['/log_level', 'log_level=debug'],
] as const) {
  test(`POST ${path} ${form} sets the level`, async () => {
    const set: LogLevel[] = [];
    await using edge = await start({ logLevel: { get: () => 'info', set: (level) => set.push(level) } });
    const { text } = await edge.post(path, form, { 'content-type': 'application/x-www-form-urlencoded' });
    assert.deepEqual(JSON.parse(text), { status: 'success', message: 'Log level set to debug' });
    assert.deepEqual(set, ['debug']);
  });
}

test('an unknown log level is refused', async () => {
  await using edge = await start({
    logLevel: {
      get: () => 'info',
      set: () => assert.fail('nothing to set'),
    },
  });
  const { status, text } = await edge.post('/log_level?log_level=loud', '');
  assert.deepEqual([status, text], [400, 'unrecognized log level "loud", expected one of debug, info, warn, error']);
});

test('build info', async () => {
  await using edge = await start();
  const { version, revision, branch } = JSON.parse((await edge.get('/loki/api/v1/status/buildinfo')).text);
  assert.deepEqual([version, revision, branch], ['1.2.3', 'abc', 'main']);
});

test('the first page names version and endpoints', async () => {
  await using edge = await start();
  const { text } = await edge.get('/');
  assert.match(text, /^millrace 1\.2\.3\n/);
  assert.match(text, /^POST +\/loki\/api\/v1\/push$/m);
  assert.match(text, /^GET,POST +\/flush$/m);
});

for (const path of ['/ready', '/']) {
  test(`HEAD ${path} has no body, and the connection goes on`, async () => {
    await using edge = await start();
    const head = `HEAD ${path} HTTP/1.1\r\nhost: x\r\n`;
    const received = await edge.raw(`${head}\r\n${head}connection: close\r\n\r\n`).received;
    assert.match(received, /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\nHTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n$/);
  });
}
