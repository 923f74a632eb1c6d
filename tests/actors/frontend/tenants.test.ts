import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { FrontendAsk } from '../../../actors/protocol/query.ts';
import { type Entry, SingleStore } from '../../support/single-store.ts';

const HOUR_NS = 3_600_000_000_000n;
const MINUTE_NS = HOUR_NS / 60n;
const START_NS = 482_120n * HOUR_NS;
const END_NS = START_NS + HOUR_NS;
const BOTH = 'a|b';

/** Minutes 0 to 5 are in storage, the rest in heads. `c` is a tenant that nobody asks for. */
let store: SingleStore;
before(async () => {
  const overrides = [['tight', { maxEntriesLimitPerQuery: 1, requiredLabels: ['zone'] }]] as const;
  store = await SingleStore.bootReady({ shards: 2, patternBytes: 1e6, overrides });
  for (const from of [0, 5]) {
    for (const [index, tenant] of ['a', 'b', 'c'].entries()) await store.push(entries(tenant, from, from + 5 + index), '0', tenant);
    if (from === 0) await store.flush();
  }
  const labels = { app: 'named', __tenant_id__: 'pushed' };
  await store.push([{ labels, timeNs: START_NS, line: 'named' }], '0', 'b');
});

const lineOf = (tenant: string, n: number): string => `n=${n} of=${tenant} msg="all is well" code=200 path=/`;

/** A line a minute of app="web", with its number as `n`. */
function entries(tenant: string, from: number, to: number): Entry[] {
  return Array.from({ length: to - from }, (_, index) => {
    const n = from + index;
    return { labels: { app: 'web' }, timeNs: START_NS + BigInt(n) * MINUTE_NS, line: lineOf(tenant, n) };
  });
}

const RANGE = { startNs: START_NS, endNs: END_NS };
type Range = Extract<FrontendAsk, { kind: 'range' }>;
const range = (query: string, over: Partial<Range> = {}): Range => {
  return { kind: 'range', query, ...RANGE, stepNs: 60e9, intervalNs: 0, limit: 100, direction: 'forward', categorize: false, ...over };
};

/** Lines by the tenant that their stream names. */
async function linesOf(query: string, tenant = BOTH): Promise<Record<string, string[]>> {
  const { data } = await store.ask(range(query), tenant);
  const byTenant: Record<string, string[]> = {};
  for (const { stream, values } of data.result) {
    byTenant[stream.__tenant_id__] = [...(byTenant[stream.__tenant_id__] ?? []), ...values.map(([, line]: [string, string]) => line)];
  }
  return byTenant;
}

/** Values of an instant query, by the label `by`. */
async function valuesOf(query: string, by = '__tenant_id__', tenant = BOTH): Promise<Record<string, number>> {
  const ask: FrontendAsk = { kind: 'instant', query, timeNs: END_NS, limit: 100, direction: 'forward', categorize: false };
  const { data } = await store.ask(ask, tenant);
  return Object.fromEntries(
    data.result.map(({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => [
      metric[by] ?? '',
      Number(value[1]),
    ]),
  );
}

const line = (tenant: string, ...numbers: number[]) => numbers.map((n) => lineOf(tenant, n));

const logs: [query: string, lines: Record<string, string[]>][] = [
  ['{app="web"} |= "n=3"', { a: line('a', 3), b: line('b', 3) }],
  ['{app="web"} |~ "n=(3|7)"', { a: line('a', 3, 7), b: line('b', 3, 7) }],
  ['{app="web",__tenant_id__="b"} |= "n=3"', { b: line('b', 3) }],
  ['{app="web",__tenant_id__!="b"} |= "n=3"', { a: line('a', 3) }],
  ['{app="web",__tenant_id__=~"a|c"} |= "n=3"', { a: line('a', 3) }],
  ['{app="web",__tenant_id__="c"} |= "n=3"', {}],
  ['{app="web"} |= "n=3" | __tenant_id__="a"', { a: line('a', 3) }],
  ['{app="web"} |= "n=3" | keep app', { a: line('a', 3), b: line('b', 3) }],
  ['{app="web"} |= "n=3" | drop __tenant_id__', { a: line('a', 3), b: line('b', 3) }],
  ['{app="web"} |= "n=3" | label_format owner=__tenant_id__ | line_format "{{.owner}}"', { a: ['a'], b: ['b'] }],
  ['{app="web"} |= "n=3" | label_format __tenant_id__="c"', { a: line('a', 3), b: line('b', 3) }],
  ['{app="web"} |= "n=3" | line_format "{{.__tenant_id__}}"', { a: ['a'], b: ['b'] }],
  ['{app="named"}', { b: ['named'] }],
  ['{app="named",original___tenant_id__="pushed"}', { b: ['named'] }],
  ['{original___tenant_id__="pushed"}', { b: ['named'] }],
  ['{app="named",__tenant_id__="pushed"}', {}],
];
for (const [query, lines] of logs) test(`logs of two tenants: ${query}`, async () => assert.deepEqual(await linesOf(query), lines));

test('a label __tenant_id__ that was pushed has another name', async () => {
  const { data } = await store.ask(range('{app="named"} | drop detected_level, service_name'), BOTH);
  assert.deepEqual(data.result[0].stream, { app: 'named', __tenant_id__: 'b', original___tenant_id__: 'pushed' });
  const alone = await store.ask(range('{__tenant_id__="pushed"} | drop detected_level, service_name'), 'b');
  assert.deepEqual(alone.data.result[0].stream, { app: 'named', __tenant_id__: 'pushed' });
});

test('one tenant sees its own entries and no label of tenants', async () => {
  const { data } = await store.ask(range('{app="web"} |= "n=3"'), 'a');
  assert.deepEqual(
    data.result.map(({ stream, values }: { stream: object; values: [string, string][] }) => [Object.keys(stream), values[0][1]]),
    [[['app', 'detected_level', 'service_name'], lineOf('a', 3)]],
  );
});

const count = 'count_over_time({app="web"}[2h])';
const values: [query: string, values: Record<string, number>, by?: string][] = [
  [`sum by (__tenant_id__) (${count})`, { a: 10, b: 11 }],
  [count, { a: 10, b: 11 }],
  [`sum(${count})`, { '': 21 }],
  [`sum by (app) (${count})`, { web: 21 }, 'app'],
  [`sum without (__tenant_id__) (${count})`, { web: 21 }, 'app'],
  [`max(${count})`, { '': 11 }],
  ['sum(count_over_time({app="web",__tenant_id__="b"}[2h])) / sum(count_over_time({app="web",__tenant_id__="a"}[2h]))', { '': 1.1 }],
  ['count_over_time({app="web",__tenant_id__="c"}[2h])', {}],
  ['quantile_over_time(1, {app="web"} | logfmt | unwrap n [2h]) by (app)', { a: 9, b: 10 }],
  ['max_over_time({app="web"} | logfmt | unwrap n [2h]) by (app)', { a: 9, b: 10 }],
  ['max(quantile_over_time(1, {app="web"} | logfmt | unwrap n [2h]) by (app))', { '': 10 }],
  ['absent_over_time({app="web"}[2h])', {}],
  ['absent_over_time({app="none"}[2h])', { none: 1 }, 'app'],
  ['absent_over_time({app="web",__tenant_id__="c"}[2h])', { c: 1 }],
];
for (const [query, wanted, by] of values)
  test(`metrics of two tenants: ${query}`, async () => assert.deepEqual(await valuesOf(query, by), wanted));

test('a range query of several tenants has all its steps, also when none of them is meant', async () => {
  const times = { startNs: START_NS, endNs: START_NS + 2n * MINUTE_NS };
  const { data } = await store.ask(range('absent_over_time({app="web",__tenant_id__="c"}[1m])', times), BOTH);
  assert.equal(data.result[0].values.length, 3);
});

test('pages of several tenants are those of one answer', async () => {
  const all: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const { data } = await store.ask(range('{app="web"} | keep app', { limit: 4, direction: 'backward', ...(cursor && { cursor }) }), BOTH);
    for (const { values } of data.result) all.push(...values.map(([, text]: [string, string]) => text));
    cursor = data.cursor;
    if (cursor === undefined) break;
  }
  const wanted = [...line('a', ...Array(10).keys()), ...line('b', ...Array(11).keys())];
  assert.deepEqual(all.sort(), wanted.sort());
});

const metadata: [what: string, ask: FrontendAsk, data: unknown][] = [
  ['labels', { kind: 'labels', ...RANGE, query: '' }, ['__tenant_id__', 'app', 'original___tenant_id__', 'service_name']],
  ['labels of one', { kind: 'labels', ...RANGE, query: '{__tenant_id__="a"}' }, ['__tenant_id__', 'app', 'service_name']],
  ['labels of nobody', { kind: 'labels', ...RANGE, query: '{__tenant_id__="c"}' }, ['__tenant_id__']],
  ['tenants', { kind: 'label_values', name: '__tenant_id__', ...RANGE, query: '' }, ['a', 'b']],
  ['tenants with a label', { kind: 'label_values', name: '__tenant_id__', ...RANGE, query: '{app="named"}' }, ['b']],
  ['values', { kind: 'label_values', name: 'app', ...RANGE, query: '' }, ['named', 'web']],
  ['values of one', { kind: 'label_values', name: 'app', ...RANGE, query: '{__tenant_id__="a"}' }, ['web']],
  [
    'series',
    { kind: 'series', ...RANGE, matches: ['{app="web"}'] },
    ['a', 'b'].map((tenant) => ({ __tenant_id__: tenant, app: 'web', service_name: 'web' })),
  ],
  [
    'series of one',
    { kind: 'series', ...RANGE, matches: ['{__tenant_id__="b"}'] },
    [
      { __tenant_id__: 'b', app: 'named', original___tenant_id__: 'pushed', service_name: 'named' },
      { __tenant_id__: 'b', app: 'web', service_name: 'web' },
    ],
  ],
];
for (const [what, ask, data] of metadata) {
  test(`${what} of two tenants`, async () => assert.deepEqual((await store.ask(ask, BOTH)).data, data));
}

test('sizes and volumes of two tenants are those of both together', async () => {
  const sizesOf = async (tenant: string, query = '{app="web"}') => store.ask({ kind: 'index_stats', query, ...RANGE }, tenant);
  const [a, b, both] = [await sizesOf('a'), await sizesOf('b'), await sizesOf(BOTH)];
  assert.deepEqual([both.streams, both.entries, both.bytes], [2, a.entries + b.entries, a.bytes + b.bytes]);
  assert.deepEqual(await sizesOf(BOTH, '{app="web",__tenant_id__="a"}'), a);
  const volume = {
    kind: 'index_volume',
    query: '{app="web"}',
    ...RANGE,
    stepNs: 0,
    targetLabels: [],
    aggregateBy: 'series',
    limit: 10,
  } as const;
  const bytesOf = async (tenant: string) =>
    (await store.ask(volume, tenant)).data.result.map(({ metric, value }: { metric: object; value: [number, string] }) => [
      metric,
      Number(value[1]),
    ]);
  const [[, ofA]] = await bytesOf('a');
  const [[, ofB]] = await bytesOf('b');
  assert.deepEqual(await bytesOf(BOTH), [[{ app: 'web' }, ofA + ofB]]);
});

test('patterns of two tenants are those of their lines together', async () => {
  const busy = await SingleStore.bootReady({ shards: 2, patternBytes: 1e6 });
  for (const tenant of ['a', 'b', 'c']) await busy.push(entries('any', 0, 20), '0', tenant);
  const linesIn = async (query: string, tenant: string): Promise<number> => {
    const { data } = await busy.ask({ kind: 'patterns', query, ...RANGE, stepMs: 60_000 }, tenant);
    return data
      .flatMap(({ samples }: { samples: [number, number][] }) => samples)
      .reduce((sum: number, [, n]: [number, number]) => sum + n, 0);
  };
  // Fewer than 30 lines are no pattern.
  assert.deepEqual([await linesIn('{app="web"}', 'a'), await linesIn('{app="web"}', BOTH)], [0, 40]);
  assert.equal(await linesIn('{app="web",__tenant_id__!="a"}', BOTH), 0);
});

test('detected labels and fields of two tenants', async () => {
  const { detectedLabels } = await store.ask({ kind: 'detected_labels', query: '', ...RANGE }, BOTH);
  assert.deepEqual(
    detectedLabels.map(({ label, cardinality }: { label: string; cardinality: number }) => [label, cardinality]),
    [
      ['app', 2],
      ['original___tenant_id__', 1],
      ['service_name', 2],
    ],
  );
  const values: FrontendAsk = { kind: 'detected_values', name: 'of', query: '{app="web"}', ...RANGE, lineLimit: 100, limit: 10 };
  assert.deepEqual((await store.ask(values, BOTH)).values.sort(), ['a', 'b']);
});

test('context and explain of two tenants', async () => {
  const context = {
    kind: 'context',
    query: '',
    stream: '{app="web"}',
    timeNs: START_NS + 3n * MINUTE_NS,
    ...RANGE,
    before: 2,
    after: 0,
    categorize: false,
  } as const;
  const { data } = await store.ask(context, BOTH);
  assert.deepEqual(data.context.at, 2);
  const explained = await store.ask({ kind: 'explain', query: range(`sum(${count})`) }, BOTH);
  assert.deepEqual(
    explained.data.parts.map(({ query, jobs, mergeable }: { query: string; jobs: number; mergeable: boolean }) => [query, jobs, mergeable]),
    [[`sum(${count})`, 4, true]],
  );
});

const refused: [what: string, ask: FrontendAsk, tenant: string, message: RegExp][] = [
  [
    'a query that only names a tenant',
    range('{__tenant_id__="a"}'),
    BOTH,
    /^parse error : queries require at least one regexp or equality matcher/,
  ],
  ['a limit of one of the tenants', range('{app="web"}'), 'a|tight', /^stream selector is missing required matchers \[zone\]/],
];
for (const [what, ask, tenant, message] of refused) {
  test(`refused is ${what}`, async () => assert.rejects(store.ask(ask, tenant), { message }));
}
