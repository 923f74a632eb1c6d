import assert from 'node:assert/strict';
import { test } from 'node:test';
import { legacyRoutes } from '../../../ops/http/legacy.ts';
import { OutstandingQueries } from '../../../ops/http/outstanding.ts';
import { atNow, Edge, FakeAsker, LIMITS, NOW } from './harness.ts';

const HOUR = 3_600_000_000_000n;

function start(asker: FakeAsker): Promise<Edge> {
  return Edge.start(legacyRoutes({ asker, world: atNow(), limits: () => LIMITS, outstanding: new OutstandingQueries(0) }));
}

const logs = {
  kind: 'range',
  query: '{a="b"}',
  startNs: NOW - HOUR,
  endNs: NOW,
  stepNs: 14e9,
  intervalNs: 0,
  limit: 100,
  direction: 'backward',
  categorize: false,
  legacy: true,
};
const asks: [path: string, params: Record<string, string>, ask: object][] = [
  ['/api/prom/query', { query: '{a="b"}' }, logs],
  ['/api/prom/query', { query: '{a="b"}|="x"', regexp: '(?i)y"z' }, { ...logs, query: '{a="b"} |= "x" |~ "(?i)y\\"z"' }],
  [
    '/api/prom/query',
    { query: '{a="b"}', start: '1768467600', end: '1768471200', limit: '5', direction: 'FORWARD', step: '60', interval: '5s' },
    { ...logs, limit: 5, direction: 'forward', stepNs: 60e9, intervalNs: 5e9 },
  ],
  ['/api/prom/label', {}, { kind: 'labels', startNs: NOW - 6n * HOUR, endNs: NOW, query: '' }],
  ['/api/prom/label/app/values', {}, { kind: 'label_values', name: 'app', startNs: NOW - 6n * HOUR, endNs: NOW, query: '' }],
  ['/api/prom/series', { match: '{a="b"}' }, { kind: 'series', startNs: NOW - 6n * HOUR, endNs: NOW, matches: ['{a="b"}'] }],
];
for (const [path, params, ask] of asks) {
  for (const method of ['GET', 'POST']) {
    test(`${method} ${path} ${JSON.stringify(params)}`, async () => {
      const asker = new FakeAsker(() => ({ body: [Buffer.from('{}')] }));
      await using edge = await start(asker);
      const encoded = String(new URLSearchParams(params));
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const { status } = await (method === 'GET' ? edge.get(`${path}?${encoded}`) : edge.post(path, encoded, form));
      assert.equal(status, 200);
      assert.deepEqual(asker.asked[0].ask, ask);
    });
  }
}

const refused: [path: string, params: Record<string, string>, status: number, message: string][] = [
  ['/api/prom/query', { query: 'rate({a="b"}[1m])' }, 400, 'legacy endpoints only support streams result type'],
  ['/api/prom/query', { query: '1 + 1' }, 400, 'legacy endpoints only support streams result type'],
  ['/api/prom/query', { query: 'rate({a="b"}[1m])', regexp: 'x' }, 400, 'parse error : only log selector is supported'],
  ['/api/prom/query', { query: '{a=' }, 400, 'parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING'],
  [
    '/api/prom/query',
    { query: '{a="b"}', limit: '5001' },
    400,
    'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)',
  ],
  ['/api/prom/query_range', { query: '{a="b"}' }, 404, '404 page not found'],
  ['/api/prom/labels', {}, 404, '404 page not found'],
];
for (const [path, params, status, message] of refused) {
  test(`${status} for ${path} ${JSON.stringify(params)}`, async () => {
    const asker = new FakeAsker();
    await using edge = await start(asker);
    const reply = await edge.get(`${path}?${new URLSearchParams(params)}`);
    assert.deepEqual([reply.status, reply.text, asker.asked.length], [status, message, 0]);
  });
}
