import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nowNs, pushBody } from '../support/client.ts';
import { TestServer } from '../support/server.ts';

let server: TestServer;

before(async () => {
  server = await TestServer.start({ flags: ['-auth.enabled', '-querier.multi-tenant-queries-enabled', '-server.workers=2'] });
  for (const tenant of ['a', 'b', 'other']) {
    assert.equal((await pushAs(tenant, `${tenant}, stored`)).status, 204);
  }
  assert.equal((await fetch(`${server.url}/flush`, { method: 'POST' })).status, 204);
  for (const tenant of ['a', 'b', 'other']) {
    assert.equal((await pushAs(tenant, `${tenant}, in memory`)).status, 204);
  }
});
after(() => server[Symbol.asyncDispose]());

function pushAs(tenant: string, line: string) {
  const streams = [{ stream: { app: 'web' }, values: [[String(nowNs()), line]] }];
  return pushBody(server.url, JSON.stringify({ streams }), { 'x-scope-orgid': tenant });
}

async function getAs(tenant: string, path: string, params: Record<string, string> = {}) {
  const url = `${server.url}/loki/api/v1/${path}?${new URLSearchParams(params)}`;
  const response = await fetch(url, { headers: { 'x-scope-orgid': tenant } });
  return { status: response.status, text: await response.text() };
}

async function dataAs(tenant: string, path: string, params: Record<string, string> = {}) {
  const { status, text } = await getAs(tenant, path, params);
  assert.equal(status, 200, text);
  return JSON.parse(text).data;
}

test('a query of two tenants answers with the entries of both, and says whose they are', async () => {
  const { result } = await dataAs('b|a', 'query_range', { query: '{app="web"}' });
  const lines = result.map(({ stream, values }: { stream: Record<string, string>; values: [string, string][] }) => [
    stream.__tenant_id__,
    values.map(([, line]) => line).sort(),
  ]);
  assert.deepEqual(lines.sort(), [
    ['a', ['a, in memory', 'a, stored']],
    ['b', ['b, in memory', 'b, stored']],
  ]);
  const sums = await dataAs('a|b', 'query', { query: 'sum by (__tenant_id__) (count_over_time({app="web",__tenant_id__!="a"}[1h]))' });
  assert.deepEqual(
    sums.result.map(({ metric, value }: { metric: object; value: [number, string] }) => [metric, value[1]]),
    [[{ __tenant_id__: 'b' }, '2']],
  );
  assert.deepEqual(await dataAs('a|b', 'label/__tenant_id__/values'), ['a', 'b']);
});

test('no form of a header shows what is of another tenant', async () => {
  const wrong = ['a|', '|a', '|', 'a||other', 'a| other', 'a|.', 'a|..', 'a|../other', 'a,other', 'a|{other}', 'a\tother', 'a|*/other'];
  for (const header of wrong) assert.equal((await getAs(header, 'query_range', { query: '{app="web"}' })).status, 400, header);
  for (const header of ['a*', 'a|A', 'a|oth', "a|'other'"]) {
    const { text } = await getAs(header, 'query_range', { query: '{app=~".+"}' });
    assert.doesNotMatch(text, /other,/, header);
  }
});

test('what is about one tenant refuses two', async () => {
  const refusal = { status: 400, text: 'multiple org IDs present' };
  const { status, text } = await pushAs('a|b', 'line');
  assert.deepEqual({ status, text }, refusal);
  for (const path of ['drilldown-limits', 'tail']) assert.deepEqual(await getAs('a|b', path, { query: '{app="web"}' }), refusal);
});
