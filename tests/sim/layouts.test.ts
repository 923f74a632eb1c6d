import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../ops/base/world-fake.ts';
import { choices, FAR } from '../support/choices.ts';
import {
  type Answer,
  DATA_END_NS,
  DATA_START_NS,
  generateData,
  LAYOUTS,
  type LaidEntry,
  type LaidPush,
  LaidStore,
} from '../support/layouts.ts';

const SEEDS = Number(process.env.SEEDS ?? 6);
const FIRST = Number(process.env.SEED ?? 1);

const SECOND_NS = 1_000_000_000n;

interface LogQuery {
  readonly kind: 'logs';
  readonly query: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly limit: number;
  readonly direction: 'forward' | 'backward';
  readonly categorize: boolean;
  readonly intervalNs: number;
}
interface MetricQuery {
  readonly kind: 'range' | 'instant';
  readonly query: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly stepNs: number;
  /** Depends on the order in which entries of one time arrived. */
  readonly byArrival: boolean;
}
type Query = LogQuery | MetricQuery;

const LOGS = [
  '{app=~".+"}',
  '{app="app-1"}',
  '{app=~".+"} |= "took"',
  '{app=~".+"} != "info" |~ "[1-3]"',
  '{format="json"} | json',
  '{format="json"} | json id="user.id" | id != "2"',
  '{format="logfmt"} | logfmt | level="error" or ms > 50',
  '{format="plain"} | pattern "<level> <path> took <ms> ms" | level =~ "INFO|WARN"',
  '{app=~".+"} | trace="t1"',
  '{app=~".+"} | drop app, n, pod, format, service_name',
  '{app=~".+"} | keep app',
  '{format="logfmt"} | logfmt | line_format "{{.app}} {{.level}}" | keep level',
  '{format="logfmt"} | logfmt | label_format n="{{.level}}", pod=path',
  // What skip filters can tell of.
  '{app=~".+"} |= "took 0 turns"',
  '{app=~".+"} |= "path=/login msg" |= "ms=17"',
  '{format="json"} |= `"path":"/cart"` | json | user_id="2"',
  '{app=~".+"} |~ "(?i)WARN|level.+took 2 turns"',
  '{app=~".+"} |~ "took 1[0-9]+.5 ms"',
  '{app=~".+"} |> "<_> ms é🦊"',
  '{app=~".+"} | trace="t0" |= "/login"',
  '{app=~".+"} | pod="shadow"',
  '{app=~".+"} | pod_extracted="shadow"',
  '{app=~".+"} | pod_extracted="shadow" | trace="t2" or n="3"',
];

const RANGES = ['[5m]', '[1h]', '[7m31s]', '[1h] offset 13m', '[10m] offset -10m', '[4h]', '[1ms]', '[2y]', '[10y]'];
const METRICS: ((range: string) => string)[] = [
  (range) => `count_over_time({app=~".+"}${range})`,
  (range) => `sum(count_over_time({app=~".+"}${range}))`,
  (range) => `sum by (app) (rate({app=~".+"} |= "o" ${range}))`,
  (range) => `sum by (trace) (count_over_time({app=~".+"}${range}))`,
  (range) => `sum by (pod_extracted, app) (bytes_over_time({app=~".+"}${range}))`,
  (range) => `sum without (n, pod, trace) (bytes_rate({app="app-0"}${range}))`,
  (range) => `bytes_over_time({app="app-2"} != "info" ${range})`,
  (range) => `max by (level) (count_over_time({format="json"} | json ${range}))`,
  (range) => `sum by (level) (sum_over_time({format="logfmt"} | logfmt | unwrap ms ${range}))`,
  (range) => `avg_over_time({format="logfmt"} | logfmt | unwrap ms ${range}) by (path)`,
  (range) => `min_over_time({format="json"} | json | unwrap ms ${range}) by (app)`,
  (range) => `max_over_time({format="json"} | json | keep ms, level | unwrap ms ${range})`,
  (range) => `stddev_over_time({format="logfmt"} | logfmt | unwrap ms ${range}) by (app)`,
  (range) => `stdvar_over_time({format="logfmt"} | logfmt | unwrap ms ${range}) by (path)`,
  (range) => `quantile_over_time(0.9, {format="logfmt"} | logfmt | unwrap ms ${range}) by (path)`,
  (range) => `sum(quantile_over_time(0.5, {format="json"} | json | unwrap ms ${range}) by (n))`,
  (range) => `absent_over_time({app="app-3"}${range})`,
  (range) => `absent_over_time({app="app-9", n=~"1.*"}${range})`,
  (range) => `topk(2, count_over_time({app=~".+"}${range}))`,
  (range) => `bottomk by (format) (1, sum by (format, pod) (count_over_time({app=~".+"}${range})))`,
  (range) => `topk(1, sum by (pod) (bytes_over_time({app=~".+"}${range})))`,
  (range) => `sum(rate({app="app-0"}${range})) / sum(rate({app=~".+"}${range}))`,
  (range) => `sum by (app) (count_over_time({app=~".+"}${range})) > bool 3`,
  (range) => `sum by (app) (count_over_time({app=~".+"}${range})) unless sum by (app) (count_over_time({app=~".+"} |= "ERROR" ${range}))`,
  (range) => `count(count_over_time({app=~".+"}${range})) by (format) or vector(0)`,
  (range) => `sort_desc(sum by (format) (count_over_time({app=~".+"}${range})))`,
  (range) => `label_replace(sum by (app) (rate({app=~".+"}${range})), "nr", "$1", "app", "app-(.*)")`,
  (range) => `sum by (status) (rate({format="plain"} | regexp "(?P<status>INFO|WARN)" ${range}))`,
  (range) => `rate({format="logfmt"} | logfmt | keep ms, path | unwrap ms ${range})`,
  (range) => `count_over_time({format="logfmt"} | label_format app="x", n="y", pod="z" ${range})`,
  (range) => `sum by (app) (count_over_time({app=~".+"} |= "level=error ms" ${range}))`,
  (range) => `sum by (pod_extracted) (rate({app=~".+"} | trace="t1" | pod_extracted="shadow" ${range}))`,
];
const BY_ARRIVAL: typeof METRICS = [
  (range) => `first_over_time({format="logfmt"} | logfmt | unwrap ms ${range}) by (path)`,
  (range) => `last_over_time({format="logfmt"} | logfmt | unwrap ms ${range}) by (path)`,
  (range) => `first_over_time({format="json"} | json | unwrap ms ${range}) by (n)`,
  (range) => `last_over_time({format="json"} | json | unwrap ms ${range}) by (app)`,
  (range) => `rate_counter({format="json"} | json | keep app, ms | unwrap ms ${range})`,
];

function queriesOf(seed: number, pushes: readonly LaidPush[]): Query[] {
  const { below, pick, time, extent } = choices(seed, pushes);
  const logs = LOGS.flatMap((query): LogQuery[] =>
    (['forward', 'backward'] as const).map((direction) => ({
      kind: 'logs',
      query,
      ...extent(),
      direction,
      limit: pick([1, 2, 3, 7, 20, 50, 5_000]),
      categorize: below(3) === 0,
      intervalNs: 0,
    })),
  );
  logs.push({ ...logs[0], startNs: DATA_START_NS, endNs: DATA_END_NS, limit: 40, intervalNs: 60e9, categorize: false });
  const metrics = [...METRICS, ...BY_ARRIVAL].flatMap((queryOf, index): MetricQuery[] => {
    const byArrival = index >= METRICS.length;
    const at = time();
    const stepNs = pick([1e9 * 61, 60e9, 300e9, 3_600e9, 450e9 + 1]);
    const startNs = pick([DATA_START_NS, time() - 600n * SECOND_NS]);
    const range = { startNs, endNs: startNs + BigInt(stepNs * (1 + below(40))), stepNs };
    return [
      { kind: 'instant', query: queryOf(pick(RANGES)), startNs: at, endNs: at, stepNs: 0, byArrival },
      { kind: 'range', query: queryOf(pick(RANGES)), ...range, byArrival },
    ];
  });
  return [...logs, ...metrics];
}

function answer(store: LaidStore, query: Query): Promise<Answer> {
  const { startNs, endNs } = query;
  const plain = { limit: 100, direction: 'forward' as const, categorize: false, intervalNs: 0, stepNs: 60e9 };
  if (query.kind === 'instant') return store.ask({ ...plain, kind: 'instant', query: query.query, timeNs: startNs });
  const { kind, ...asked } = query;
  return store.ask({ ...plain, ...asked, kind: 'range', startNs, endNs });
}

/** Numbers apart, for they may differ in their last bits. */
interface Comparable {
  readonly shape: unknown;
  readonly numbers: readonly number[];
}

const keyOf = (labels: Record<string, string>): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
const sortedBy = <T>(items: readonly T[], key: (item: T) => string): T[] => [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));

function comparable({ resultType, result }: Answer, reordered: boolean, limit: number): Comparable {
  const numbers: number[] = [];
  const number = (text: string): string => {
    if (!Number.isFinite(Number(text))) return text;
    numbers.push(Number(text));
    return 'number';
  };
  switch (resultType) {
    case 'fault':
      return { shape: result, numbers };
    case 'scalar':
      return { shape: number(result[1]), numbers };
    case 'streams': {
      const streams = sortedBy(result, ({ stream }) => keyOf(stream)).map(({ stream, values }) => [keyOf(stream), values] as const);
      if (!reordered) return { shape: streams, numbers };
      // What of the entries at the last time is within the limit depends on their arrival.
      const values = streams.flatMap(([key, entries]) => entries.map(([time, ...rest]) => [time, key, ...rest] as const));
      const isFull = values.length === limit;
      const times = values.map(([time]) => time).sort();
      const kept = isFull ? values.filter(([time]) => time !== times[0] && time !== times.at(-1)) : values;
      return { shape: [times, sortedBy(kept, (value) => JSON.stringify(value))], numbers };
    }
    case 'vector':
      return {
        shape: sortedBy(result, ({ metric }) => keyOf(metric)).map(({ metric, value }) => [keyOf(metric), value[0], number(value[1])]),
        numbers,
      };
    case 'matrix': {
      const series = sortedBy(result, ({ metric }) => keyOf(metric));
      return { shape: series.map(({ metric, values }) => [keyOf(metric), values.map(([time, value]) => [time, number(value)])]), numbers };
    }
  }
}

function assertSame(actual: Answer, expected: Answer, reordered: boolean, query: Query, what: string): void {
  const limit = query.kind === 'logs' ? query.limit : 0;
  const [a, e] = [comparable(actual, reordered, limit), comparable(expected, reordered, limit)];
  assert.deepEqual(a.shape, e.shape, what);
  for (const [index, value] of a.numbers.entries()) {
    const wanted = e.numbers[index];
    assert.ok(Math.abs(value - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)), `${what}: ${value}, not ${wanted}`);
  }
}

const shown = (query: Query): string => JSON.stringify(query, (_, value) => (typeof value === 'bigint' ? String(value) : value));

// --- a naive model ------------------------------------------------------------------------------------------------------------------------------------

function distinct(pushes: readonly LaidPush[]): LaidEntry[] {
  const byText = new Map(
    pushes
      .flat()
      .map((entry) => [JSON.stringify([entry.labels.n, String(entry.timeNs), entry.line, Object.entries(entry.metadata)]), entry]),
  );
  return [...byText.values()];
}

async function checkModel(store: LaidStore, pushes: readonly LaidPush[], seed: number, what: string): Promise<void> {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const entries = distinct(pushes);
  for (let round = 0; round < 6; round++) {
    const app = `app-${below(4)}`;
    const text = ['', 'info', 'took', '/'][below(4)];
    const wanted = entries.filter(({ labels, line }) => labels.app === app && line.includes(text));
    const selector = `{app="${app}"} |= "${text}"`;
    const pivot = entries[below(entries.length)].timeNs + BigInt(below(3) - 1);
    await checkLogs(store, wanted, selector, pivot, 1 + below(40), what);
    await checkCounts(store, wanted, selector, pivot, below, what);
  }
}

async function checkLogs(store: LaidStore, wanted: LaidEntry[], query: string, pivot: bigint, limit: number, what: string): Promise<void> {
  for (const direction of ['forward', 'backward'] as const) {
    const backward = direction === 'backward';
    const extent = backward ? { startNs: 0n, endNs: pivot } : { startNs: pivot, endNs: FAR.endNs };
    const inside = wanted
      .filter(({ timeNs }) => timeNs >= extent.startNs && timeNs < extent.endNs)
      .sort((a, b) => (a.timeNs === b.timeNs ? 0 : a.timeNs < b.timeNs !== backward ? -1 : 1));
    for (const most of [limit, 5_000]) {
      const log: LogQuery = { kind: 'logs', query, ...extent, direction, limit: most, categorize: false, intervalNs: 0 };
      const { resultType, result } = await answer(store, log);
      assert.ok(resultType === 'streams', `${what}: ${shown(log)}`);
      const found = result.flatMap(({ values }) => values.map(([time, line]) => `${time} ${line}`)).sort();
      const all = inside.map(({ timeNs, line }) => `${timeNs} ${line}`);
      if (most >= all.length) assert.deepEqual(found, all.sort(), `${what}: ${shown(log)}`);
      const times = (texts: string[]): string[] => texts.map((one) => one.split(' ')[0]).sort();
      const expected = inside.slice(0, most).map(({ timeNs }) => String(timeNs));
      assert.deepEqual(times(found), expected.sort(), `${what}: ${shown(log)}`);
    }
  }
}

async function checkCounts(
  store: LaidStore,
  wanted: LaidEntry[],
  selector: string,
  pivot: bigint,
  below: (limit: number) => number,
  what: string,
): Promise<void> {
  const rangeNs = [1_000_000n, 60n * SECOND_NS, 451n * SECOND_NS, 3_600n * SECOND_NS, 365n * 86_400n * SECOND_NS][below(5)];
  const rangeText = rangeNs === 1_000_000n ? '1ms' : `${rangeNs / SECOND_NS}s`;
  const offsetNs = [0n, 0n, 90n * SECOND_NS, -90n * SECOND_NS][below(4)];
  const window = `[${rangeText}]${offsetNs === 0n ? '' : ` offset ${offsetNs / SECOND_NS}s`}`;
  const stepNs = [60n, 61n, 900n][below(3)] * SECOND_NS;
  const rangeS = Number(rangeNs) / 1e9;
  const functions: [query: string, value: (inside: LaidEntry[]) => number][] = [
    ['count_over_time', (inside) => inside.length],
    ['rate', (inside) => inside.length / rangeS],
    ['bytes_over_time', (inside) => inside.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0)],
  ];
  for (const [name, value] of functions) {
    const query = `sum(${name}(${selector} ${window}))`;
    const at = (endNs: bigint): LaidEntry[] =>
      wanted.filter(({ timeNs }) => timeNs > endNs - offsetNs - rangeNs && timeNs <= endNs - offsetNs);
    const instant = await answer(store, { kind: 'instant', query, startNs: pivot, endNs: pivot, stepNs: 0, byArrival: false });
    assert.ok(instant.resultType === 'vector');
    const inside = at(pivot);
    const expected = inside.length === 0 ? [] : [value(inside)];
    const got = instant.result.map((series) => Number(series.value[1]));
    assert.deepEqual(
      got.map((one) => one.toPrecision(9)),
      expected.map((one) => one.toPrecision(9)),
      `${what}: ${query} at ${pivot}`,
    );
    const range = await answer(store, {
      kind: 'range',
      query,
      startNs: DATA_START_NS,
      endNs: DATA_END_NS,
      stepNs: Number(stepNs),
      byArrival: false,
    });
    assert.ok(range.resultType === 'matrix');
    const first = (DATA_START_NS / stepNs) * stepNs;
    const values: [number, string][] = [];
    for (let end = first; end < DATA_END_NS + stepNs; end += stepNs) {
      const some = at(end);
      if (some.length > 0) values.push([Number(end / SECOND_NS), value(some).toPrecision(9)]);
    }
    const points = range.result.flatMap((series) => series.values.map(([time, text]) => [time, Number(text).toPrecision(9)]));
    assert.deepEqual(points, values, `${what}: ${query} step ${stepNs}`);
  }
}

/** Wants of every layout what the first answers, and of that, where it is simple enough, what a naive model says. */
async function compareLayouts(seed: number): Promise<void> {
  const pushes = generateData(seed);
  const queries = queriesOf(seed, pushes);
  const decoy = pushes.flat().map((entry) => ({ ...entry, line: 'of another tenant' }));
  const expected: Answer[] = [];
  for (const { name, shards, lay, reordered = false } of LAYOUTS) {
    const store = await LaidStore.open(shards, seed);
    await store.push(decoy, 'other');
    await lay(store, pushes);
    for (const [index, query] of queries.entries()) {
      const found = await answer(store, query);
      assert.notEqual(found.resultType, 'fault', `${name}: ${shown(query)}: ${JSON.stringify(found.result)}`);
      expected[index] ??= found;
      if (reordered && (query.kind === 'logs' ? query.intervalNs > 0 : query.byArrival)) continue;
      assertSame(found, expected[index], reordered, query, `${name}: ${shown(query)}`);
    }
    await checkModel(store, pushes, seed, name);
    await store.stop();
  }
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`answers do not depend on how the data lies, seed ${seed}`, () => compareLayouts(seed));
}
