import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What each area may import besides itself; the longest area that starts a path is its own. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'ops/base': [],
  logql: ['ops/base/fault.ts', 'ops/base/bytes.ts'],
  topology: ['ops/base'],
  storage: ['ops/base', 'logql/model.ts', 'logql/pipeline'],
  actors: ['ops/base', 'topology', 'storage', 'logql'],
  ops: ['ops/base', 'topology', 'storage', 'logql', 'actors'],
  tests: ['ops/base', 'topology', 'storage', 'logql', 'actors', 'ops'],
};

/** The one file that knows a package; another one beside it needs a reason. Tests may use what they like. */
const EDGES: Record<string, readonly string[]> = {
  fastify: ['ops/http/server.ts'],
  kafkajs: [
    'actors/source/consumer.ts',
    'storage/kafka/client.ts',
    'storage/kafka/codecs.ts',
    'storage/kafka/topic.ts',
    'storage/log/kafka-group.ts',
    'storage/log/kafka.ts',
  ], // consumers, connections, what batches are compressed with; the ingest topic, who reads it and who writes to it
  'lz4-napi': ['storage/kafka/codecs.ts'],
  msgpackr: ['topology/transport/wire.ts'],
  nats: ['ops/nats/services.ts', 'topology/nats/connect.ts', 'topology/ring/kv-nats.ts'], // connections, and what micro services and JetStream need of one
  'prom-client': ['ops/exposition.ts', 'ops/telemetry.ts'], // what the main thread has of it, and what every thread has
  snappy: ['storage/batch/snappy.ts'],
  ws: ['ops/http/websocket.ts'],
  xstate: ['actors/kernel/child.ts', 'actors/kernel/lifecycle.ts', 'topology/ring/lifecycle.ts', 'topology/ring/member.ts'], // machines, and who runs them
  yaml: ['ops/config-yaml.ts'],
  'zstd-napi': ['storage/chunk/zstd.ts'],
};

interface Import {
  from: string;
  /** A path from the root, or a package's name. */
  to: string;
  relative: boolean;
}

const SPECIFIERS = [
  /^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'/gm,
  /^import\s*'([^']+)'/gm,
  /\bimport\(\s*'([^']+)'\s*\)/g,
  /\brequire\(\s*'([^']+)'\s*\)/g,
  /\bnew URL\(\s*'(\.[^']+\.ts)'\s*,\s*import\.meta\.url/g, // a worker's script
];

export function importsOf(path: string, source: string): Import[] {
  const specifiers = SPECIFIERS.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1]));
  return specifiers
    .filter((specifier) => !specifier.startsWith('node:') && !builtinModules.includes(specifier))
    .map((specifier) => {
      if (specifier.startsWith('.')) return { from: path, to: posix.join(posix.dirname(path), specifier), relative: true };
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      return { from: path, to: name, relative: false };
    });
}

function sources(): string[] {
  return Object.keys(MAY_IMPORT)
    .filter((area) => !area.includes('/'))
    .flatMap((area) => readdirSync(join(root, area), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

const within = (path: string, area: string): boolean => path === area || path.startsWith(`${area}/`);

function areaOf(path: string): string {
  const areas = Object.keys(MAY_IMPORT).filter((area) => within(path, area));
  return areas.sort((a, b) => b.length - a.length)[0] ?? dirname(path);
}

function isAllowed({ from, to }: Import): boolean {
  const [source, target] = [areaOf(from), areaOf(to)];
  return source === target || MAY_IMPORT[source].some((allowed) => within(to, allowed));
}

// This file's samples of imports are not imports.
const imports = sources()
  .filter((path) => path !== 'tests/arrows.test.ts')
  .flatMap((path) => importsOf(path, readFileSync(join(root, path), 'utf8')));

test('imports point down only', (context) => {
  const inside = imports.filter((one) => one.relative);
  assert.ok(inside.length > 0);
  const arrows = new Map<string, number>();
  for (const { from, to } of inside) {
    const arrow = `${areaOf(from)} -> ${areaOf(to)}`;
    if (areaOf(from) !== areaOf(to)) arrows.set(arrow, (arrows.get(arrow) ?? 0) + 1);
  }
  for (const [arrow, count] of [...arrows].sort()) context.diagnostic(`${arrow}: ${count}`);
  const wrong = inside.filter((one) => !isAllowed(one));
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  );
});

test('each package is imported in its edge file only, and each is used', () => {
  const found: Record<string, string[]> = {};
  for (const { from, to } of imports.filter((one) => !one.relative && areaOf(one.from) !== 'tests'))
    found[to] = [...new Set([...(found[to] ?? []), from])];
  assert.deepEqual(found, EDGES);
});

test('every package used is in package.json, and the program needs no package of the tests', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const shipped = Object.keys({ ...dependencies, ...optionalDependencies });
  assert.deepEqual(shipped.filter((name) => name !== 'node').sort(), Object.keys(EDGES).sort());
  const known = new Set([...shipped, ...Object.keys(devDependencies)]);
  assert.deepEqual(
    imports.filter((one) => !one.relative && !known.has(one.to)).map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

const samples: [source: string, to: string[]][] = [
  ["import { a } from './x.ts';", ['storage/chunk/x.ts']],
  ["import {\n  a,\n  type B,\n} from '../../ops/base/world.ts';", ['ops/base/world.ts']],
  ["export { a } from '../y.ts';\nimport 'zstd-napi';", ['storage/y.ts', 'zstd-napi']],
  ["const z = await import('@scope/name/deep');", ['@scope/name']],
  ["new Worker(new URL('../../ops/threads/worker.ts', import.meta.url))", ['ops/threads/worker.ts']],
  ["import fs from 'node:fs';", []],
];
for (const [source, to] of samples) {
  test(`finds the imports of: ${source.replaceAll('\n', ' ')}`, () =>
    assert.deepEqual(
      importsOf('storage/chunk/block.ts', source).map((one) => one.to),
      to,
    ));
}

const arrows: [from: string, to: string, allowed: boolean][] = [
  ['storage/chunk/scan.ts', 'logql/pipeline/pipeline.ts', true],
  ['storage/chunk/scan.ts', 'logql/syntax/ast.ts', false],
  ['storage/chunk/scan.ts', 'ops/config.ts', false],
  ['logql/model.ts', 'ops/base/world.ts', false],
  ['topology/ring/ring.ts', 'storage/blob/fs.ts', false],
  ['actors/ingester/ingester.ts', 'ops/main.ts', false],
  ['ops/base/world.ts', 'ops/config.ts', false],
  ['ops/cli.ts', 'tests/support/server.ts', false],
];
for (const [from, to, allowed] of arrows)
  test(`${from} ${allowed ? 'may' : 'may not'} import ${to}`, () => assert.equal(isAllowed({ from, to, relative: true }), allowed));
