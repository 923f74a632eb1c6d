import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { metric, nowNs, pushBody } from '../support/client.ts';
import { freePort } from '../support/ports.ts';
import { ServerProcess, TestServer } from '../support/server.ts';

const WORKERS = 2;

let folder: string;
let file: string;
let server: TestServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-overrides-'));
  file = join(folder, 'overrides.yaml');
  await overrides('a: {max_line_size: 20B, max_entries_limit_per_query: 10}');
  server = await TestServer.start({
    flags: [
      '-auth.enabled',
      `-runtime-config.file=${file}`,
      '-runtime-config.reload-period=20ms',
      '-limits.tenant-limits-allow-publish=',
      '-validation.max-entries-limit=50',
      `-server.workers=${WORKERS}`,
    ],
  });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Replaces the file as a whole, so that no read sees half of it. */
async function replace(text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

const overrides = (...tenants: string[]): Promise<void> => replace(`overrides:\n${tenants.map((tenant) => `  ${tenant}\n`).join('')}`);

/** Status of a push of one line of 30 bytes. */
async function pushAs(tenant: string): Promise<number> {
  const streams = [{ stream: { app: 'x' }, values: [[String(nowNs()), 'x'.repeat(30)]] }];
  return (await pushBody(server.url, JSON.stringify({ streams }), tenantHeader(tenant))).status;
}

async function queryAs(tenant: string, limit: number): Promise<number> {
  const url = `${server.url}/loki/api/v1/query_range?query={app="x"}&limit=${limit}`;
  return (await fetch(url, { headers: tenantHeader(tenant) })).status;
}

const tenantHeader = (tenant: string): Record<string, string> => (tenant === '' ? {} : { 'x-scope-orgid': tenant });

/** Resolves once `status` has answered `wanted` as often as there are workers, which take turns. */
async function becomes(wanted: number, status: () => Promise<number>): Promise<void> {
  const until = performance.now() + 30_000;
  for (let times = 0, last = 0; times < WORKERS; times = last === wanted ? times + 1 : 0) {
    last = await status();
    if (performance.now() > until) assert.fail(`still ${last}, not ${wanted}\n${server.process.output}`);
    if (last !== wanted) await sleep(10);
  }
}

test('a tenant goes by its own limits, others by the defaults; nobody is refused', async () => {
  await becomes(400, () => pushAs('a'));
  await becomes(204, () => pushAs('b'));
  assert.equal(await pushAs(''), 401);
  assert.equal(await queryAs('a', 11), 400);
  assert.equal(await queryAs('a', 10), 200);
  assert.equal(await queryAs('b', 11), 200);
  assert.equal(await queryAs('b', 51), 400);
});

test('changes of the file are followed without a restart, by pushes and by queries', async () => {
  await overrides('b: {max_line_size: 20B}', 'a: {max_entries_limit_per_query: 20}');
  await becomes(204, () => pushAs('a'));
  await becomes(400, () => pushAs('b'));
  await becomes(200, () => queryAs('a', 20));
  assert.equal(await queryAs('a', 21), 400);
  await overrides();
  await becomes(204, () => pushAs('b'));
});

test('a bad file changes nothing, and shows in the metrics until it is mended', async () => {
  const successful = () => metric(server.url, 'loki_runtime_config_last_reload_successful');
  await overrides('a: {max_line_size: 20B}');
  await becomes(400, () => pushAs('a'));
  assert.equal(await successful(), 1);
  await overrides('a: {max_line_size: huge}', 'b: {max_lines: 1}');
  await becomes(0, successful);
  await becomes(400, () => pushAs('a'));
  assert.match(server.process.output, /overrides\.yaml:2: overrides\.a\.max_line_size: not a size: huge/);
  assert.match(server.process.output, /overrides\.yaml:3: unknown key overrides\.b\.max_lines/);
  await overrides('a: {max_line_size: 30B}');
  await becomes(1, successful);
  await becomes(204, () => pushAs('a'));
  assert.equal(await metric(server.url, 'loki_runtime_config_hash'), 1);
});

test('a tenant is shown its limits', async () => {
  await overrides('a: {max_line_size: 21B, query_timeout: 744h}');
  const text = async (tenant: string): Promise<string> =>
    (await fetch(`${server.url}/config/tenant/v1/limits`, { headers: tenantHeader(tenant) })).text();
  await becomes(1, async () => Number((await text('a')).includes('\nmax_line_size: 21B\n')));
  assert.match(await text('a'), /^query_timeout: 31d$/m);
  assert.match(await text('a'), /^max_entries_limit_per_query: 50$/m);
  assert.match(await text('b'), /^max_line_size: 256KB$/m);
  const drilldown = await fetch(`${server.url}/loki/api/v1/drilldown-limits`, { headers: tenantHeader('a') });
  const { limits, version } = (await drilldown.json()) as { limits: Record<string, unknown>; version: string };
  assert.deepEqual([limits.max_line_size, limits.query_timeout, limits.reject_old_samples], ['21B', '31d', true]);
  assert.match(version, /^\d/);
});

test('refuses to start: everything wrong with the configuration and the overrides', async () => {
  const bad = join(folder, 'bad.yaml');
  const config = join(folder, 'config.yaml');
  await writeFile(bad, 'overrides:\n  a:\n    max_line_size: huge\n    ruler_max_rules_per_rule_group: 5\n');
  await writeFile(config, `runtime_config:\n  file: ${bad}\nserver:\n  http_listen_prot: 1\nschema_config: {configs: []}\n`);
  const attempt = new ServerProcess([`-config.file=${config}`, `-server.http-listen-port=${await freePort()}`]);
  const { code } = await attempt.ends(20_000);
  assert.equal(code, 1, attempt.output);
  assert.deepEqual(attempt.output.split('\n').slice(0, -1), [
    `${config}:4: unknown key server.http_listen_prot, did you mean http_listen_port?`,
    `${config}:5: schema_config is an option of Loki that is not supported here`,
    `${bad}:3: overrides.a.max_line_size: not a size: huge`,
    `${bad}:4: overrides.a.ruler_max_rules_per_rule_group is an option of Loki that is not supported here`,
    'with -config.allow-unsupported, options that are not supported here are ignored with a warning each',
  ]);
});

test('starts with a configuration of Loki where that is allowed, and warns', async () => {
  const config = join(folder, 'loki.yaml');
  await writeFile(config, 'schema_config: {configs: []}\nlimits_config: {retention_period: 744h, reject_old_samples: false}\n');
  await using tolerant = await TestServer.start({ flags: [`-config.file=${config}`, '-config.allow-unsupported'] });
  assert.match(tolerant.process.output, /level=warn.*loki\.yaml:1: schema_config is an option of Loki/);
  assert.match(tolerant.process.output, /level=warn.*loki\.yaml:2: limits_config\.retention_period is an option of Loki/);
  const diffs = await (await fetch(`${tolerant.url}/config?mode=diffs`)).text();
  assert.match(diffs, /^limits_config:\n {2}reject_old_samples: false$/m);
  assert.doesNotMatch(diffs, /retention_period|max_line_size/);
  assert.match(await (await fetch(`${tolerant.url}/config?mode=defaults`)).text(), /^ {2}reject_old_samples: true$/m);
});
