#!/usr/bin/env node
// Conformance runner: pushes the dataset, sends every case to a Loki-compatible
// server and compares the normalised answers with the recorded ones.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { buildDataset, DATASET_SECONDS, pushBodies, wordRenamer } from './dataset.mjs';
import { difference, normalise, normaliseMessage } from './normalise.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:3100' },
    cases: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'cases') },
    base: { type: 'string', default: '2026-01-15T10:00:00Z' },
    only: { type: 'string' },
    json: { type: 'string' },
    push: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    'mark-unstable': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    messages: { type: 'boolean', default: false },
    concurrency: { type: 'string', default: '4' },
    help: { type: 'boolean', default: false },
  },
});

const USAGE = `usage: run.mjs [--url URL] [--cases DIR] [--base RFC3339] [--push] [--only CATEGORY|ID-PREFIX[,...]]
               [--verbose] [--messages] [--json FILE] [--concurrency N] [--record] [--mark-unstable]`;

const DEFAULT_BASE = '2026-01-15T10:00:00Z';

/** Categories that change the store; they run last, one case at a time, and only after --push or when named by --only. */
const MUTATING = new Set(['push', 'delete']);

const PATHS = {
  range: () => '/loki/api/v1/query_range',
  instant: () => '/loki/api/v1/query',
  labels: () => '/loki/api/v1/labels',
  label_values: ({ name }) => `/loki/api/v1/label/${encodeURIComponent(name)}/values`,
  series: () => '/loki/api/v1/series',
  stats: () => '/loki/api/v1/index/stats',
  volume: () => '/loki/api/v1/index/volume',
  volume_range: () => '/loki/api/v1/index/volume_range',
  format_query: () => '/loki/api/v1/format_query',
  detected_fields: () => '/loki/api/v1/detected_fields',
  detected_field_values: ({ name }) => `/loki/api/v1/detected_field/${encodeURIComponent(name)}/values`,
  detected_labels: () => '/loki/api/v1/detected_labels',
  patterns: () => '/loki/api/v1/patterns',
  push: () => '/loki/api/v1/push',
  delete: () => '/loki/api/v1/delete',
};

const baseMs = Date.parse(options.base);
if (options.help || Number.isNaN(baseMs)) {
  console.error(USAGE);
  process.exit(2);
}
const baseNs = BigInt(baseMs) * 1_000_000n;

/** Nanoseconds of an offset written as decimal seconds. */
function offsetNs(seconds) {
  const negative = seconds.startsWith('-');
  const [whole, fraction = ''] = seconds.replace('-', '').split('.');
  const ns = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
  return negative ? -ns : ns;
}

function formatTime(seconds, format = 'ns') {
  const ns = baseNs + offsetNs(seconds);
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  switch (format) {
    case 'ns':
      return String(ns);
    case 's':
      return `${ns / 1_000_000_000n}${fraction ? `.${fraction}` : ''}`;
    case 'ms':
      return String(ns / 1_000_000n);
    case 'rfc3339':
      return new Date(Number(ns / 1_000_000n)).toISOString().replace(/\.\d+Z$/, fraction ? `.${fraction}Z` : 'Z');
    default:
      throw new Error(`unknown time format ${format}`);
  }
}

/** Replaces tokens: a whole string "@12.5[:fmt]", "<@12.5[:fmt]>" inside a longer one, and "<x*1000>", a letter repeated. */
function resolveTokens(value) {
  if (typeof value === 'string') {
    const whole = /^@(-?\d+(?:\.\d+)?)(?::(\w+))?$/.exec(value);
    if (whole) return formatTime(whole[1], whole[2]);
    return value
      .replace(/<@(-?\d+(?:\.\d+)?)(?::(\w+))?>/g, (_, seconds, format) => formatTime(seconds, format))
      .replace(/<([a-z])\*(\d+)>/g, (_, letter, count) => letter.repeat(Number(count)));
  }
  if (Array.isArray(value)) return value.map(resolveTokens);
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [resolveTokens(k), resolveTokens(v)]));
  return value;
}

function searchParams(params) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(resolveTokens(params ?? {}))) {
    for (const item of Array.isArray(value) ? value : [value]) search.append(key, String(item));
  }
  return search;
}

async function send(kind, { params = {}, headers = {}, method, path, form, body, rawBody, contentType, encoding, rawDeflate }) {
  const { name, ...query } = params;
  const search = searchParams(query).toString();
  const route = path ? resolveTokens(path) : PATHS[kind]({ name });
  const request = { method: method ?? (kind === 'push' ? 'POST' : 'GET'), headers: { ...headers } };
  let url = options.url + route;
  if (form) {
    request.method = 'POST';
    request.headers['content-type'] = 'application/x-www-form-urlencoded';
    request.body = search;
  } else if (search) {
    url += `?${search}`;
  }
  if (body !== undefined || rawBody !== undefined) {
    let bytes = Buffer.from(rawBody !== undefined ? resolveTokens(rawBody) : JSON.stringify(resolveTokens(body)));
    if (encoding === 'gzip') bytes = gzipSync(bytes);
    if (encoding === 'deflate') bytes = rawDeflate ? deflateRawSync(bytes) : deflateSync(bytes);
    if (encoding) request.headers['content-encoding'] = encoding;
    request.headers['content-type'] = contentType ?? 'application/json';
    request.body = bytes;
  }
  request.signal = AbortSignal.timeout(20_000);
  const response = await fetch(url, request);
  return { status: response.status, contentType: response.headers.get('content-type') ?? '', text: await response.text() };
}

/** Sends one case and returns what is compared: {status, body} or {status, message}, plus the follow-up answer if any. */
async function answer(testCase) {
  const one = async (kind, request) => {
    const reply = await send(kind, request);
    if (reply.status >= 400) return { status: reply.status, message: normaliseMessage(reply.text) };
    return { status: reply.status, body: normalise(kind, reply, { baseNs, ordered: testCase.ordered === true }) };
  };
  let result = await one(testCase.kind, testCase);
  // Patterns are mined in the background after a push: give them a moment.
  for (let tries = 0; testCase.kind === 'patterns' && tries < 12 && (options.record || difference(testCase.expected, result)); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    result = await one(testCase.kind, testCase);
  }
  if (testCase.then) {
    const deadline = Date.now() + (options.record ? 300 : 3000);
    do {
      // biome-ignore lint/suspicious/noThenProperty: the cases call their follow-up query so; nothing awaits this object
      result.then = await one(testCase.then.kind, testCase.then);
      if (testCase.expected?.then && !difference(testCase.expected.then, result.then)) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } while (Date.now() < deadline);
  }
  return result;
}

function loadCases(directory) {
  const files = readdirSync(directory)
    .filter((file) => file.endsWith('.json') && file !== 'dataset.json')
    .sort();
  return files.map((file) => ({
    file,
    category: file.replace(/\.json$/, ''),
    cases: JSON.parse(readFileSync(join(directory, file), 'utf8')),
  }));
}

function saveCases(directory, { file, cases }) {
  writeFileSync(join(directory, file), `[\n${cases.map((testCase) => JSON.stringify(testCase)).join(',\n')}\n]\n`);
}

async function pushDataset(dataset, rename) {
  let entries = 0;
  for (const body of pushBodies(dataset, baseNs)) {
    const reply = await send('push', { rawBody: JSON.stringify(body) });
    if (reply.status !== 204 && reply.status !== 200) throw new Error(`push answered ${reply.status}: ${reply.text.slice(0, 300)}`);
    entries += body.streams[0].values.length;
  }
  const key = ({ labels, t, line }) => JSON.stringify([labels, String(t), line]);
  const distinct = new Set(dataset.streams.flatMap(({ labels, entries: list }) => list.map(({ t, line }) => key({ labels, t, line }))))
    .size;
  const query = `sum(count_over_time({${wordRenamer(rename)('app')}=~".+"}[${DATASET_SECONDS + 60}s]))`;
  const deadline = Date.now() + 60_000;
  for (;;) {
    const reply = await send('instant', { params: { query, time: `@${DATASET_SECONDS + 1}` } });
    const count = reply.status === 200 ? Number(JSON.parse(reply.text).data.result[0]?.value[1] ?? 0) : 0;
    if (count >= distinct) break;
    if (Date.now() > deadline) {
      console.error(`warning: only ${count} of ${distinct} distinct entries are queryable; going on`);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  console.log(`pushed ${entries} entries in ${dataset.streams.length} streams`);
}

async function inPool(items, size, work) {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: size }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

const wanted = options.only?.split(',');
const isWanted = (category, id) =>
  !wanted || wanted.some((name) => name === category || id === name || (name.endsWith('*') && id.startsWith(name.slice(0, -1))));

const configFile = join(options.cases, 'dataset.json');
const config = existsSync(configFile) ? JSON.parse(readFileSync(configFile, 'utf8')) : {};
const groups = loadCases(options.cases);
const started = Date.now();
if (options.push) await pushDataset(buildDataset(config), config.rename);

const results = [];
async function runCase(group, testCase) {
  const outcome = { id: testCase.id, category: group.category };
  results.push(outcome);
  if ((testCase.unstable && !options.record) || (testCase.defaultBaseOnly && baseMs !== Date.parse(DEFAULT_BASE))) {
    outcome.result = 'skipped';
    return;
  }
  const begun = Date.now();
  let actual;
  try {
    actual = await answer(testCase);
  } catch (error) {
    outcome.result = 'failed';
    outcome.difference = `no answer: ${error.cause?.message ?? error.message}`;
    return;
  } finally {
    outcome.ms = Date.now() - begun;
  }
  if (options.record) {
    testCase.expected = actual;
    outcome.result = 'passed';
    return;
  }
  outcome.difference = difference(testCase.expected, actual);
  outcome.result = outcome.difference ? 'failed' : 'passed';
  if (!outcome.difference && testCase.expected.message !== undefined && testCase.expected.message !== actual.message) {
    outcome.messageDiffers = { expected: testCase.expected.message, actual: actual.message };
  }
  if (outcome.difference) {
    outcome.request = { kind: testCase.kind, params: testCase.params };
    outcome.expected = testCase.expected;
    outcome.actual = actual;
    if (options['mark-unstable']) testCase.unstable = true;
  }
}

const selected = groups.flatMap((group) =>
  group.cases.filter((testCase) => isWanted(group.category, testCase.id)).map((testCase) => ({ group, testCase })),
);
await inPool(
  selected.filter(({ group }) => !MUTATING.has(group.category)),
  Number(options.concurrency),
  ({ group, testCase }) => runCase(group, testCase),
);
for (const { group, testCase } of selected.filter((item) => MUTATING.has(item.group.category))) {
  if (options.push || wanted) await runCase(group, testCase);
}
if (options.record || options['mark-unstable']) for (const group of groups) saveCases(options.cases, group);

const failed = results.filter(({ result }) => result === 'failed');
for (const outcome of failed) {
  console.log(`\nFAIL ${outcome.id}\n  ${JSON.stringify(outcome.request?.params ?? {}).slice(0, 400)}\n  ${outcome.difference}`);
  if (options.verbose && outcome.actual)
    console.log(`  expected: ${JSON.stringify(outcome.expected)}\n  actual:   ${JSON.stringify(outcome.actual)}`);
}
const differing = results.filter(({ messageDiffers }) => messageDiffers);
if (options.messages || options.verbose) {
  for (const { id, messageDiffers } of differing)
    console.log(`\nMESSAGE ${id}\n  expected: ${messageDiffers.expected}\n  actual:   ${messageDiffers.actual}`);
}

console.log(`\n${'category'.padEnd(24)}passed/total`);
for (const { category } of groups) {
  const mine = results.filter((outcome) => outcome.category === category && outcome.result !== 'skipped');
  if (mine.length === 0) continue;
  console.log(`${category.padEnd(24)}${mine.filter(({ result }) => result === 'passed').length}/${mine.length}`);
}
const skipped = results.filter(({ result }) => result === 'skipped').length;
if (skipped) console.log(`${skipped} cases skipped (unstable, or valid for the default base only)`);
console.log(`${differing.length} error cases with another message text (not counted as failures)`);
console.log(`${((Date.now() - started) / 1000).toFixed(1)} s`);
if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 1));
console.log(`${results.length - failed.length - skipped} passed, ${failed.length} failed`);
process.exitCode = failed.length ? 1 : 0;
