import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOptions } from '../../actors/limits.ts';
import type { LimitOverrides } from '../../actors/tenant-limits.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import { defaultsOf, snakeCase } from '../../ops/base/options.ts';
import type { Files } from '../../ops/base/world.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { configure } from '../../ops/config.ts';
import { ConfigError, Findings } from '../../ops/config-findings.ts';
import { OverridesWatch } from '../../ops/overrides-watch.ts';
import { overridesIn, readRuntimeFiles, runtimeConfigSource } from '../../ops/runtime-config.ts';
import { sections } from '../../ops/sections.ts';

/** Files that can be read, by absolute path; an Error is thrown. */
function filesOf(texts: Record<string, string | Error>): Files {
  const read = async (path: string): Promise<Buffer> => {
    const text = texts[path] ?? new Error(`ENOENT: no such file, open '${path}'`);
    if (text instanceof Error) throw text;
    return Buffer.from(text);
  };
  return { read } as Files;
}

async function read(...texts: string[]): Promise<LimitOverrides> {
  const byPath = Object.fromEntries(texts.map((text, index) => [`/o${index}.yaml`, text]));
  const findings = new Findings();
  const overrides = overridesIn(await readRuntimeFiles(Object.keys(byPath), filesOf(byPath), findings), findings);
  findings.settle(false);
  return overrides;
}

const accepted: [what: string, files: string[], overrides: LimitOverrides][] = [
  ['nothing', [], []],
  ['an empty file', [''], []],
  ['no overrides', ['overrides:\n'], []],
  ['a tenant without limits', ['overrides:\n  a:\n'], [['a', {}]]],
  [
    'values of every kind',
    [
      'overrides:\n  a: {ingestion_rate_mb: 1.5, max_line_size: 262144, query_timeout: 2m, reject_old_samples: no, enforced_labels: [x, y]}\n',
    ],
    [['a', { ingestionRateMb: 1.5, maxLineSize: 262_144, queryTimeout: 120_000, rejectOldSamples: false, enforcedLabels: ['x', 'y'] }]],
  ],
  ['a tenant that looks like a number', ['overrides:\n  0042: {max_line_size: 1}\n'], [['0042', { maxLineSize: 1 }]]],
  [
    'keys shared by `<<`',
    ['overrides:\n  a: &a {max_line_size: 1, max_query_series: 2}\n  b:\n    <<: *a\n    max_line_size: 3\n'],
    [
      ['a', { maxLineSize: 1, maxQuerySeries: 2 }],
      ['b', { maxQuerySeries: 2, maxLineSize: 3 }],
    ],
  ],
  [
    'two files, of which the later wins',
    ['overrides:\n  a: {max_line_size: 1, max_query_series: 2}\n', 'overrides:\n  a: {max_line_size: 3}\n  b: {}\n'],
    [
      ['a', { maxLineSize: 3, maxQuerySeries: 2 }],
      ['b', {}],
    ],
  ],
  ['JSON', ['{"overrides": {"a": {"max_line_size": "1KB"}}}'], [['a', { maxLineSize: 1_024 }]]],
];
for (const [what, files, overrides] of accepted) {
  test(`overrides take ${what}`, async () => assert.deepEqual(await read(...files), overrides));
}

const refused: [what: string, file: string, problems: string[]][] = [
  [
    'everything wrong at once, with lines',
    'overrides:\n  a:\n    max_line_size: big\n    ingestion_rate: 4\n    max_line_sise: 1\n  b: 5\nlimits: {}\n',
    [
      '/o0.yaml:3: overrides.a.max_line_size: not a size: big',
      '/o0.yaml:4: unknown key overrides.a.ingestion_rate, did you mean ingestion_rate_mb?',
      '/o0.yaml:5: unknown key overrides.a.max_line_sise, did you mean max_line_size?',
      '/o0.yaml:6: overrides.b: wants keys with values',
      '/o0.yaml:7: unknown key limits, wants overrides',
    ],
  ],
  ['a tenant named twice', 'overrides:\n  a: {}\n  a: {}\n', ['/o0.yaml:3: Map keys must be unique']],
  ['a list', '- a\n', ['/o0.yaml:1: wants keys with values']],
  ['a map that holds itself', 'overrides:\n  a: &a\n    <<: *a\n', ['/o0.yaml:3: <<: wants an alias of keys with values']],
];
for (const [what, file, problems] of refused) {
  test(`overrides refuse ${what}`, () => assert.rejects(read(file), { problems }));
}

test('overrides refuse a file that is not there', async () => {
  const findings = new Findings();
  await readRuntimeFiles(['/x.yaml'], filesOf({}), findings);
  assert.throws(() => findings.settle(true), { problems: ["/x.yaml: ENOENT: no such file, open '/x.yaml'"] });
});

test('limits and sections that only Loki has are named as such, and warned of where that is allowed', async () => {
  const findings = new Findings();
  const text = 'configs: {a: {log_push_request: true}}\noverrides:\n  a: {max_line_size: 5, ruler_max_rules_per_rule_group: 1}\n';
  const overrides = overridesIn(await readRuntimeFiles(['/o.yaml'], filesOf({ '/o.yaml': text }), findings), findings);
  const expected = [
    '/o.yaml:1: configs is an option of Loki that is not supported here',
    '/o.yaml:3: overrides.a.ruler_max_rules_per_rule_group is an option of Loki that is not supported here',
  ];
  assert.deepEqual(findings.settle(true), expected);
  assert.throws(() => findings.settle(false), ConfigError);
  assert.deepEqual(overrides, [['a', { maxLineSize: 5 }]]);
});

const sources: [flags: string[], paths: string[], periodMs: number][] = [
  [[], [], 10_000],
  [['-runtime-config.file=a,b', '-runtime-config.reload-period=1m'], ['a', 'b'], 60_000],
  [['-limits.per-user-override-config=old', '-limits.per-user-override-period=5s'], ['old'], 5_000],
  [['-limits.per-user-override-config=old', '-limits.per-user-override-period=5s', '-runtime-config.file=a'], ['a'], 10_000],
];
for (const [argv, paths, periodMs] of sources) {
  test(`overrides come from ${paths.join(' and ') || 'nowhere'} with ${argv.join(' ') || 'no flag'}`, () => {
    const findings = new Findings();
    const configuration = configure(sections, { argv, env: {}, readFile: () => '' }, findings);
    assert.deepEqual(findings.settle(false), []);
    assert.deepEqual(runtimeConfigSource(configuration), { paths, periodMs, allowUnsupported: false });
  });
}

/** A watch over one file that the test changes; time is the test's. */
function watching() {
  const texts: Record<string, string | Error> = { '/o.yaml': 'overrides: {a: {max_line_size: 1}}' };
  const world = fakeWorld(1, filesOf(texts));
  const gauges = new Map<string, number>();
  const logged: string[] = [];
  const nameOf = (name: string, labels = {}): string => `${name}${JSON.stringify(labels)}`;
  const log = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    logged.push(`${level} ${message}${fields?.problem ? `: ${fields.problem}` : ''}`);
  const instruments = {
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    gauge: (name: string) => ({
      set: (value: number, labels: object) => gauges.set(nameOf(name, labels), value),
      remove: (labels: object) => gauges.delete(nameOf(name, labels)),
    }),
  } as unknown as Instruments;
  const changes: LimitOverrides[] = [];
  const source = { paths: ['/o.yaml'], periodMs: 10_000, allowUnsupported: false };
  const watch = new OverridesWatch({ world, instruments, source, hash: 'first', onChange: (overrides) => changes.push(overrides) });
  const running = watch.run();
  return {
    texts,
    world,
    gauges,
    logged,
    changes,
    watch,
    running,
    successful: nameOf('loki_runtime_config_last_reload_successful', { config: 'loki' }),
  };
}

test('overrides are read every period, and a change is told once', async () => {
  const { texts, world, gauges, changes, successful, watch, running } = watching();
  assert.equal(gauges.get(successful), 1);
  await world.advance(9_999);
  assert.deepEqual(changes, []);
  await world.advance(1);
  assert.deepEqual(changes, [[['a', { maxLineSize: 1 }]]]);
  await world.advance(30_000);
  assert.equal(changes.length, 1);
  texts['/o.yaml'] = 'overrides: {a: {max_line_size: 2}}';
  await world.advance(10_000);
  assert.deepEqual(changes.at(-1), [['a', { maxLineSize: 2 }]]);
  const hashes = [...gauges.keys()].filter((name) => name.startsWith('loki_runtime_config_hash'));
  assert.equal(hashes.length, 1);
  assert.match(hashes[0], /"config":"loki","sha256":"[0-9a-f]{64}"/);
  watch.stop();
  await running;
});

test('while the file is bad or gone the overrides before stay, which is said once and shown', async () => {
  const { texts, world, gauges, logged, changes, successful, watch, running } = watching();
  await world.advance(10_000);
  texts['/o.yaml'] = 'overrides: {a: {max_line_size: big}}';
  await world.advance(30_000);
  assert.equal(gauges.get(successful), 0);
  assert.equal(changes.length, 1);
  const problem = 'error overrides not taken, those before stay: /o.yaml:1: overrides.a.max_line_size: not a size: big';
  assert.deepEqual(logged.slice(1), [problem]);
  texts['/o.yaml'] = new Error('EIO');
  await world.advance(10_000);
  assert.deepEqual(logged.slice(2), ['error overrides not taken, those before stay: /o.yaml: EIO']);
  texts['/o.yaml'] = 'overrides: {a: {max_line_size: 1}}';
  await world.advance(10_000);
  assert.equal(gauges.get(successful), 1);
  assert.equal(changes.length, 1);
  watch.stop();
  await running;
});

test('every limit can be overridden for a tenant', async () => {
  const defaults = defaultsOf(limitsOptions);
  const text = Object.entries(limitsOptions.rows).map(
    ([key, { default: value }]) => `    ${snakeCase(key)}: ${JSON.stringify(value || '0')}\n`,
  );
  const [[, own]] = await read(`overrides:\n  a:\n${text.join('')}`);
  assert.deepEqual(Object.keys(own), Object.keys(defaults));
});
