import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { OutstandingQueries } from '../../../ops/http/outstanding.ts';
import { type QueryLimits, queryRoutes } from '../../../ops/http/query.ts';
import { atNow, Edge, FakeAsker, held, LIMITS, NOW, until } from './harness.ts';

const S = 1_000_000_000n;
const HOUR = 3_600n * S;
const API = '/loki/api/v1';

function start(asker: FakeAsker, limits: Partial<QueryLimits> = {}, most = 0): Promise<Edge> {
  return Edge.start(
    queryRoutes({ asker, world: atNow(), limits: () => ({ ...LIMITS, ...limits }), outstanding: new OutstandingQueries(most) }),
  );
}

function answering(): FakeAsker {
  return new FakeAsker(() => ({ body: [Buffer.from('{"status":'), Buffer.from('"success"}')] }));
}

const rangeDefaults = {
  kind: 'range',
  query: '{a="b"}',
  startNs: NOW - HOUR,
  endNs: NOW,
  stepNs: 14e9,
  intervalNs: 0,
  limit: 100,
  direction: 'backward',
  categorize: false,
};
const instantDefaults = { kind: 'instant', limit: 100, direction: 'backward', categorize: false };
/** What a tenant sees of a range that began earlier. */
const anHour = { maxQueryLookback: 3_600_000 };
const lookedBack = { startNs: NOW - HOUR, endNs: NOW };
const contextDefaults = { kind: 'context', query: '', stream: '', timeNs: NOW, before: 10, after: 10, categorize: false };
const asks: [path: string, params: Record<string, string> | [string, string][], ask: object, limits?: Partial<QueryLimits>][] = [
  ['/query_range', { query: '{a="b"}' }, rangeDefaults],
  [
    '/query_range',
    { query: '{a="b"}', start: '1000', end: '2000', step: '5', interval: '2s', limit: '7', direction: 'forward' },
    { ...rangeDefaults, startNs: 1_000n * S, endNs: 2_000n * S, stepNs: 5e9, intervalNs: 2e9, limit: 7, direction: 'forward' },
  ],
  ['/query_range', {}, { ...rangeDefaults, query: '' }],
  ['/query', { query: '1+1' }, { kind: 'instant', query: '1+1', timeNs: NOW, limit: 100, direction: 'backward', categorize: false }],
  [
    '/query',
    { query: 'x', time: '5', limit: '6000', direction: 'forward' },
    { kind: 'instant', query: 'x', timeNs: 5n * S, limit: 6_000, direction: 'forward', categorize: false },
  ],
  ['/labels', {}, { kind: 'labels', startNs: NOW - 6n * HOUR, endNs: NOW, query: '' }],
  ['/label', { query: '{a="b"}', since: '1h' }, { kind: 'labels', startNs: NOW - HOUR, endNs: NOW, query: '{a="b"}' }],
  ['/label/app/values', { start: '1', end: '2' }, { kind: 'label_values', name: 'app', startNs: S, endNs: 2n * S, query: '' }],
  ['/label/a%2Fb%20%C3%BC/values', {}, { kind: 'label_values', name: 'a/b ü', startNs: NOW - 6n * HOUR, endNs: NOW, query: '' }],
  [
    '/series',
    [
      ['match', '{a="b"}'],
      ['match[]', '{c="d"}'],
    ],
    { kind: 'series', startNs: NOW - 6n * HOUR, endNs: NOW, matches: ['{a="b"}', '{c="d"}'] },
  ],
  ['/query_range', { query: '{a="b"}', cursor: 'abc' }, { ...rangeDefaults, cursor: 'abc' }],
  ['/explain', { query: '{a="b"}', limit: '7' }, { kind: 'explain', query: { ...rangeDefaults, limit: 7 } }],
  [
    '/explain',
    { query: '1+1', time: '5' },
    { kind: 'explain', query: { kind: 'instant', query: '1+1', timeNs: 5n * S, limit: 100, direction: 'backward', categorize: false } },
  ],
  [
    '/context',
    { stream: '{a="b"}', ts: String(NOW) },
    { ...contextDefaults, stream: '{a="b"}', startNs: NOW - 24n * HOUR, endNs: NOW + 24n * HOUR },
  ],
  [
    '/context',
    { query: '{a="b"} | json', ts: String(NOW), before: '0', after: '3', start: '1000' },
    { ...contextDefaults, query: '{a="b"} | json', startNs: 1_000n * S, endNs: NOW + 24n * HOUR, before: 0, after: 3 },
    { maxQueryLength: 0 },
  ],
  ['/query_range', { query: '{a="b"}', since: '3h' }, { ...rangeDefaults, ...lookedBack, stepNs: 43e9, notBeforeNs: NOW - HOUR }, anHour],
  [
    '/query_range',
    { query: '{a="b"}', since: '30m' },
    { ...rangeDefaults, startNs: NOW - HOUR / 2n, stepNs: 7e9, notBeforeNs: NOW - HOUR },
    anHour,
  ],
  [
    '/query_range',
    { query: '{a="b"}', start: '1000', end: '2000', step: '5' },
    { ...rangeDefaults, startNs: NOW - HOUR, endNs: 2_000n * S, stepNs: 5e9, notBeforeNs: NOW - HOUR },
    anHour,
  ],
  ['/query', { query: 'x', time: '5' }, { ...instantDefaults, query: 'x', timeNs: 5n * S, notBeforeNs: NOW - HOUR }, anHour],
  ['/labels', {}, { kind: 'labels', ...lookedBack, query: '' }, anHour],
  ['/label/app/values', {}, { kind: 'label_values', name: 'app', ...lookedBack, query: '' }, anHour],
  ['/series', { match: '{a="b"}', since: '7d' }, { kind: 'series', ...lookedBack, matches: ['{a="b"}'] }, anHour],
  [
    '/context',
    { stream: '{a="b"}', ts: String(NOW) },
    { ...contextDefaults, stream: '{a="b"}', startNs: NOW - HOUR, endNs: NOW + 24n * HOUR },
    anHour,
  ],
];
for (const path of [`/query_range?query=${encodeURIComponent('{a="b"}')}`, '/query?query=1']) {
  test(`an answer that may be short is wanted by a header, or for a tenant: ${path}`, async () => {
    for (const [header, allowPartialAnswers, partial] of [
      [undefined, false, undefined],
      ['0', false, undefined],
      ['1', false, true],
      [undefined, true, true],
    ] as const) {
      const asker = answering();
      await using edge = await start(asker, { allowPartialAnswers });
      await edge.get(`${API}${path}`, header === undefined ? {} : { 'x-millrace-partial': header });
      assert.equal((asker.asked[0].ask as { partial?: true }).partial, partial);
    }
  });
}
for (const [path, params, ask, limits] of asks) {
  const encoded = String(new URLSearchParams(params));
  test(`GET ${path}?${encoded}`, async () => {
    const asker = answering();
    await using edge = await start(asker, limits);
    const { status, headers, text } = await edge.get(`${API}${path}?${encoded}`);
    assert.deepEqual([status, text, headers['content-type']], [200, '{"status":"success"}', 'application/json; charset=UTF-8']);
    assert.equal(asker.asked[0].to, 'query-frontend/any');
    assert.deepEqual(asker.asked[0].ask, ask);
    assert.equal(asker.asked[0].options.deadlineMs, 61_000);
  });
  test(`POST ${path} with form ${encoded}`, async () => {
    const asker = answering();
    await using edge = await start(asker, limits);
    const { status } = await edge.post(`${API}${path}`, encoded, { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' });
    assert.equal(status, 200);
    assert.deepEqual(asker.asked[0].ask, ask);
  });
}

test('form and URL are merged; the form goes first', async () => {
  const asker = answering();
  await using edge = await start(asker);
  await edge.post(`${API}/query_range?limit=1&direction=forward`, 'limit=2&query=x', {
    'content-type': 'application/x-www-form-urlencoded',
  });
  assert.deepEqual(asker.asked[0].ask, { ...rangeDefaults, query: 'x', limit: 2, direction: 'forward' });
});

test('a POST whose body is no form has the parameters of its URL', async () => {
  const asker = answering();
  await using edge = await start(asker);
  assert.equal((await edge.post(`${API}/query_range?query=x`, 'query=y', { 'content-type': 'text/plain' })).status, 200);
  assert.equal(asker.asked[0].ask.query, 'x');
});

for (const [flags, categorize] of [
  ['categorize-labels', true],
  ['other, categorize-labels', true],
  ['other', false],
] as const) {
  test(`response encoding flags "${flags}"`, async () => {
    const asker = answering();
    await using edge = await start(asker);
    await edge.get(`${API}/query_range?query=x`, { 'X-Loki-Response-Encoding-Flags': flags });
    assert.equal(asker.asked[0].ask.categorize, categorize);
  });
}

const LONG = 'the query time range exceeds the limit (query length: 1113h6m40s, limit: 30d1h)';
const refused: [path: string, params: Record<string, string>, message: string][] = [
  ['/query_range', { start: 'yesterday' }, `could not parse 'start' parameter: strconv.ParseInt: parsing "yesterday": invalid syntax`],
  ['/query_range', { start: '0', end: '4007200' }, LONG],
  ['/labels', { start: '0', end: '4007200' }, LONG],
  ['/series', { start: '0', end: '4007200', match: '{}' }, LONG],
  [
    '/query_range',
    { query: '{a="b"}', limit: '5001' },
    'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)',
  ],
  ['/query_range', { query: '{a=', limit: '5001' }, 'parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING'],
  ['/query_range', { query: 'x', limit: 'ten' }, 'strconv.Atoi: parsing "ten": invalid syntax'],
  ['/query', { query: 'x', time: 'soon' }, 'strconv.ParseInt: parsing "soon": invalid syntax'],
  ['/label/app/values', { end: 'x' }, `could not parse 'end' parameter: strconv.ParseInt: parsing "x": invalid syntax`],
  ['/format_query', { query: '{app=}' }, 'parse error at line 1, col 6: syntax error: unexpected }, expecting STRING'],
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

const allowed: [what: string, params: Record<string, string>, limits: Partial<QueryLimits>][] = [
  ['a metric query asks for more entries', { query: 'rate({a="b"}[1m])', limit: '5001' }, {}],
  ['entries are not limited', { query: '{a="b"}', limit: '5001' }, { maxEntriesLimitPerQuery: 0 }],
  ['the range is as long as the limit', { query: 'x', start: '0', end: '2595600' }, {}],
  ['the range is not limited', { query: 'x', start: '0', end: '4007200' }, { maxQueryLength: 0 }],
];
for (const [what, params, limits] of allowed) {
  test(`a query is let through when ${what}`, async () => {
    await using edge = await start(answering(), limits);
    assert.equal((await edge.get(`${API}/query_range?${new URLSearchParams(params)}`)).status, 200);
  });
}

test('what lies before the horizon of a tenant has no context', async () => {
  await using edge = await start(answering(), anHour);
  const params = new URLSearchParams({ stream: '{a="b"}', ts: String(NOW - 2n * HOUR) });
  const { status, text } = await edge.get(`${API}/context?${params}`);
  assert.deepEqual([status, text], [400, 'this data is no longer available, it is past now - max_query_lookback (1h)']);
});

test('the length of a range is that of what the tenant sees', async () => {
  await using edge = await start(answering(), { ...anHour, maxQueryLength: 3_600_000 });
  assert.equal((await edge.get(`${API}/series?match={a="b"}&since=7d`)).status, 200);
});

test('a query that takes too long is answered with 504 and what to do', async () => {
  const asker = new FakeAsker(() => {
    throw new Fault('deadline', 'query-frontend/0 did not answer before the deadline');
  });
  await using edge = await start(asker);
  const { status, text, headers } = await edge.get(`${API}/labels`);
  const advice = 'decrease the duration of the request or add more label matchers (prefer exact match over regex match)';
  assert.deepEqual([status, text], [504, `request timed out, ${advice} to reduce the amount of data processed`]);
  assert.equal(headers['retry-after'], '1');
});

test('a tenant that has too many queries outstanding is told to come back', async () => {
  const first = held<object>();
  const asker = new FakeAsker(() => first.promise);
  await using edge = await start(asker, {}, 1);
  const waiting = edge.get(`${API}/labels`);
  await until(async () => asker.asked.length === 1);
  const { status, text, headers } = await edge.get(`${API}/labels`);
  assert.deepEqual([status, text, headers['retry-after']], [429, 'too many outstanding requests', '1']);
  first.resolve({ body: [Buffer.from('{}')] });
  assert.equal((await waiting).status, 200);
  assert.equal((await edge.get(`${API}/labels`)).status, 200);
});

test('format_query prints the query', async () => {
  await using edge = await start(answering());
  const { text } = await edge.get(`${API}/format_query?${new URLSearchParams({ query: 'sum(rate({app="a"}|="x"[5m])) by (b,c)' })}`);
  assert.deepEqual(JSON.parse(text), { status: 'success', data: 'sum by (b,c)(rate({app="a"} |= "x"[5m]))' });
});
