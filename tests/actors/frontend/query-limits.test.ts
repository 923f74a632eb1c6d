import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TenantLimits } from '../../../actors/limits.ts';
import type { FrontendAsk } from '../../../actors/protocol/query.ts';
import { type Entry, SingleStore } from '../../support/single-store.ts';

const HOUR_NS = 3_600_000_000_000n;
const MINUTE_NS = HOUR_NS / 60n;
const HOUR_MS = 3_600_000;
const START_NS = 482_120n * HOUR_NS;
const END_NS = START_NS + HOUR_NS;
const ADVICE = 'consider adding more specific stream selectors or reduce the time range of the query';

/** Ten minutes of app="a" in two zones, the first five in storage, and one entry of app="b". */
function entries(from: number, to: number): Entry[] {
  return Array.from({ length: to - from }, (_, index) => from + index).flatMap((minute) =>
    ['x', 'y'].map((zone) => ({ labels: { app: 'a', zone }, timeNs: START_NS + BigInt(minute) * MINUTE_NS, line: `line ${minute}` })),
  );
}

async function storeWith(limits: Partial<TenantLimits>): Promise<SingleStore> {
  const store = await SingleStore.bootReady({ shards: 2, limits, patternBytes: 1e6 });
  await store.push(entries(0, 5));
  await store.flush();
  await store.push([...entries(5, 10), { labels: { app: 'b' }, timeNs: START_NS, line: 'other' }]);
  return store;
}

const RANGE = { startNs: START_NS, endNs: END_NS };
const range = (query: string, over: Partial<Extract<FrontendAsk, { kind: 'range' }>> = {}): FrontendAsk => ({
  kind: 'range',
  query,
  ...RANGE,
  stepNs: 60e9,
  intervalNs: 0,
  limit: 100,
  direction: 'forward',
  categorize: false,
  ...over,
});
const instant = (query: string, over: { timeNs?: bigint; notBeforeNs?: bigint } = {}): FrontendAsk => {
  return { kind: 'instant', query, timeNs: START_NS + 9n * MINUTE_NS, limit: 100, direction: 'forward', categorize: false, ...over };
};
const fields = (query: string): FrontendAsk => ({ kind: 'detected_fields', query, ...RANGE, lineLimit: 10, limit: 10 });
const patterns = (query: string): FrontendAsk => ({ kind: 'patterns', query, ...RANGE, stepMs: 60_000 });
const explain = (query: string): FrontendAsk => ({ kind: 'explain', query: range(query) as Extract<FrontendAsk, { kind: 'range' }> });
const context = (query: string): FrontendAsk => {
  return { kind: 'context', query, stream: '', timeNs: START_NS, ...RANGE, before: 1, after: 1, categorize: false };
};

const count = 'count_over_time({app="a"}[5m])';
const twoMatchers = '{app="a",zone="x"}';
const required = 'stream selector is missing required matchers [zone, host], labels present in the query were [app]';
const fewer =
  'stream selector has less label matchers than required: (present: [app], number_present: 1, required_number_label_matchers: 2)';
const tooMany = 'max streams matchers per query exceeded, matchers-count > limit (2 > 1)';
const bytes = (unit: string) => (n: number, limit: number) => `(query: ${n} ${unit}, limit: ${limit} B)`;
const inBytes = bytes('B');

/** 20 lines of app="a" with `detected_level: unknown` each. */
const READ_BYTES = 20 * ('line 0'.length + 'detected_level'.length + 'unknown'.length);

const refused: [what: string, limits: Partial<TenantLimits>, ask: FrontendAsk, message: string][] = [
  ['a range', { maxQueryRange: 240_000 }, range(count), '[interval] value exceeds limit: [5m] > [4m]'],
  ['a range', { maxQueryRange: 240_000 }, instant(`sum(${count}) / 2`), '[interval] value exceeds limit: [5m] > [4m]'],
  ['matchers', { maxStreamsMatchersPerQuery: 1 }, range(twoMatchers), tooMany],
  ['matchers', { maxStreamsMatchersPerQuery: 1 }, instant(`count_over_time(${twoMatchers}[5m])`), tooMany],
  ['matchers', { maxStreamsMatchersPerQuery: 1 }, fields(twoMatchers), tooMany],
  ['matchers', { maxStreamsMatchersPerQuery: 1 }, context(twoMatchers), tooMany],
  [
    'matchers',
    { maxStreamsMatchersPerQuery: 0 },
    range('{app="a"}'),
    'max streams matchers per query exceeded, matchers-count > limit (1 > 0)',
  ],
  ['required labels', { requiredLabels: ['zone', 'host'] }, range('{app="a"}'), required],
  ['required labels', { requiredLabels: ['zone', 'host'] }, explain('{app="a"}'), required],
  ['required labels', { requiredLabels: ['zone', 'host'] }, range(`sum(${count})`), required],
  ['required labels', { requiredLabels: ['zone', 'host'] }, fields('{app="a"}'), required],
  ['required labels', { requiredLabels: ['zone', 'host'] }, patterns('{app="a"}'), required],
  ['a number of matchers', { minimumLabelsNumber: 2 }, range('{app="a"}'), fewer],
  ['a number of matchers', { minimumLabelsNumber: 2 }, range(`count_over_time(${twoMatchers}[5m]) / ${count}`), fewer],
  ['a number of matchers', { minimumLabelsNumber: 2 }, patterns('{app="a"}'), fewer],
  [
    'the length of what a range query reads',
    { maxQueryLength: 2 * HOUR_MS },
    range('count_over_time({app="a"}[90m])'),
    'the query time range exceeds the limit (query length: 2h30m0s, limit: 2h)',
  ],
  [
    'the length of what an instant query reads in one',
    { maxQueryLength: 2 * HOUR_MS },
    instant('sum(rate_counter({app="a"} | unwrap zone [3h]))'),
    'the query time range exceeds the limit (query length: 3h0m0s, limit: 2h)',
  ],
  [
    'streams',
    { cardinalityLimit: 2 },
    range('{app=~".+"}'),
    `cardinality limit exceeded: the query selects 3 streams, more than limit of 2; ${ADVICE}`,
  ],
  [
    'streams',
    { cardinalityLimit: 1 },
    instant(count),
    `cardinality limit exceeded: the query selects 2 streams, more than limit of 1; ${ADVICE}`,
  ],
  ['chunks', { maxChunksPerQuery: 1 }, range('{app="a"}'), `the query would read too many chunks (query: 2, limit: 1); ${ADVICE}`],
  [
    'bytes',
    { maxQueryBytesRead: READ_BYTES - 1 },
    range('{app="a"} |= "line"'),
    `the query would read too many bytes ${inBytes(READ_BYTES, READ_BYTES - 1)}; ${ADVICE}`,
  ],
  [
    'bytes of all parts',
    { maxQueryBytesRead: 2 * READ_BYTES - 1 },
    instant('sum(count_over_time({app="a"}[1h1m])) / sum(rate({app="a"}[1h1m]))'),
    `the query would read too many bytes (query: 1.1 KiB, limit: 1.1 KiB); ${ADVICE}`,
  ],
  [
    'bytes of one querier',
    { maxQuerierBytesRead: 10 },
    range('{app="b"} |= "line"'),
    `shard query is too large to execute on a single querier: ${inBytes(26, 10)}; ${ADVICE}`,
  ],
  [
    'bytes of one querier that has all streams',
    { maxQuerierBytesRead: 10 },
    instant('rate_counter({app="b"} | unwrap zone [2h])'),
    `un-shardable query too large to execute on a single querier: ${inBytes(26, 10)}; ${ADVICE}`,
  ],
  ['queries at all', { tsdbMaxQueryParallelism: 0 }, instant(count), 'querying is disabled, please contact your Loki operator'],
  [
    'queries at all',
    { tsdbMaxQueryParallelism: 0 },
    { kind: 'series', ...RANGE, matches: ['{}'] },
    'querying is disabled, please contact your Loki operator',
  ],
];
for (const [what, limits, ask, message] of refused) {
  const text = 'query' in ask ? JSON.stringify(ask.query, (_, value) => (typeof value === 'bigint' ? String(value) : value)) : '';
  test(`limited are ${what}: ${ask.kind} ${text} with ${JSON.stringify(limits)}`, async () => {
    const store = await storeWith(limits);
    await assert.rejects(store.ask(ask), { message, code: 'tsdbMaxQueryParallelism' in limits ? 'rate_limited' : 'limit_exceeded' });
  });
}

const answered: [what: string, limits: Partial<TenantLimits>, ask: FrontendAsk][] = [
  ['a range as long as may be', { maxQueryRange: 300_000 }, instant(count)],
  ['as many matchers as may be', { maxStreamsMatchersPerQuery: 2 }, range(twoMatchers)],
  ['matchers of two selectors', { maxStreamsMatchersPerQuery: 1 }, range(`${count} / ${count}`)],
  ['series by more matchers', { maxStreamsMatchersPerQuery: 1 }, { kind: 'series', ...RANGE, matches: [twoMatchers] }],
  ['labels that are required', { requiredLabels: ['app', 'zone'] }, range(twoMatchers)],
  ['an instant query without them', { requiredLabels: ['host'], minimumLabelsNumber: 9 }, instant(count)],
  ['a query without selectors', { requiredLabels: ['host'] }, range('vector(1)')],
  ['as many matchers as must be', { minimumLabelsNumber: 2 }, range(twoMatchers)],
  ['a piece and a range as long as may be', { maxQueryLength: 2 * HOUR_MS }, range('count_over_time({app="a"}[1h])')],
  ['an instant query that Loki splits', { maxQueryLength: HOUR_MS }, instant('sum(count_over_time({app="a"}[30h]))')],
  ['as many streams as may be', { cardinalityLimit: 2 }, range('{app="a"}')],
  ['any number of streams', { cardinalityLimit: 0, maxChunksPerQuery: 0, maxQuerierBytesRead: 0 }, range('{app="a"} |= "line"')],
  ['as many chunks as may be', { maxChunksPerQuery: 2 }, range('{app="a"}')],
  ['as many bytes as may be', { maxQueryBytesRead: READ_BYTES }, range('{app="a"} |= "line"')],
  ['entries without a filter', { maxQueryBytesRead: 1, maxQuerierBytesRead: 1 }, range('{app="a"}')],
  ['one job at a time', { tsdbMaxQueryParallelism: 1 }, instant(`${count} / ${count}`)],
];
for (const [what, limits, ask] of answered) {
  test(`answered are ${what}`, async () => {
    const store = await storeWith(limits);
    const { data } = await store.ask(ask);
    const found = data.result ?? data;
    assert.ok(found.length > 0);
  });
}

test('a metric query leaves out what the tenant does not see, stored or not', async () => {
  const store = await storeWith({});
  const valueFrom = async (minute: bigint) => {
    const query = 'sum(count_over_time({app="a"}[2h]))';
    const { data } = await store.ask(instant(query, { notBeforeNs: START_NS + minute * MINUTE_NS }));
    return data.result[0]?.value[1];
  };
  assert.deepEqual([await valueFrom(-1n), await valueFrom(0n), await valueFrom(3n), await valueFrom(8n)], ['20', '20', '14', '4']);
  assert.equal(await valueFrom(10n), undefined);
});

test('steps of a range query leave out what the tenant does not see', async () => {
  const store = await storeWith({});
  const notBeforeNs = START_NS + 3n * MINUTE_NS;
  const times = { startNs: notBeforeNs, endNs: START_NS + 5n * MINUTE_NS, notBeforeNs };
  const { data } = await store.ask(range('sum(count_over_time({app="a"}[1h]))', times));
  assert.deepEqual(
    data.result[0].values.map(([, value]: [number, string]) => value),
    ['2', '4', '6'],
  );
});

/** A range that ends before it begins is one that the tenant does not see. */
const UNSEEN = { startNs: START_NS + 4n * MINUTE_NS, endNs: START_NS + MINUTE_NS };
const unseen: [ask: FrontendAsk, answer: unknown][] = [
  [range('{app="a"}', UNSEEN), []],
  [range(count, { ...UNSEEN, notBeforeNs: UNSEEN.startNs }), []],
  [range('absent_over_time({app="z"}[5m])', { ...UNSEEN, notBeforeNs: UNSEEN.startNs }), []],
  [instant('absent_over_time({app="z"}[5m])', { timeNs: START_NS, notBeforeNs: END_NS }), []],
  [{ kind: 'labels', ...UNSEEN, query: '' }, []],
  [{ kind: 'label_values', name: 'app', ...UNSEEN, query: '' }, []],
  [{ kind: 'series', ...UNSEEN, matches: ['{app="a"}'] }, []],
  [
    { kind: 'index_stats', query: '{app="a"}', ...UNSEEN },
    { streams: 0, chunks: 0, entries: 0, bytes: 0 },
  ],
  [{ kind: 'index_volume', query: '{app="a"}', ...UNSEEN, stepNs: 0, targetLabels: [], aggregateBy: 'series', limit: 10 }, []],
  [{ kind: 'index_volume', query: '{app="a"}', ...UNSEEN, stepNs: 60e9, targetLabels: [], aggregateBy: 'series', limit: 10 }, []],
  [patterns('{app="a"}'), []],
  [{ kind: 'detected_labels', query: '', ...UNSEEN }, {}],
  [{ ...(fields('{app="a"}') as Extract<FrontendAsk, { kind: 'detected_fields' }>), ...UNSEEN }, {}],
];
for (const [ask, answer] of unseen) {
  test(`nothing is seen by ${ask.kind} ${'query' in ask ? ask.query : ''}`, async () => {
    const store = await storeWith({});
    const body = await store.ask({ ...ask, ...(ask.kind === 'patterns' && UNSEEN) } as FrontendAsk);
    const data = body.data ?? body;
    assert.deepEqual(data.result ?? data, answer);
  });
}
