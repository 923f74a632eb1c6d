import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleExecution } from '../../../logql/engine/sample-execution.ts';
import { mergeSampleFrames } from '../../../logql/engine/sample-frame.ts';
import { finish } from '../../../logql/engine/steps.ts';
import type { EvaluationTimes } from '../../../logql/engine/windows.ts';
import { formatLabels, type Labels } from '../../../logql/model.ts';
import { type Leaf, readLeaf } from '../../../logql/plan.ts';
import { parseExpr } from '../../../logql/syntax/parse.ts';
import { type BlockRow, blockOf, type TestBlock } from '../../support/blocks.ts';
import { QueryGenerator } from '../../support/query-generator.ts';
import { valuesOf } from '../../support/series-values.ts';

const BASE = 1_768_471_200_000_000_000n;
const STREAM: Labels = [['app', 'x']];
type Streams = readonly (readonly [labels: Labels, blocks: readonly TestBlock[]])[];

function leafOf(query: string): Leaf {
  const leaf = readLeaf(parseExpr(query));
  assert.ok(leaf !== undefined);
  return leaf;
}

function frameOf(query: string, times: EvaluationTimes, streams: Streams) {
  const execution = sampleExecution(query, times);
  for (const [labels, blocks] of streams) {
    const stream = execution.stream(labels);
    for (const block of blocks) stream.block(block);
  }
  return { frame: finish(execution.frame()), stats: execution.stats };
}

/** Values by labels; undefined where a step has none. `split`: every stream's result comes from another querier. */
function run(query: string, times: EvaluationTimes, streams: Streams, split = false): Record<string, (number | undefined)[]> {
  const parts = split ? streams.map((stream) => [stream]) : [streams];
  const frames = parts.map((part) => frameOf(query, times, part).frame);
  const { steps, series } = finish(mergeSampleFrames(leafOf(query), times, frames));
  return Object.fromEntries(series.map((one) => [one.text, valuesOf(one, steps)]));
}

const SECOND = 1_000_000_000;
const at = (second: number): bigint => BASE + BigInt(second * SECOND);
const instant = (second: number): EvaluationTimes => ({ startNs: at(second), endNs: at(second), stepNs: 0 });
const every = (step: number, from: number, to: number): EvaluationTimes => ({ startNs: at(from), endNs: at(to), stepNs: step * SECOND });
const rowsAt = (seconds: number[], line = 'line'): BlockRow[] => seconds.map((second) => [second * SECOND, line]);

test('a window is open at its start and closed at its end', () => {
  const streams: Streams = [[STREAM, [blockOf(BASE, rowsAt([0, 10, 20, 30]))]]];
  assert.deepEqual(run('count_over_time({app="x"}[10s])', every(10, 0, 40), streams), { '{app="x"}': [1, 1, 1, 1, undefined] });
  assert.deepEqual(run('count_over_time({app="x"}[20s])', instant(20), streams), { '{app="x"}': [2] });
  assert.deepEqual(run('count_over_time({app="x"}[20s] offset 10s)', instant(30), streams), { '{app="x"}': [2] });
  assert.deepEqual(run('count_over_time({app="x"}[0s])', instant(20), streams), {});
});

test('entries outside of all windows are not asked for', () => {
  const execution = sampleExecution('rate({app="x"}[1m] offset 1h)', every(60, 3600, 7200));
  assert.deepEqual(execution.matchers, [{ name: 'app', op: '=', value: 'x' }]);
  assert.equal(execution.fromNs, at(-60) + 1n);
  assert.equal(execution.toNs, at(3600) + 1n);
});

/** What an execution touches of a block, by query. */
const touches: [what: string, query: string, rows: BlockRow[], times: EvaluationTimes, columns: string[]][] = [
  ['a block within one pane', 'sum(count_over_time({app="x"}[1h]))', rowsAt([10, 20]), instant(100), []],
  ['bytes of a block within one pane', 'sum(bytes_rate({app="x"}[1h]))', rowsAt([10, 20]), instant(100), []],
  ['no metadata', 'count_over_time({app="x"}[1h])', rowsAt([10, 20]), instant(100), []],
  ['a label of the stream', 'sum by (app) (rate({app="x"}[1h]))', [[1, 'a', { level: 'i' }]], instant(100), []],
  ['a block in several panes', 'sum(count_over_time({app="x"}[10s]))', rowsAt([10, 20]), every(10, 0, 30), ['times']],
  ['bytes of a block in several panes', 'sum(bytes_over_time({app="x"}[10s]))', rowsAt([10, 20]), every(10, 0, 30), ['times', 'ends']],
  ['a block partly outside', 'sum(count_over_time({app="x"}[10s]))', rowsAt([10, 20]), instant(15), ['times']],
  ['an absence', 'absent_over_time({app="x"}[1h])', [[1, 'a', { level: 'i' }]], instant(100), []],
  ['a parser that nobody looks at', 'sum(count_over_time({app="x"} | json [1h]))', rowsAt([10, 20]), instant(100), []],
  ['a block outside of everything', 'count_over_time({app="x"}[1s])', rowsAt([10, 20]), instant(100), []],
];
for (const [what, query, rows, times, columns] of touches) {
  test(`columns touched: ${what}`, () => {
    const block = blockOf(BASE, rows);
    frameOf(query, times, [[STREAM, [block]]]);
    assert.deepEqual([...block.touched], columns);
  });
}

test('grouping by metadata reads no line', () => {
  const block = blockOf(BASE, [
    [1, 'a', { level: 'info', trace: '1' }],
    [2, 'bb', { level: 'warn', trace: '2' }],
    [3, 'c', { level: 'info' }],
    [4, 'd'],
  ]);
  const streams: Streams = [[STREAM, [block]]];
  assert.deepEqual(run('sum by (level) (count_over_time({app="x"}[1s]))', instant(1), streams), {
    '{level="info"}': [2],
    '{level="warn"}': [1],
    '{}': [1],
  });
  assert.deepEqual(run('bytes_over_time({app="x"}[1s])', instant(1), streams), {
    '{app="x", level="info", trace="1"}': [1],
    '{app="x", level="warn", trace="2"}': [2],
    '{app="x", level="info"}': [1],
    '{app="x"}': [1],
  });
  assert.deepEqual(run('sum without (trace, app) (count_over_time({app="x"}[1s]))', instant(1), streams), {
    '{level="info"}': [2],
    '{level="warn"}': [1],
    '{}': [1],
  });
  assert.ok(!block.touched.has('lines'));
});

test('metadata does not hide a label of the stream', () => {
  const streams: Streams = [[STREAM, [blockOf(BASE, [[1, 'a', { app: 'y' }]])]]];
  assert.deepEqual(run('sum by (app) (count_over_time({app="x"}[1s]))', instant(1), streams), { '{app="x"}': [1] });
  assert.deepEqual(run('sum by (app_extracted) (count_over_time({app="x"}[1s]))', instant(1), streams), { '{app_extracted="y"}': [1] });
});

test('counts by header are counted', () => {
  const { stats } = frameOf('sum(count_over_time({app="x"}[1h]))', instant(100), [
    [STREAM, [blockOf(BASE, rowsAt([1, 2])), blockOf(BASE, rowsAt([3]))]],
  ]);
  assert.deepEqual(stats, { lines: 3, lineBytes: 12, metadataBytes: 0, matchedLines: 3, blocks: 2, blocksByHeader: 2, cutShort: 0 });
});

test('an unwrapped label names no series, unless it is asked for', () => {
  const streams: Streams = [
    [
      STREAM,
      [
        blockOf(BASE, [
          [1, 'v=1 a=p'],
          [2, 'v=3 a=q'],
          [3, 'a=p'],
        ]),
      ],
    ],
  ];
  const leaf = (op: string, grouping = '') => run(`${op}({app="x"} | logfmt | unwrap v [1s])${grouping}`, instant(1), streams);
  assert.deepEqual(leaf('sum_over_time'), { '{a="p", app="x"}': [1], '{a="q", app="x"}': [3] });
  assert.deepEqual(leaf('avg_over_time', ' by (app)'), { '{app="x"}': [2] });
  assert.deepEqual(leaf('max_over_time', ' without (a)'), { '{app="x"}': [3] });
  assert.deepEqual(leaf('min_over_time', ' by (v)'), { '{v="1"}': [1], '{v="3"}': [3] });
});

test('an entry that was pushed with an error fails the query, unless the error is among the labels asked for', () => {
  const streams: Streams = [
    [
      STREAM,
      [
        blockOf(BASE, [
          [1, 'a', { __error__: 'mine', __error_details__: 'why' }],
          [2, 'b'],
        ]),
      ],
    ],
  ];
  const message = /^pipeline error: 'mine' for series: '\{__error__="mine", __error_details__="why", app="x"\}'\./;
  for (const query of ['sum(count_over_time({app="x"}[1s]))', 'bytes_over_time({app="x"} |= "a" [1s])']) {
    assert.throws(() => run(query, instant(1), streams), { code: 'pipeline_error', message });
  }
  assert.deepEqual(run('count_over_time({app="x"} | __error__="" [1s])', instant(1), streams), { '{app="x"}': [1] });
});

test('a label that was dropped and set again is none to group by', () => {
  const streams: Streams = [[STREAM, [blockOf(BASE, [[1, 'a=1']])]]];
  assert.deepEqual(run('sum by (a) (count_over_time({app="x"} | logfmt | drop a | label_format a="2" [1s]))', instant(1), streams), {
    '{}': [1],
  });
});

test('a zero below zero loses its sign when it is unwrapped', () => {
  const streams: Streams = [[STREAM, [blockOf(BASE, [[1, 'v=-0']])]]];
  const [zero] = Object.values(run('sum_over_time({app="x"} | logfmt | unwrap v [1s])', instant(1), streams))[0];
  assert.ok(Object.is(zero, 0));
});

test('an entry with an error fails the query', () => {
  const streams: Streams = [
    [
      STREAM,
      [
        blockOf(BASE, [
          [1 * SECOND, '{"a":1}'],
          [2 * SECOND, 'no json'],
        ]),
      ],
    ],
  ];
  assert.throws(() => run('count_over_time({app="x"} | json [1s])', instant(2), streams), {
    code: 'pipeline_error',
    message:
      /^pipeline error: 'JSONParserErr' for series: '\{__error__="JSONParserErr".*'\.\nUse a label filter .* \| __error__!="JSONParserErr"\)\.\n/,
  });
  assert.deepEqual(run('count_over_time({app="x"} | json [1s])', instant(1), streams), { '{a="1", app="x"}': [1] });
  assert.deepEqual(run('sum by (__error__) (count_over_time({app="x"} | json [9s]))', instant(2), streams), {
    '{}': [1],
    '{__error__="JSONParserErr"}': [1],
  });
  const values: Streams = [[STREAM, [blockOf(BASE, [[1, 'v=x']])]]];
  assert.throws(() => run('sum by (__error__) (sum_over_time({app="x"} | logfmt | unwrap v [1s]))', instant(1), values), {
    message: /SampleExtractionErr/,
  });
});

test('of equal times the first entry is first and the last is last', () => {
  const streams: Streams = [
    [
      STREAM,
      [
        blockOf(BASE, [
          [1, 'v=1'],
          [1, 'v=2'],
          [1, 'v=3'],
        ]),
      ],
    ],
  ];
  assert.deepEqual(run('first_over_time({app="x"} | logfmt | unwrap v [1s])', instant(1), streams), { '{app="x"}': [1] });
  assert.deepEqual(run('last_over_time({app="x"} | logfmt | unwrap v [1s])', instant(1), streams), { '{app="x"}': [3] });
});

const KEYED = (op: string, range = '[1s]') => `${op}({app=~".+"} | logfmt | unwrap v ${range}) by (k)`;

test('of equal times in two streams it does not matter which is seen first, or by whom', () => {
  const one: Streams[number] = [[['app', 'x']], [blockOf(BASE, [[1, 'v=1 k=k']])]];
  const other: Streams[number] = [[['app', 'y']], [blockOf(BASE, [[1, 'v=2 k=k']])]];
  const results = (op: string) => [
    run(KEYED(op), instant(1), [one, other]),
    run(KEYED(op), instant(1), [other, one]),
    run(KEYED(op), instant(1), [one, other], true),
    run(KEYED(op), instant(1), [other, one], true),
  ];
  const [first] = results('first_over_time');
  const [last] = results('last_over_time');
  assert.notDeepEqual(first, last);
  assert.deepEqual(results('first_over_time'), Array(4).fill(first));
  assert.deepEqual(results('last_over_time'), Array(4).fill(last));
});

test('first and last are exact to the nanosecond, in windows of years', () => {
  const streams: Streams = [0, 1, 2, 3].map((ns) => [[['app', `x${3 - ns}`]], [blockOf(BASE, [[ns, `v=${ns} k=k`]])]]);
  for (const split of [false, true]) {
    assert.deepEqual(run(KEYED('first_over_time', '[10y]'), instant(1), streams, split), { '{k="k"}': [0] });
    assert.deepEqual(run(KEYED('last_over_time', '[10y]'), instant(1), streams, split), { '{k="k"}': [3] });
    assert.deepEqual(run(KEYED('first_over_time', '[10y]'), instant(1), streams.toReversed(), split), { '{k="k"}': [0] });
    assert.deepEqual(run(KEYED('last_over_time', '[10y]'), instant(1), streams.toReversed(), split), { '{k="k"}': [3] });
  }
});

test('the border of a window of years is exact', () => {
  const streams: Streams = [
    [
      STREAM,
      [
        blockOf(
          BASE,
          [0, 1, 2, 3].map((ns) => [ns, `v=${ns} k=k`]),
        ),
      ],
    ],
  ];
  const year = 365n * 86_400n * BigInt(SECOND);
  const at = (ns: bigint): EvaluationTimes => ({ startNs: BASE + ns, endNs: BASE + ns, stepNs: 0 });
  for (const [op, wanted] of [
    ['count_over_time({app="x"}[10y])', [2, 2]],
    ['quantile_over_time(1, {app="x"} | logfmt | unwrap v [10y]) by (k)', [1, 3]],
    ['min_over_time({app="x"} | logfmt | unwrap v [10y]) by (k)', [0, 2]],
  ] as const) {
    assert.deepEqual(Object.values(run(op, at(1n), streams)), [[wanted[0]]], op);
    assert.deepEqual(Object.values(run(op, at(10n * year + 1n), streams)), [[wanted[1]]], op);
  }
});

test('series are in the order of their labels, whatever came first', () => {
  const streams: Streams = ['b', 'a', 'c'].map((app) => [[['app', app]], [blockOf(BASE, [[1, 'line']])]]);
  assert.deepEqual(Object.keys(run('count_over_time({app=~".+"}[1s])', instant(1), streams)), ['{app="a"}', '{app="b"}', '{app="c"}']);
});

test('a block between two windows is done with by its header, whatever the query', () => {
  const execution = sampleExecution('count_over_time({app="x"} | json [1s])', every(60, 0, 120));
  const stream = execution.stream(STREAM);
  assert.equal(stream.header(blockOf(BASE, rowsAt([10, 20]))), true);
  assert.equal(stream.header(blockOf(BASE, rowsAt([60]))), false);
  assert.equal(stream.header(blockOf(BASE, rowsAt([1_000]))), true);
});

test('absence has the labels of the equalities', () => {
  const streams: Streams = [[STREAM, [blockOf(BASE, rowsAt([10]))]]];
  const query = 'absent_over_time({b="2", app="x", c=~"y.*", d="1", d="2"}[10s])';
  assert.deepEqual(run(query, every(10, 0, 30), streams), { '{app="x", b="2"}': [1, undefined, 1, 1] });
  assert.deepEqual(run(query, instant(10), streams), {});
  assert.deepEqual(run(query, instant(10), []), { '{app="x", b="2"}': [1] });
});

test('values that hold any character, empty labels and missing ones tell series apart, whatever came first', () => {
  const count = (by: string, lines: readonly string[]): unknown => {
    const rows = lines.map((line, index): BlockRow => [index * SECOND, line]);
    return run(`sum by (${by}) (count_over_time({app="x"} | json [1m]))`, instant(50), [[STREAM, [blockOf(BASE, rows)]]]);
  };
  const twice = { '{p="a", q="b\\x00c"}': [1], '{p="a\\x00b", q="c"}': [1] };
  assert.deepEqual(count('p, q', ['{"p":"a\\u0000b","q":"c"}', '{"p":"a","q":"b\\u0000c"}']), twice);
  const lines = ['{"q":"1"}', '{"p":""}', '{"p":"","r":"1"}'];
  assert.deepEqual(count('p', lines), { '{}': [1], '{p=""}': [2] });
  assert.deepEqual(count('p', lines.toReversed()), { '{}': [1], '{p=""}': [2] });
});

test('what cannot be merged is refused', () => {
  const query = 'rate_counter({app="x"} | logfmt | unwrap v [1s])';
  const [one, other] = ['x', 'y'].map((name) => {
    const streams: Streams = [[[['app', name]], [blockOf(BASE, rowsAt([1], 'v=1'))]]];
    return frameOf(query, instant(1), streams).frame;
  });
  assert.throws(() => finish(mergeSampleFrames(leafOf(query), instant(1), [one, one])), { code: 'internal' });
  assert.equal(finish(mergeSampleFrames(leafOf(query), instant(1), [one, other])).series.length, 2);
  assert.throws(() => sampleExecution('max(rate({app="x"}[1s]))', instant(1)), { code: 'bad_request' });
});

// --- against looking at every entry -------------------------------------------------------------------------------------------------------------------

interface Sample {
  readonly second: number;
  readonly key: string;
  readonly value: number;
  readonly bytes: number;
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
const variance = (values: number[]): number => {
  const mean = sum(values) / values.length;
  return sum(values.map((value) => (value - mean) ** 2)) / values.length;
};
const reference: [query: (range: string) => string, value: (samples: Sample[], rangeS: number) => number][] = [
  [(range) => `sum by (k) (count_over_time({app="x"}${range}))`, (samples) => samples.length],
  [(range) => `sum by (k) (count_over_time({app="x"} |= "v" ${range}))`, (samples) => samples.length],
  [(range) => `sum by (k) (rate({app="x"} | logfmt ${range}))`, (samples, rangeS) => samples.length / rangeS],
  [(range) => `sum by (k) (bytes_over_time({app="x"}${range}))`, (samples) => sum(samples.map(({ bytes }) => bytes))],
  [
    (range) => `sum by (k) (bytes_rate({app="x"} != "nothing" ${range}))`,
    (samples, rangeS) => sum(samples.map(({ bytes }) => bytes)) / rangeS,
  ],
  [(range) => `sum by (k) (sum_over_time({app="x"} | logfmt | unwrap v ${range}))`, (samples) => sum(samples.map(({ value }) => value))],
  [
    (range) => `avg_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`,
    (samples) => sum(samples.map(({ value }) => value)) / samples.length,
  ],
  [(range) => `min_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`, (samples) => Math.min(...samples.map(({ value }) => value))],
  [(range) => `max_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`, (samples) => Math.max(...samples.map(({ value }) => value))],
  [(range) => `stdvar_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`, (samples) => variance(samples.map(({ value }) => value))],
  [
    (range) => `stddev_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`,
    (samples) => Math.sqrt(variance(samples.map(({ value }) => value))),
  ],
  [(range) => `first_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`, (samples) => samples[0].value],
  [(range) => `last_over_time({app="x"} | logfmt | unwrap v ${range}) by (k)`, (samples) => samples.at(-1)!.value],
  [
    (range) => `quantile_over_time(1, {app="x"} | logfmt | unwrap v ${range}) by (k)`,
    (samples) => Math.max(...samples.map(({ value }) => value)),
  ],
];

for (let seed = 1; seed <= 30; seed++) {
  test(`as if every entry were looked at, seed ${seed}`, () => {
    const random = new QueryGenerator(seed);
    const samples: Sample[] = [];
    const used = new Set<number>();
    const streams: Streams = Array.from({ length: 3 }, (_, number) => {
      const labels: Labels = [
        ['app', 'x'],
        ['n', String(number)],
      ];
      const blocks = Array.from({ length: 1 + random.int(4) }, (_, index) => {
        const rows: BlockRow[] = [];
        for (let second = index * 100; second < index * 100 + 100; second += 1 + random.int(30)) {
          if (used.has(second)) continue; // first and last of equal times are not determined across streams
          used.add(second);
          const value = random.int(200) - 100;
          const key = `k${random.int(3)}`;
          const line = `v=${value}`;
          samples.push({ second, key, value, bytes: line.length });
          rows.push([second * SECOND, line, { k: key, ...(random.int(2) ? { other: String(random.int(3)) } : {}) }]);
        }
        return blockOf(BASE, rows);
      });
      return [labels, blocks];
    });
    samples.sort((a, b) => a.second - b.second);
    const step = 1 + random.int(60);
    const range = 1 + random.int(150);
    const times = random.int(4) ? every(step, random.int(200), 200 + random.int(300)) : instant(random.int(400));
    const start = Number((times.startNs - BASE) / BigInt(SECOND));
    for (const [query, value] of reference) {
      const text = query(`[${range}s]`);
      const results = [run(text, times, streams), ...(leafOf(text).mergeable ? [run(text, times, streams, true)] : [])];
      const steps = times.stepNs === 0 ? 1 : Math.floor(Number(times.endNs - times.startNs) / times.stepNs) + 1;
      for (const result of results) {
        for (const key of ['k0', 'k1', 'k2']) {
          const values = result[formatLabels([['k', key]])] ?? [];
          for (let index = 0; index < steps; index++) {
            const end = start + index * step;
            const inside = samples.filter((sample) => sample.key === key && sample.second > end - range && sample.second <= end);
            const actual = values[index];
            if (inside.length === 0) assert.equal(actual, undefined, `${text} step ${index}`);
            else {
              const wanted = value(inside, range);
              assert.ok(
                actual !== undefined && Math.abs(actual - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)),
                `${text} step ${index}: ${actual}, not ${wanted}`,
              );
            }
          }
        }
      }
    }
  });
}
