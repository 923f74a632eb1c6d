import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { indexRoutes } from '../../../ops/http/index-queries.ts';
import { OutstandingQueries } from '../../../ops/http/outstanding.ts';
import type { QueryLimits } from '../../../ops/http/query.ts';
import { Edge, FakeAsker, LIMITS } from './harness.ts';

const API = '/loki/api/v1';
const S = 1_000_000_000n;
const HOUR = 3_600n * S;

const world = fakeWorld(1);
const NOW = BigInt(Math.trunc(world.clock.nowMs())) * 1_000_000n;
const answering = () => new FakeAsker(() => ({ body: [Buffer.from('{}')] }));
const start = (asker: FakeAsker, limits: Partial<QueryLimits> = {}) =>
  Edge.start(indexRoutes({ asker, world, limits: () => ({ ...LIMITS, ...limits }), outstanding: new OutstandingQueries(0) }));

const hour = { startNs: NOW - HOUR, endNs: NOW };
const between = { start: '1000', end: '2000' };
const given = { startNs: 1_000n * S, endNs: 2_000n * S };
const volume = { kind: 'index_volume', query: '', ...hour, stepNs: 0, limit: 100, targetLabels: [], aggregateBy: 'series' };
const fields = { kind: 'detected_fields', query: '', ...hour, lineLimit: 100, limit: 1_000 };
const asks: [path: string, params: Record<string, string>, ask: object][] = [
  ['/index/stats', {}, { kind: 'index_stats', query: '', ...hour }],
  ['/index/stats', { query: '{a="b"}', ...between }, { kind: 'index_stats', query: '{a="b"}', ...given }],
  [
    '/index/shards',
    { query: 'x', targetBytesPerShard: '600MB', ...between },
    { kind: 'index_shards', query: 'x', ...given, targetBytes: 600 * 1024 ** 2 },
  ],
  ['/index/shards', { targetBytesPerShard: '5000' }, { kind: 'index_shards', query: '', ...hour, targetBytes: 5_000 }],
  ['/index/shards', { targetBytesPerShard: '2 g' }, { kind: 'index_shards', query: '', ...hour, targetBytes: 2 * 1024 ** 3 }],
  ['/index/volume', {}, volume],
  [
    '/index/volume',
    { query: '{}', since: '2h', limit: '7', targetLabels: 'a,b', aggregateBy: 'labels', step: 'unread' },
    { ...volume, query: '{}', startNs: NOW - 2n * HOUR, limit: 7, targetLabels: ['a', 'b'], aggregateBy: 'labels' },
  ],
  ['/index/volume', { limit: '0' }, volume],
  ['/index/volume_range', {}, { ...volume, stepNs: 14e9 }],
  ['/index/volume_range', { step: '5m', limit: '0', ...between }, { ...volume, ...given, stepNs: 300e9 }],
  ['/index/volume_range', { start: '0', end: '4000000', step: '1d' }, { ...volume, startNs: 0n, endNs: 4_000_000n * S, stepNs: 86_400e9 }],
  ['/detected_labels', {}, { kind: 'detected_labels', query: '', ...hour }],
  ['/detected_labels', { query: '{a="b"}', ...between }, { kind: 'detected_labels', query: '{a="b"}', ...given }],
  ['/detected_fields', {}, fields],
  [
    '/detected_fields',
    { query: '{a="b"}', line_limit: '5', limit: '6', field_limit: '7' },
    { ...fields, query: '{a="b"}', lineLimit: 5, limit: 6 },
  ],
  ['/detected_fields', { field_limit: '7' }, { ...fields, limit: 7 }],
  ['/detected_field/a%2Fb/values', { query: '{a="b"}' }, { ...fields, kind: 'detected_values', name: 'a/b', query: '{a="b"}' }],
];
for (const [path, params, ask] of asks) {
  const encoded = String(new URLSearchParams(params));
  test(`GET and POST ${path}?${encoded}`, async () => {
    const asker = answering();
    await using edge = await start(asker);
    const { status, headers, text } = await edge.get(`${API}${path}?${encoded}`);
    assert.deepEqual([status, text, headers['content-type']], [200, '{}', 'application/json; charset=UTF-8']);
    assert.equal((await edge.post(`${API}${path}`, encoded, { 'content-type': 'application/x-www-form-urlencoded' })).status, 200);
    for (const asked of asker.asked) assert.deepEqual([asked.to, asked.ask], ['query-frontend/any', ask]);
    assert.equal(asker.asked.length, 2);
  });
}

const LONG = 'the query time range exceeds the limit (query length: 1111h6m40s, limit: 30d1h)';
const TOO_LONG = { start: '0', end: '4000000' };
const refused: [path: string, params: Record<string, string>, message: string][] = [
  ['/index/stats', TOO_LONG, LONG],
  ['/index/stats', { limit: '0' }, 'limit must be a positive value'],
  ['/index/stats', { direction: 'up' }, `invalid direction 'up'`],
  ['/index/stats', { step: '0' }, 'zero or negative query resolution step widths are not accepted. Try a positive integer'],
  ['/index/stats', { interval: '-1' }, 'interval must be >= 0'],
  ['/index/shards', {}, 'targetBytesPerShard must be a positive value'],
  ['/index/shards', { targetBytesPerShard: 'much' }, 'targetBytesPerShard must be a positive value'],
  ['/index/shards', { targetBytesPerShard: '1', ...TOO_LONG }, LONG],
  ['/index/volume', TOO_LONG, LONG],
  ['/index/volume', { limit: '-1' }, 'limit must be a positive value'],
  ['/index/volume', { limit: '4294967296' }, 'limit value 4294967296 is out of range [0, 4294967295]'],
  ['/index/volume', { time: 'x' }, 'strconv.ParseInt: parsing "x": invalid syntax'],
  ['/index/volume', { direction: 'up' }, `invalid direction 'up'`],
  ['/index/volume', { aggregateBy: 'x' }, 'invalid aggregation option'],
  ['/index/volume', { start: '2', end: '1' }, 'end timestamp must not be before or equal to start time'],
  ['/index/volume_range', { step: 'x' }, 'cannot parse "x" to a valid duration'],
  ['/index/volume_range', { aggregateBy: 'x' }, 'invalid aggregation option'],
  ['/index/volume_range', { ...TOO_LONG, step: '31d' }, 'the query time range exceeds the limit (query length: 744h0m0s, limit: 30d1h)'],
  ['/detected_labels', TOO_LONG, LONG],
  ['/detected_labels', { start: 'x' }, `could not parse 'start' parameter: strconv.ParseInt: parsing "x": invalid syntax`],
  ['/detected_fields', { line_limit: '0' }, 'limit must be a positive value'],
  ['/detected_fields', { line_limit: '4294967296' }, 'line_limit value 4294967296 is out of range [0, 4294967295]'],
  ['/detected_fields', { field_limit: 'x' }, 'strconv.Atoi: parsing "x": invalid syntax'],
  ['/detected_fields', { step: '0' }, 'zero or negative query resolution step widths are not accepted. Try a positive integer'],
  [
    '/detected_fields',
    { query: '{a="b"}', line_limit: '5001' },
    'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)',
  ],
  ['/detected_field/x/values', { query: '{a="b"}', ...TOO_LONG }, LONG],
];
for (const [path, params, message] of refused) {
  test(`400 for ${path} ${JSON.stringify(params)}`, async () => {
    const asker = answering();
    await using edge = await start(asker);
    const { status, text } = await edge.get(`${API}${path}?${new URLSearchParams(params)}`);
    assert.deepEqual([status, text], [400, message]);
    assert.equal(asker.asked.length, 0);
  });
}

const anHour = { maxQueryLookback: 3_600_000 };
const lookedBack: [path: string, params: Record<string, string>][] = [
  ['/index/stats', {}],
  ['/index/shards', { targetBytesPerShard: '5000' }],
  ['/index/volume', {}],
  ['/index/volume_range', {}],
  ['/patterns', {}],
  ['/detected_labels', {}],
  ['/detected_fields', { query: '{a="b"}' }],
  ['/detected_field/x/values', { query: '{a="b"}' }],
];
for (const [path, params] of lookedBack) {
  test(`${path} begins where the tenant begins to see`, async () => {
    const asker = answering();
    await using edge = await start(asker, { ...anHour, maxQueryLength: 3_600_000 });
    assert.equal((await edge.get(`${API}${path}?${new URLSearchParams({ ...params, since: '3h' })}`)).status, 200);
    const { startNs, endNs } = asker.asked[0].ask;
    assert.deepEqual({ startNs, endNs }, hour);
  });
}
