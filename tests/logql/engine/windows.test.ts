import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCUMULATIONS, type Columns } from '../../../logql/engine/accumulate.ts';
import { counterRateOf, counterRates } from '../../../logql/engine/counter-rate.ts';
import { MemoryBudget } from '../../../logql/engine/memory-budget.ts';
import { PaneStore, slide } from '../../../logql/engine/panes.ts';
import { quantile, quantilesOf, type WeightedValues } from '../../../logql/engine/quantile.ts';
import { SamplesBySeries } from '../../../logql/engine/samples-by-series.ts';
import { finish } from '../../../logql/engine/steps.ts';
import { ValueCounts } from '../../../logql/engine/value-counts.ts';
import { type ValueSpan, valuesByPane } from '../../../logql/engine/value-span.ts';
import { alignRange, stepCount, Windows } from '../../../logql/engine/windows.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

const BASE = 1_768_471_200_000_000_000n;

test('the range of a query is aligned to its step', () => {
  const aligned = (start: bigint, end: bigint, step: number) => Object.values(alignRange(start, end, step));
  assert.deepEqual(aligned(100n, 200n, 100), [100n, 200n]);
  assert.deepEqual(aligned(101n, 201n, 100), [100n, 300n]);
  assert.deepEqual(aligned(-1n, 1n, 100), [-100n, 100n]);
  assert.equal(stepCount({ startNs: 100n, endNs: 300n, stepNs: 100 }), 3);
  assert.equal(stepCount({ startNs: 100n, endNs: 100n, stepNs: 100 }), 1);
  assert.equal(stepCount({ startNs: 100n, endNs: 199n, stepNs: 100 }), 1);
});

const shapes: [what: string, steps: number, stepNs: number, rangeNs: number, offsetNs: number][] = [
  ['one window', 1, 0, 300, 0],
  ['one window before the epoch of the block', 1, 0, 300, 1000],
  ['windows end to end', 9, 100, 100, 0],
  ['windows with gaps', 9, 100, 30, 0],
  ['overlapping by whole steps', 9, 100, 300, 0],
  ['overlapping by parts of steps', 9, 100, 370, 0],
  ['one and a bit', 9, 100, 101, -50],
  ['longer than the whole query', 4, 100, 1000, 0],
  ['longer, by parts of steps', 4, 100, 1050, 37],
  ['nothing at all', 5, 100, 0, 0],
];
for (const [what, steps, stepNs, rangeNs, offsetNs] of shapes) {
  test(`windows: ${what}`, () => {
    const startNs = BASE + 500n;
    const windows = new Windows({ startNs, endNs: startNs + BigInt((steps - 1) * stepNs), stepNs }, rangeNs, offsetNs);
    assert.equal(windows.steps, steps);
    for (const baseNs of [BASE - 1500n, BASE, BASE + 733n]) {
      const locator = windows.locator(baseNs);
      for (let offset = Number(windows.fromNs - baseNs); offset < Number(windows.toNs - baseNs); offset++) {
        const pane = locator.pane(offset);
        assert.ok(locator.until >= offset);
        assert.equal(
          new Windows({ startNs, endNs: startNs + BigInt((steps - 1) * stepNs), stepNs }, rangeNs, offsetNs)
            .locator(baseNs)
            .pane(locator.until),
          pane,
        );
        const time = baseNs + BigInt(offset + offsetNs);
        for (let window = 0; window < steps; window++) {
          const at = startNs + BigInt(window * stepNs);
          const inside = time > at - BigInt(rangeNs) && time <= at;
          assert.equal(
            pane >= windows.firstPane(window) && pane < windows.endPane(window),
            inside,
            `time ${time - startNs} window ${window}`,
          );
        }
        assert.ok(pane < windows.panes);
      }
      assert.equal(windows.panes === 0, rangeNs === 0);
    }
  });
}

test('the common part of long windows is one pane', () => {
  const windows = new Windows({ startNs: BASE, endNs: BASE + 4_000_000_000n, stepNs: 1e9 }, 7 * 86_400e9, 0);
  assert.equal(windows.steps, 5);
  assert.equal(windows.panes, 9);
});

test('times are exact over years', () => {
  const year = 365 * 86_400 * 1e9;
  const windows = new Windows({ startNs: BASE, endNs: BASE + BigInt(year), stepNs: 1e9 }, 1e9, 0);
  const late = BASE + BigInt(year) - 5_000_000_000n;
  const locator = windows.locator(late);
  assert.equal(locator.pane(1) - locator.pane(0), 1);
  assert.equal(windows.steps, year / 1e9 + 1);
});

const DAY_NS = 86_400_000_000_000;
const long: [what: string, steps: number, stepNs: number, rangeNs: number][] = [
  ['one of ten years', 1, 0, 3_650 * DAY_NS],
  ['long ones, short steps', 40, 1_000_000_001, 3_650 * DAY_NS],
  ['long ones, long steps', 5, 300 * DAY_NS, 3_650 * DAY_NS],
  ['parts of long steps', 5, 300 * DAY_NS, 500 * DAY_NS],
  ['gaps between long steps', 5, 300 * DAY_NS, 120 * DAY_NS],
  ['end to end', 5, 301 * DAY_NS, 301 * DAY_NS],
];
for (const [what, steps, stepNs, rangeNs] of long) {
  test(`borders of long windows are exact: ${what}`, () => {
    const startNs = BASE + 501n;
    const windows = new Windows({ startNs, endNs: startNs + BigInt(steps - 1) * BigInt(stepNs), stepNs }, rangeNs, 0);
    for (let window = 0; window < steps; window++) {
      const endNs = startNs + BigInt(window) * BigInt(stepNs);
      for (const borderNs of [endNs, endNs - BigInt(rangeNs)]) {
        for (const baseNs of [borderNs - 3_000_000_000_001n, borderNs - 1n, borderNs]) {
          for (const timeNs of [borderNs - 1n, borderNs, borderNs + 1n]) {
            if (timeNs < windows.fromNs || timeNs >= windows.toNs) continue;
            const locator = windows.locator(baseNs);
            const pane = locator.pane(Number(timeNs - baseNs));
            assert.ok(locator.until >= Number(timeNs - baseNs));
            const inside = timeNs > endNs - BigInt(rangeNs) && timeNs <= endNs;
            const found = pane >= windows.firstPane(window) && pane < windows.endPane(window);
            assert.equal(found, inside, `window ${window}, ${timeNs - borderNs} ns from ${borderNs === endNs ? 'its end' : 'its start'}`);
          }
        }
      }
    }
  });
}

/** What every window holds, looked at one by one. */
function bruteForce(samples: { time: number; value: number }[], steps: number, stepNs: number, rangeNs: number) {
  return Array.from({ length: steps }, (_, window) =>
    samples.filter(({ time }) => time > window * stepNs && time <= window * stepNs + rangeNs).map(({ value }) => value),
  );
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
const mean = (values: number[]): number => sum(values) / values.length;
const expected: Record<string, (values: number[]) => number> = {
  sum,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  moments: mean,
  first: (values) => values[0],
  last: (values) => values.at(-1)!,
};
/** That share the pages. */
const valuesOf = (part: ValueCounts, series: number): ValueSpan => finish(part.of(series, valuesByPane));

const SERIES = 3;
for (const kind of Object.keys(expected) as (keyof typeof ACCUMULATIONS)[]) {
  for (let seed = 1; seed <= 20; seed++) {
    test(`sliding ${kind}, seed ${seed}`, () => {
      const random = new QueryGenerator(seed);
      const steps = 1 + random.int(12);
      const stepNs = 1 + random.int(50);
      const windows = new Windows({ startNs: BASE, endNs: BASE + BigInt((steps - 1) * stepNs), stepNs }, 1 + random.int(200), 0);
      const span = Number(windows.toNs - windows.fromNs);
      const times = [...new Set(Array.from({ length: random.int(60) }, () => 1 + random.int(span)))].sort((a, b) => a - b);
      const samples = times.map((time) => ({ time, value: random.int(1000) - 500, series: random.int(SERIES) }));
      const accumulation = ACCUMULATIONS[kind];
      const panes = new PaneStore(accumulation, windows.panes);
      const locator = windows.locator(windows.originNs);
      for (const { time, value, series } of random.int(2) ? samples : samples.toReversed()) {
        const pane = locator.pane(time);
        if (pane >= 0) panes.add(series, pane, value, time, 0);
      }
      for (let series = 0; series < SERIES; series++) {
        const { from, columns } = finish(slide(panes.span(series), windows, accumulation));
        const own = samples.filter((sample) => sample.series === series);
        checkWindows(kind, bruteForce(own, windows.steps, windows.stepNs, windows.rangeNs), from, columns);
      }
    });
  }
}

function checkWindows(kind: string, windows: number[][], from: number, columns: Columns): void {
  for (const [window, values] of windows.entries()) {
    const count = columns[0][window - from] ?? 0;
    assert.equal(count, values.length, `count of window ${window}`);
    if (count === 0) continue;
    assert.ok(Math.abs(columns[1][window - from] - expected[kind](values)) < 1e-9, `${kind} of window ${window}`);
    if (kind === 'moments') {
      const squares = sum(values.map((value) => (value - mean(values)) ** 2));
      assert.ok(Math.abs(columns[2][window - from] - squares) < 1e-6 * (1 + squares));
    }
  }
}

for (let seed = 1; seed <= 20; seed++) {
  test(`quantiles, seed ${seed}`, () => {
    const random = new QueryGenerator(seed);
    const steps = 1 + random.int(12);
    const stepNs = 1 + random.int(50);
    const windows = new Windows({ startNs: BASE, endNs: BASE + BigInt((steps - 1) * stepNs), stepNs }, 1 + random.int(200), 0);
    const samples = Array.from({ length: 80 }, () => ({ time: 1 + random.int(300), value: random.int(20), series: random.int(SERIES) }));
    const parts = [0, 1].map(() => new ValueCounts()); // as of two queriers
    const known = parts.map(() => new Set<number>());
    const locator = windows.locator(windows.originNs);
    for (const { time, value, series } of samples.filter((sample) => sample.time <= Number(windows.toNs - windows.fromNs))) {
      const pane = locator.pane(time);
      if (pane < 0) continue;
      const part = random.int(2);
      parts[part].add(series, pane, value);
      known[part].add(series);
    }
    for (let series = 0; series < SERIES; series++) {
      const spans = parts.filter((_, part) => known[part].has(series)).map((part) => valuesOf(part, series));
      if (spans.length === 0) continue;
      const { columns } = finish(quantilesOf(0.75, spans, windows));
      const own = samples.filter((sample) => sample.series === series);
      for (const [window, values] of bruteForce(own, windows.steps, windows.stepNs, windows.rangeNs).entries()) {
        assert.equal(columns[0][window], values.length);
        if (values.length === 0) continue;
        values.sort((a, b) => a - b);
        const position = 0.75 * (values.length - 1);
        const low = values[Math.floor(position)];
        const high = values[Math.ceil(position)];
        assert.ok(Math.abs(columns[1][window] - (low + (high - low) * (position % 1))) < 1e-9);
      }
    }
  });
}

test('quantiles outside of [0, 1] are infinite', () => {
  for (const [parameter, value] of [
    [-0.5, Number.NEGATIVE_INFINITY],
    [1.5, Number.POSITIVE_INFINITY],
    [0, 3],
    [1, 3],
  ]) {
    assert.equal(finish(quantile(parameter, { values: Float64Array.of(3), weights: Float64Array.of(1) })), value);
  }
});

const ones = (values: Float64Array): WeightedValues => ({ values: values.slice(), weights: new Float64Array(values.length).fill(1) });

for (const [what, values] of [
  ['sorted', (at: number) => at],
  ['sorted the other way', (at: number) => -at],
  ['all equal', () => 5],
  ['organ pipes', (at: number) => Math.min(at, 999 - at)],
  ['two values', (at: number) => at % 2],
  ['shuffled', (at: number) => (at * 7919) % 1000],
  ['with NaN, which is the lowest', (at: number) => (at % 3 === 0 ? Number.NaN : (at * 7919) % 1000)],
] as const) {
  test(`every rank of values: ${what}`, () => {
    const data = Float64Array.from({ length: 1000 }, (_, at) => values(at));
    const sorted = [...data].sort((a, b) => Number(Number.isNaN(b)) - Number(Number.isNaN(a)) || a - b);
    for (let rank = 0; rank < 1000; rank += 37) assert.equal(finish(quantile(rank / 999, ones(data))).toFixed(6), sorted[rank].toFixed(6));
  });
}

test('values weigh as much as there are of them, wherever they stand', () => {
  const random = new QueryGenerator(7);
  for (let round = 0; round < 200; round++) {
    const samples = Array.from({ length: 1 + random.int(60) }, () => [random.int(2) === 0 ? 7 : random.int(12), 1 + random.int(5)]);
    const all = Float64Array.from(samples.flatMap(([value, weight]) => new Array(weight).fill(value))).sort();
    for (const parameter of [0, 0.3, 0.5, 0.99, 1]) {
      const weighted = {
        values: Float64Array.from(samples, ([value]) => value),
        weights: Float64Array.from(samples, ([, weight]) => weight),
      };
      assert.equal(finish(quantile(parameter, weighted)), finish(quantile(parameter, ones(all))));
    }
  }
});

test('values of many panes and series are counted, and each is kept once', () => {
  const random = new QueryGenerator(11);
  const memory = new MemoryBudget(0);
  const counts = new ValueCounts(memory);
  const wanted = new Map<string, number>();
  const values = [Number.NaN, -0, 0, Number.POSITIVE_INFINITY, ...Array.from({ length: 300 }, (_, value) => value / 7)];
  for (let sample = 0; sample < 100_000; sample++) {
    const [series, pane, value] = [random.int(7), random.int(9), values[random.int(values.length)]];
    counts.add(series, pane, value);
    const key = `${series} ${pane} ${Object.is(value, -0) ? '-0' : value}`;
    wanted.set(key, (wanted.get(key) ?? 0) + 1);
  }
  const found: [string, number][] = [];
  for (let series = 0; series < 7; series++) {
    const span = finish(counts.of(series, valuesByPane));
    let at = 0;
    for (const [row, count] of span.columns[0].entries()) {
      for (let last = at + count; at < last; at++) {
        const value = span.values[at];
        found.push([`${series} ${span.from + row} ${Object.is(value, -0) ? '-0' : value}`, span.weights[at]]);
      }
    }
  }
  assert.deepEqual(found.sort(), [...wanted].sort());
  assert.ok(memory.mostBytes < 60 * wanted.size + 100_000, `${memory.mostBytes} bytes for ${wanted.size}`);
});

test('the rate of a counter reaches to the borders of its window', () => {
  const rate = (times: number[], values: number[]): number =>
    counterRateOf(60e9)(
      Float64Array.from(times, (time) => time * 1e9),
      Float64Array.from(values),
      0,
    );
  const close = (actual: number, wanted: number) => assert.ok(Math.abs(actual - wanted) < 1e-12, `${actual} is not ${wanted}`);
  assert.equal(rate([30], [5]), 0);
  close(rate([10, 20, 30, 40, 50], [100, 110, 120, 130, 140]), 1); // both borders are near
  close(rate([1, 11, 21], [100, 110, 120]), (20 * (26 / 20)) / 60); // the end is far: half a distance
  close(rate([10, 20, 30, 40, 50], [5, 15, 25, 35, 45]), (40 * (55 / 40)) / 60); // 0 five seconds before the first sample
  close(rate([10, 20, 30, 40, 50], [100, 120, 3, 13, 33]), (53 * (60 / 40)) / 60); // it started again
});

test('windows of a counter know where they start, and samples come in any order', () => {
  const windows = new Windows({ startNs: BASE, endNs: BASE + 60_000_000_000n, stepNs: 60e9 }, 60e9, 0);
  const seconds = [10, 20, 30, 40, 50, 70, 80, 90, 100, 110];
  const random = new QueryGenerator(1);
  for (const shuffled of [
    seconds,
    seconds.toReversed(),
    seconds.toSorted(() => random.int(3) - 1),
    [...seconds.slice(5), ...seconds.slice(0, 5)],
  ]) {
    const samples = new SamplesBySeries();
    for (const second of shuffled) {
      samples.add(1, windows.locator(windows.originNs).pane(second * 1e9), 1000 + second, second * 1e9);
    }
    const { columns } = finish(samples.of(1, (own) => counterRates(own, windows)));
    assert.deepEqual([...columns[1]], [1, 1], `${shuffled}`);
  }
});
