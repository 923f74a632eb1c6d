import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrontendAsk } from '../../actors/protocol/query.ts';
import type { VolumeQuery } from '../../logql/engine/volume-execution.ts';
import { compareUtf8, formatLabels, toLabels } from '../../logql/model.ts';
import { choices, FAR } from '../support/choices.ts';
import { DATA_END_NS, DATA_START_NS, generateData, LAYOUTS, type LaidPush, LaidStore } from '../support/layouts.ts';

const SEEDS = Number(process.env.SEEDS ?? 2);
const FIRST = Number(process.env.SEED ?? 1);
const SECOND_NS = 1_000_000_000n;

/** An entry as a log query answers it, its labels told apart by where they are from. */
interface Seen {
  readonly stream: Record<string, string>;
  readonly timeNs: bigint;
  readonly line: string;
  readonly metadata: Record<string, string>;
}

/** Everything that is in the store. */
async function everything(store: LaidStore): Promise<Seen[]> {
  const ask = {
    kind: 'range',
    query: '{app=~".+"}',
    ...FAR,
    stepNs: 1e9,
    intervalNs: 0,
    limit: 1e6,
    direction: 'forward',
    categorize: true,
  };
  const { data } = (await store.body(ask as FrontendAsk)) as {
    data: { result: { stream: Record<string, string>; values: [string, string, { structuredMetadata?: Record<string, string> }][] }[] };
  };
  return data.result.flatMap(({ stream, values }) =>
    values.map(([time, line, { structuredMetadata = {} }]) => {
      // Shown under another name where the stream has a label of that name.
      const metadata = Object.fromEntries(
        Object.entries(structuredMetadata).map(([name, value]) => [name.replace('_extracted', ''), value]),
      );
      return { stream, timeNs: BigInt(time), line, metadata };
    }),
  );
}

const bytesOf = (text: string): number => Buffer.byteLength(text);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const grouped = <T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> => Map.groupBy(items, key);
const within = (entries: readonly Seen[], startNs: bigint, endNs: bigint): Seen[] =>
  entries.filter(({ timeNs }) => timeNs >= startNs && timeNs <= endNs);

function statsOf(entries: readonly Seen[]): object {
  return {
    streams: grouped(entries, ({ stream }) => JSON.stringify(stream)).size,
    entries: entries.length,
    bytes: sum(entries.map(({ line, metadata }) => bytesOf(line) + bytesOf(Object.entries(metadata).flat().join('')))),
  };
}

/** [labels, [end of the step, bytes] …] of each series, as the engine's comments define volumes. */
function volumesOf(entries: readonly Seen[], { startNs, endNs, stepNs, targetLabels, aggregateBy }: VolumeQuery, limit: number): unknown[] {
  const step = BigInt(stepNs);
  const lastOf = (timeNs: bigint): bigint => {
    const end = stepNs === 0 ? endNs : (timeNs / step + 1n) * step;
    return end >= endNs ? endNs : end - 1_000_000n;
  };
  const kept = within(entries, startNs, endNs).filter(({ stream }) => targetLabels.every((name) => stream[name] !== undefined));
  const steps = new Map<string, Map<bigint, number>>();
  for (const ofStream of grouped(kept, ({ stream }) => JSON.stringify(stream)).values()) {
    const { stream } = ofStream[0];
    const targets = targetLabels.length > 0 ? targetLabels : aggregateBy === 'labels' ? Object.keys(stream) : ['app'];
    const names =
      aggregateBy === 'labels' ? targets : [formatLabels(toLabels(targets.map((name): [string, string] => [name, stream[name]])))];
    const texts = new Set<string>();
    for (const { timeNs, line, metadata } of ofStream.toSorted((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0))) {
      let bytes = bytesOf(line) + 8 * Object.keys(metadata).length;
      for (const text of Object.entries(metadata).flat()) {
        if (!texts.has(text)) bytes += bytesOf(text);
        texts.add(text);
      }
      for (const name of names) {
        const volumes = steps.get(name) ?? new Map<bigint, number>();
        steps.set(name, volumes.set(lastOf(timeNs), (volumes.get(lastOf(timeNs)) ?? 0) + bytes));
      }
    }
  }
  const points = [...steps].flatMap(([name, volumes]) => [...volumes].map(([end, bytes]) => ({ name, end, bytes })));
  const best = [...grouped(points, ({ end }) => String(end)).values()].flatMap((atEnd) =>
    atEnd.sort((a, b) => b.bytes - a.bytes || compareUtf8(a.name, b.name)).slice(0, limit),
  );
  const series = [...grouped(best, ({ name }) => name)].map(
    ([name, found]) =>
      [name, found.sort((a, b) => (a.end < b.end ? -1 : 1)).map(({ end, bytes }) => [Number(end / 1_000_000n), bytes])] as const,
  );
  return series.sort(([a, [[, one]]], [b, [[, other]]]) => other - one || compareUtf8(a, b)).map(([name, found]) => [name, ...found]);
}

/** What an answer of volumes comes to in the same form. */
function volumesIn(body: unknown, aggregateBy: VolumeQuery['aggregateBy']): unknown[] {
  const { result } = (
    body as { data: { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] } }
  ).data;
  return result.map(({ metric, value, values = value === undefined ? [] : [value] }) => [
    aggregateBy === 'labels' ? Object.keys(metric)[0] : formatLabels(toLabels(Object.entries(metric))),
    ...values.map(([time, bytes]) => [Math.round(time * 1_000), Number(bytes)]),
  ]);
}

function questionsOf(seed: number, pushes: readonly LaidPush[]) {
  const { below, pick, time, extent } = choices(seed, pushes);
  const stats = Array.from({ length: 6 }, () => ({ kind: 'index_stats' as const, query: '{app=~".+"}', ...extent() }));
  const shards = Array.from({ length: 3 }, () => ({
    kind: 'index_shards' as const,
    query: '{app=~".+"}',
    ...extent(),
    targetBytes: 1 + below(2_000),
  }));
  const volumes = Array.from({ length: 16 }, () => {
    const stepNs = pick([0, 60e9, 61e9, 900e9, 3_600e9, 86_400e9]);
    const range =
      stepNs === 0
        ? extent()
        : pick([
            { startNs: DATA_START_NS, endNs: DATA_END_NS },
            { startNs: DATA_START_NS, endNs: time() + 11_000n * SECOND_NS },
          ]);
    const how = {
      targetLabels: pick([[], [], ['format'], ['app', 'pod'], ['format', 'nothing']]),
      aggregateBy: pick(['series', 'labels'] as const),
    };
    return { kind: 'index_volume' as const, query: '{app=~".+"}', ...range, stepNs, ...how, limit: pick([1, 3, 100]) };
  });
  const fields = ['{app=~".+"}', '{format="json"} | json | level="info"', '{format="logfmt"} | logfmt'].flatMap((query) => [
    { kind: 'detected_fields' as const, query, ...FAR, lineLimit: 5_000, limit: 1_000 },
    { kind: 'detected_values' as const, name: 'path', query, ...FAR, lineLimit: 5_000, limit: 1_000 },
  ]);
  const labels = { kind: 'detected_labels' as const, query: pick(['', '{app="app-0"}']), ...FAR };
  return { stats, shards, volumes, same: [...fields, labels] };
}

const shown = (ask: object): string => JSON.stringify(ask, (_, value) => (typeof value === 'bigint' ? String(value) : value));

async function compareLayouts(seed: number): Promise<void> {
  const pushes = generateData(seed);
  const { stats, shards, volumes, same } = questionsOf(seed, pushes);
  let entries: Seen[] = [];
  const expected = new Map<object, unknown>();
  for (const { name, shards: threads, lay } of LAYOUTS) {
    const store = await LaidStore.open(threads, seed);
    await store.push(
      pushes.flat().map((entry) => ({ ...entry, line: 'of another tenant' })),
      'other',
    );
    await lay(store, pushes);
    if (entries.length === 0) entries = await everything(store);
    for (const ask of stats) {
      const { chunks, ...found } = (await store.body(ask)) as { chunks: number };
      const wanted = statsOf(within(entries, ask.startNs, ask.endNs));
      assert.deepEqual(found, wanted, `${name}: ${shown(ask)}`);
      assert.ok(chunks >= (wanted as { streams: number }).streams, `${name}: ${shown(ask)}: ${chunks} chunks`);
    }
    for (const ask of volumes) {
      const wanted = volumesOf(entries, { ...ask, maxSeries: 1_000 }, ask.limit);
      assert.deepEqual(volumesIn(await store.body(ask), ask.aggregateBy), wanted, `${name}: ${shown(ask)}`);
    }
    for (const ask of shards) {
      const body = (await store.body(ask)) as { shards: { bounds: object; stats: { chunks: number; bytes: number } }[] };
      const found = body.shards.map(({ bounds, stats: { chunks: _, ...rest } }) => [bounds, rest]);
      if (!expected.has(ask)) expected.set(ask, found);
      assert.deepEqual(found, expected.get(ask), `${name}: ${shown(ask)}`);
      const whole = statsOf(within(entries, ask.startNs, ask.endNs)) as { bytes: number };
      assert.equal(sum(body.shards.map((shard) => shard.stats.bytes)), whole.bytes, `${name}: ${shown(ask)}`);
    }
    for (const ask of same) {
      const found = await store.body(ask);
      if (!expected.has(ask)) expected.set(ask, found);
      assert.deepEqual(found, expected.get(ask), `${name}: ${shown(ask)}`);
    }
    await store.stop();
  }
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`sizes, volumes, labels and fields do not depend on how the data lies, seed ${seed}`, () => compareLayouts(seed));
}
