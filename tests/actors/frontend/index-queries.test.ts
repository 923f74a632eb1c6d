import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FrontendAsk, type FrontendReply, frontendProtocol } from '../../../actors/protocol/query.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore, type SingleStoreOptions } from '../../support/single-store.ts';

const START_NS = 482_120n * 3_600_000_000_000n;
const RANGE = { startNs: START_NS, endNs: START_NS + 1_000n };
const VOLUME = {
  kind: 'index_volume',
  query: '{app=~".+"}',
  ...RANGE,
  stepNs: 0,
  targetLabels: [],
  aggregateBy: 'series',
  limit: 100,
} as const;

/** Streams app="0", app="1" … of `apps`, with a line each, over as many shards as told. */
async function asking({ apps = 8, ...options }: Partial<SingleStoreOptions> & { apps?: number } = {}) {
  const world = fakeWorld(1, new PowerCutFiles());
  const store = await SingleStore.boot(world, { shards: 3, ...options });
  while (!(await store.ready())) await world.settle();
  const entries = Array.from({ length: apps }, (_, app) => ({
    labels: { app: `a${app}` },
    timeNs: START_NS + BigInt(app),
    line: 'x=1'.repeat(app + 1),
  }));
  assert.equal((await store.push(entries)).fault, undefined);
  return async (ask: FrontendAsk) => {
    const { body } = await store.system.ask<FrontendAsk, FrontendReply, FrontendAsk['kind']>(frontendProtocol, '0', ask, {
      tenant: 'fake',
      deadlineMs: Number.POSITIVE_INFINITY,
    });
    return Buffer.concat(body).toString();
  };
}

test('volumes are those of all queriers together, the largest first', async () => {
  const ask = await asking();
  const { data } = JSON.parse(await ask({ ...VOLUME, limit: 3 }));
  assert.equal(data.resultType, 'vector');
  const pair = 8 + 'detected_level'.length + 'unknown'.length;
  assert.deepEqual(
    data.result,
    [7, 6, 5].map((app) => ({
      metric: { app: `a${app}` },
      value: [Number(RANGE.endNs / 1_000_000n) / 1_000, String(3 * (app + 1) + pair)],
    })),
  );
  assert.ok(data.stats.summary.subqueries >= 3);
});

test('volumes of several steps are a matrix', async () => {
  const ask = await asking({ apps: 2 });
  const { data } = JSON.parse(
    await ask({ ...VOLUME, stepNs: 1, endNs: START_NS + 2n, targetLabels: ['service_name'], aggregateBy: 'labels' }),
  );
  assert.equal(data.resultType, 'matrix');
  assert.deepEqual(
    data.result.map(({ metric, values }: { metric: object; values: [number, string][] }) => [metric, values.map(([, bytes]) => bytes)]),
    [[{ service_name: '' }, ['32', '35']]],
  );
});

test('more series than the limit are refused, though no querier has as many', async () => {
  const limits = { volumeMaxSeries: 7 };
  const ask = await asking({ limits });
  await assert.rejects(ask(VOLUME), { code: 'limit_exceeded', message: 'the query hit the max number of series limit (limit: 7 series)' });
  assert.equal(JSON.parse(await (await asking({ limits, apps: 7 }))(VOLUME)).data.result.length, 7);
});

test('a tenant may be without volumes', async () => {
  const ask = await asking({ limits: { volumeEnabled: false } });
  await assert.rejects(ask(VOLUME), { code: 'not_found', message: 'not found' });
});

test('stats are sums over all queriers', async () => {
  const ask = await asking();
  assert.deepEqual(JSON.parse(await ask({ kind: 'index_stats', query: '{app=~".+"}', ...RANGE })), {
    streams: 8,
    chunks: 8,
    bytes: 3 * 36 + 8 * 21,
    entries: 8,
  });
});

test('shards cover every hash, to the last digit', async () => {
  const ask = await asking();
  const text = await ask({ kind: 'index_shards', query: 'sum(rate({app=~".+"} |= "x" [1m]))', ...RANGE, targetBytes: 1 });
  const bounds = [...text.matchAll(/"min":(\d+),"max":(\d+)/g)].map(([, min, max]) => [BigInt(min), BigInt(max)]);
  assert.equal(bounds.length, 8);
  assert.deepEqual([bounds[0][0], bounds[7][1]], [0n, 18_446_744_073_709_551_615n]);
  for (const [index, [min]] of bounds.slice(1).entries()) assert.equal(min, bounds[index][1] + 1n);
  assert.deepEqual(Object.keys(JSON.parse(text)), ['shards', 'statistics', 'chunkGroups']);
});

const refused: [what: string, ask: FrontendAsk, code: string, message: string][] = [
  ['a query in stats', { kind: 'index_stats', query: '{app="a"} |= "x"', ...RANGE }, 'bad_request', 'only label matchers are supported'],
  ['a query in volumes', { ...VOLUME, query: 'rate({app="a"}[1m])' }, 'bad_request', 'only label matchers are supported'],
  [
    'a query in labels',
    { kind: 'detected_labels', query: '{app="a"} | json', ...RANGE },
    'bad_request',
    'only label matchers are supported',
  ],
  [
    'several selectors in shards',
    { kind: 'index_shards', query: 'rate({a="b"}[1m]) / rate({c="d"}[1m])', ...RANGE, targetBytes: 1 },
    'bad_request',
    'a query of several selectors cannot be sharded: ask for each of them',
  ],
  [
    'numbers in fields',
    { kind: 'detected_fields', query: 'rate({app="a"}[1m])', ...RANGE, lineLimit: 1, limit: 1 },
    'parse_error',
    'parse error : only log selector is supported',
  ],
];
for (const [what, ask, code, message] of refused) {
  test(`refused: ${what}`, async () => {
    await assert.rejects((await asking({ apps: 1 }))(ask), { code, message });
  });
}

test('{} selects every stream for volumes, in this spelling', async () => {
  const ask = await asking({ apps: 2 });
  assert.deepEqual(
    JSON.parse(await ask({ ...VOLUME, query: '{}' })).data.result.map(({ metric }: { metric: object }) => metric),
    [
      { app: 'a1', service_name: 'a1' },
      { app: 'a0', service_name: 'a0' },
    ],
  );
  await assert.rejects(ask({ ...VOLUME, query: '{ }' }), { code: 'parse_error' });
});

test('labels that tell streams apart, with the number of their values', async () => {
  const ask = await asking({ apps: 3 });
  const labels = [
    { label: 'app', cardinality: 3 },
    { label: 'service_name', cardinality: 3 },
  ];
  assert.deepEqual(JSON.parse(await ask({ kind: 'detected_labels', query: '', ...RANGE })), { detectedLabels: labels });
  assert.equal(await ask({ kind: 'detected_labels', query: '{app="none"}', ...RANGE }), '{}');
});

test('fields and values are those of the latest lines of all queriers', async () => {
  const ask = await asking();
  const fields = { kind: 'detected_fields', query: '{app=~".+"}', ...RANGE, lineLimit: 2, limit: 10 } as const;
  assert.deepEqual(JSON.parse(await ask(fields)), {
    fields: [{ label: 'detected_level', type: 'string', cardinality: 1, parsers: null }],
    limit: 10,
  });
  const earlier = { ...fields, endNs: START_NS + 1n };
  assert.deepEqual(JSON.parse(await ask(earlier)).fields.at(-1), { label: 'x', type: 'int', cardinality: 1, parsers: ['logfmt'] });
  const values = { ...earlier, kind: 'detected_values', name: 'x' } as const;
  assert.equal(await ask(values), '{"values":["1"],"limit":10}');
  assert.equal(await ask({ ...values, name: 'y' }), '{}');
});
