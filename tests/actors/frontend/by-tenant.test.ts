import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askByTenant } from '../../../actors/frontend/by-tenant.ts';
import type { JobAsk } from '../../../actors/protocol/query.ts';
import { parseSelector } from '../../../logql/syntax/parse.ts';

const TIMES = { fromNs: 0n, toNs: 1n };
const logs = (query: string): JobAsk => ({ kind: 'logs', query, ...TIMES, limit: 1, direction: 'forward', categorize: false });
const samples = (query: string): JobAsk => ({ kind: 'samples', query, startNs: 0n, endNs: 1n, stepNs: 1 });
const series = (...selectors: string[]): JobAsk => ({ kind: 'series', selectors, ...TIMES });
const volumes = (query: string): JobAsk => {
  return { kind: 'volumes', query, startNs: 0n, endNs: 1n, stepNs: 0, targetLabels: [], aggregateBy: 'series', maxSeries: 1 };
};
const sizes = (selector: string): JobAsk => ({ kind: 'stream_sizes', matchers: parseSelector(selector), ...TIMES });

const both = (text: unknown) => ({ a: text, b: text });
const asked: [ask: JobAsk, by: Record<string, unknown>][] = [
  [logs('{x="1"}'), both('{x="1"}')],
  [logs('{x="1",__tenant_id__="b"} |= "y"'), { b: '{x="1"} |= "y"' }],
  [logs('{x="1",__tenant_id__!="b"}'), { a: '{x="1"}' }],
  [logs('{x="1",__tenant_id__=~"a|c"}'), { a: '{x="1"}' }],
  [logs('{x="1",__tenant_id__=~"[ab]"}'), both('{x="1"}')],
  [logs('{x="1",__tenant_id__!~"a.*"}'), { b: '{x="1"}' }],
  [logs('{x="1",__tenant_id__!="a",__tenant_id__!="b"}'), {}],
  [logs('{x="1",__tenant_id__=""}'), {}],
  [logs('{x="1",original___tenant_id__="y"}'), both('{x="1", __tenant_id__="y"}')],
  [logs('{x="1"} | keep x | drop y, __tenant_id__ | drop __tenant_id__'), both('{x="1"} | keep x,__tenant_id__ | drop y')],
  [
    logs('{x="1"} | label_format y=__tenant_id__, z=x, __tenant_id__=x | label_format __tenant_id__="w"'),
    both('{x="1"} | label_format y="{{.__tenant_id__}}",z=x'),
  ],
  [samples('rate({x="1",__tenant_id__="a"}[1m])'), { a: 'rate({x="1"}[1m])' }],
  [samples('sum by (x) (rate({x="1",__tenant_id__="a"}[1m]))'), { a: 'sum by (x)(rate({x="1"}[1m]))' }],
  [
    samples('quantile_over_time(0.5, {x="1"} | unwrap y [1m]) by (x)'),
    both('quantile_over_time(0.5,{x="1"} | unwrap y[1m]) by (x,__tenant_id__)'),
  ],
  [samples('max_over_time({x="1"} | unwrap y [1m]) without (x, __tenant_id__)'), both('max_over_time({x="1"} | unwrap y[1m]) without (x)')],
  [series('{x="1",__tenant_id__="a"}', '{y="2"}'), { a: ['{x="1"}', '{y="2"}'], b: ['{y="2"}'] }],
  [series('{__tenant_id__="a"}'), { a: ['{}'] }],
  [series('{}'), both(['{}'])],
  [volumes('{__tenant_id__="b",x="1"}'), { b: '{x="1"}' }],
  [volumes('{}'), both('{}')],
  [sizes('{__tenant_id__="b",x="1"}'), { b: [{ name: 'x', op: '=', value: '1' }] }],
];
for (const [ask, by] of asked) {
  const text = 'query' in ask ? ask.query : 'selectors' in ask ? ask.selectors.join(' ') : JSON.stringify(ask.matchers);
  test(`what tenants a and b are asked for ${ask.kind} of ${text}`, () => {
    const own = askByTenant('a|b', ask).map(({ tenant, ask: one }) => {
      if ('tenantLabel' in one) assert.equal(one.tenantLabel, tenant);
      return [tenant, 'query' in one ? one.query : 'selectors' in one ? one.selectors : one.matchers];
    });
    assert.deepEqual(Object.fromEntries(own), by);
    assert.deepEqual(askByTenant('a', ask), [{ tenant: 'a', ask }]);
  });
}
