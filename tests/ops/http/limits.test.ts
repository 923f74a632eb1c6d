import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOptions } from '../../../actors/limits.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { limitsRoutes } from '../../../ops/http/limits.ts';
import { Edge } from './harness.ts';

const defaults = defaultsOf(limitsOptions);
const HEADERS = { 'x-scope-orgid': 'a' };

function start(published: string[] = [], patterns = false): Promise<Edge> {
  const limits = (tenant: string) => (tenant === 'a' ? { ...defaults, maxLineSize: 2_048, enforcedLabels: ['env'] } : defaults);
  return Edge.start(limitsRoutes({ limits, published, patterns, version: '1.2.3' }), { authEnabled: true });
}

test('a tenant’s limits as YAML, by name', async () => {
  await using edge = await start();
  const { status, headers, text } = await edge.get('/config/tenant/v1/limits', HEADERS);
  assert.deepEqual([status, headers['content-type']], [200, 'text/plain; charset=utf-8']);
  assert.match(
    text,
    /^allow_partial_answers: false\nallow_structured_metadata: true\ncardinality_limit: 100000\ncreation_grace_period: 10m\n/,
  );
  assert.match(text, /^enforced_labels:\n {2}- env\n/m);
  assert.match(text, /^max_line_size: 2KB$/m);
  assert.match(text, /^ingestion_rate_mb: 4$/m);
});

test('a tenant’s limits as Grafana’s applications ask for them', async () => {
  await using edge = await start(['max_line_size', 'query_timeout', 'not_ours', 'enforced_labels'], true);
  const { headers, text } = await edge.get('/loki/api/v1/drilldown-limits', HEADERS);
  assert.match(headers['content-type'] ?? '', /^application\/json/);
  assert.deepEqual(JSON.parse(text), {
    limits: { enforced_labels: ['env'], max_line_size: '2KB', query_timeout: '1m' },
    pattern_ingester_enabled: true,
    version: '1.2.3',
  });
});

test('only limits that are published are shown', async () => {
  await using edge = await start(['query_timeout']);
  assert.equal((await edge.get('/config/tenant/v1/limits', HEADERS)).text, 'query_timeout: 1m\n');
});

for (const path of ['/config/tenant/v1/limits', '/loki/api/v1/drilldown-limits']) {
  test(`${path} without a tenant is refused`, async () => {
    await using edge = await start();
    assert.equal((await edge.get(path)).status, 401);
  });
}
