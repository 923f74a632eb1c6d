import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateInstant, evaluateRange } from '../../../logql/engine/evaluate.ts';
import { type Matrix, Series } from '../../../logql/engine/matrix.ts';
import { finish } from '../../../logql/engine/steps.ts';
import { formatLabels } from '../../../logql/model.ts';
import { type Plan, planQuery } from '../../../logql/plan.ts';
import { parseExpr } from '../../../logql/syntax/parse.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { valuesOf } from '../../support/series-values.ts';

/** Values by step; undefined where there is none. */
type Table = Record<string, (number | undefined)[]>;

const LIMITS = { maxSeries: 10, approxTopk: false };
const STEPS = 3;
const TIMES = { startNs: 0n, endNs: 2n, stepNs: 1 };

/** Labels are written `a=1 b=2`. */
function matrixOf(table: Table): Matrix {
  const series = Object.entries(table).map(([key, values]): Series => {
    const labels = key === '' ? [] : key.split(' ').map((pair) => pair.split('=') as [string, string]); // an empty one stays, as stages make it
    const present = Uint8Array.from([1, ...values], (value) => (value === undefined ? 0 : 1));
    // Behind a value that is another series'.
    return new Series(formatLabels(labels), 0, {
      values: Float64Array.from([999, ...values], (value) => value ?? 0),
      present,
      start: 1,
      length: values.length,
    });
  });
  return { steps: STEPS, series };
}

function tableOf(series: readonly Series[], steps = STEPS): Table {
  return Object.fromEntries(series.map((one) => [one.labels.map((pair) => pair.join('=')).join(' '), valuesOf(one, steps)]));
}

function metricPlan(query: string): Extract<Plan, { kind: 'metric' }> {
  const plan = planQuery(parseExpr(query));
  assert.ok(plan.kind === 'metric');
  return plan;
}

/** `x`, `y`, `z` stand for range aggregations whose results are given. */
function evaluate(query: string, operands: Record<string, Table>, limits = LIMITS): Table {
  const names = Object.keys(operands);
  const plan = metricPlan(query.replace(/\b[xyz]\b/g, (name) => `min_over_time({leaf="${name}"} | unwrap v [1s])`));
  const results = plan.leaves.map(({ range }) => matrixOf(operands[names.find((name) => range.log.matchers[0].value === name)!]));
  return tableOf(finish(evaluateRange(plan, results, TIMES, limits)).series);
}

const X: Table = { 'a=1 b=1': [1, 2, undefined], 'a=1 b=2': [3, undefined, 5], 'a=2 b=1': [7, 8, undefined] };
const Y: Table = { 'a=1': [10, undefined, 30], 'a=3': [40, 50, 60] };
const _ = undefined;

const cases: [query: string, result: Table][] = [
  ['1 + 1', { '': [2, 2, 2] }],
  ['vector(1) + 1', { '': [2, 2, 2] }],
  ['sum(x)', { '': [11, 10, 5] }],
  ['sum by (a) (x)', { 'a=1': [4, 2, 5], 'a=2': [7, 8, _] }],
  ['sum without (a) (x)', { 'b=1': [8, 10, _], 'b=2': [3, _, 5] }],
  ['avg by (a) (x)', { 'a=1': [2, 2, 5], 'a=2': [7, 8, _] }],
  ['count(x)', { '': [3, 2, 1] }],
  ['min(x)', { '': [1, 2, 5] }],
  ['max(x)', { '': [7, 8, 5] }],
  ['stdvar by (a) (x)', { 'a=1': [1, 0, 0], 'a=2': [0, 0, _] }],
  ['stddev by (a) (x)', { 'a=1': [1, 0, 0], 'a=2': [0, 0, _] }],
  ['topk(1, x)', { 'a=1 b=2': [_, _, 5], 'a=2 b=1': [7, 8, _] }],
  ['topk by (a) (1, x)', { 'a=1 b=1': [_, 2, _], 'a=1 b=2': [3, _, 5], 'a=2 b=1': [7, 8, _] }],
  ['bottomk(2, x)', { 'a=1 b=1': [1, 2, _], 'a=1 b=2': [3, _, 5], 'a=2 b=1': [_, 8, _] }],
  ['x * 2', { 'a=1 b=1': [2, 4, _], 'a=1 b=2': [6, _, 10], 'a=2 b=1': [14, 16, _] }],
  ['x > 2', { 'a=1 b=2': [3, _, 5], 'a=2 b=1': [7, 8, _] }],
  ['2 < x', { 'a=1 b=2': [3, _, 5], 'a=2 b=1': [7, 8, _] }],
  ['x > bool 2', { 'a=1 b=1': [0, 0, _], 'a=1 b=2': [1, _, 1], 'a=2 b=1': [1, 1, _] }],
  ['x - x', { 'a=1 b=1': [0, 0, _], 'a=1 b=2': [0, _, 0], 'a=2 b=1': [0, 0, _] }],
  ['x + on (a, b) y', {}],
  ['y + on (a) group_right x', { 'a=1 b=1': [11, _, _], 'a=1 b=2': [13, _, 35] }],
  ['x / ignoring (b) group_left y', { 'a=1 b=1': [0.1, _, _], 'a=1 b=2': [0.3, _, 5 / 30] }],
  ['x < on (a) group_left y', { 'a=1 b=1': [1, _, _], 'a=1 b=2': [3, _, 5] }],
  ['y > on (a) group_right x', { 'a=1 b=1': [10, _, _], 'a=1 b=2': [10, _, 30] }],
  ['sum by (a) (x) + y', { 'a=1': [14, _, 35] }],
  ['x and on (a) y', { 'a=1 b=1': [1, _, _], 'a=1 b=2': [3, _, 5] }],
  ['x unless on (a) y', { 'a=1 b=1': [_, 2, _], 'a=2 b=1': [7, 8, _] }],
  ['y or on (a) sum by (a) (x)', { 'a=1': [10, 2, 30], 'a=2': [7, 8, _], 'a=3': [40, 50, 60] }],
  ['label_replace(y, "c", "v$1", "a", "(.)")', { 'a=1 c=v1': [10, _, 30], 'a=3 c=v3': [40, 50, 60] }],
  ['label_replace(y, "a", "", "a", "1")', { '': [10, _, 30], 'a=3': [40, 50, 60] }],
  [`label_replace(y, "c", "${'$'}{n}$$", "a", "(?P<n>1)")`, { 'a=1 c=1$': [10, _, 30], 'a=3': [40, 50, 60] }],
  ['label_replace(y, "c", "$1x", "a", "(.)")', Y],
  ['y / 0', { 'a=1': [NaN, _, NaN], 'a=3': [NaN, NaN, NaN] }],
  ['y % 0', { 'a=1': [NaN, _, NaN], 'a=3': [NaN, NaN, NaN] }],
  ['1 / vector(0)', { '': [NaN, NaN, NaN] }],
];
for (const [query, result] of cases) test(`evaluate: ${query}`, () => assert.deepEqual(evaluate(query, { x: X, y: Y }), result));

test('a group takes labels from the one side', () => {
  const result = evaluate('x * on (a) group_left (c, b) y', { x: { 'a=1 b=1': [2, _, _] }, y: { 'a=1 c=3': [5, 5, 5] } });
  assert.deepEqual(result, { 'a=1 c=3': [10, _, _] });
});

const ambiguous: [query: string, message: RegExp][] = [
  ['x / on (a) y', /many-to-one matching must be explicit/],
  ['y / on (a) x', /many-to-many matching not allowed/],
  ['x / on (b) group_left x', /many-to-many matching not allowed/],
  ['(y > 100) / on (a) x', /many-to-many matching not allowed/], // though nothing is there to match
  ['x / on () group_left (b) label_replace(sum(x), "b", "1", "", "")', /grouping labels must ensure unique matches/],
];
for (const [query, message] of ambiguous) {
  test(`ambiguous: ${query}`, () => assert.throws(() => evaluate(query, { x: X, y: Y }), { code: 'bad_request', message }));
}

test('matches must be unique where a comparison drops them too', () => {
  const y: Table = { '': [100, 100, 100] };
  const message = /grouping labels must ensure unique matches/;
  assert.throws(() => evaluate('x > on () group_left (a, b) y', { x: X, y }), { code: 'bad_request', message });
});

test('NaN is the worst of the best, and no obstacle to a maximum', () => {
  const x: Table = { 'a=1': [Number.NaN, 1, Number.NaN], 'a=2': [2, Number.NaN, Number.NaN] };
  assert.deepEqual(evaluate('topk(1, x)', { x }), { 'a=1': [_, 1, Number.NaN], 'a=2': [2, _, _] });
  assert.deepEqual(evaluate('bottomk(1, x)', { x }), { 'a=1': [_, 1, Number.NaN], 'a=2': [2, _, _] });
  assert.deepEqual(evaluate('max(x)', { x }), { '': [2, 1, Number.NaN] });
});

test('an answer has at most so many series', () => {
  assert.throws(
    () => evaluate('x', { x: X }, { maxSeries: 2, approxTopk: false }),
    (error: unknown) => {
      assert.ok(error instanceof Fault);
      assert.match(error.message, /^maximum number of series \(2\) reached for a single query; consider/);
      assert.equal(error.code, 'limit_exceeded');
      return true;
    },
  );
  assert.deepEqual(evaluate('sum(x)', { x: X }, { maxSeries: 1, approxTopk: false }), { '': [11, 10, 5] });
});

test('approx_topk must be allowed', () => {
  assert.throws(() => evaluate('approx_topk(1, x)', { x: X }), { message: /^approx_topk is not enabled/ });
  assert.deepEqual(Object.keys(evaluate('approx_topk(1, x)', { x: X }, { maxSeries: 2, approxTopk: true })), ['a=1 b=2', 'a=2 b=1']);
});

test('instant answers are ordered by the outermost function', () => {
  const values = (query: string): number[] => {
    const plan = metricPlan(query.replace('x', 'min_over_time({leaf="x"} | unwrap v [1s])'));
    const leaf = { ...matrixOf({ 'a=1': [2], 'a=2': [Number.NaN], 'a=3': [1], 'a=4': [3] }), steps: 1 };
    const result = finish(evaluateInstant(plan, [leaf], LIMITS));
    assert.ok(result.kind === 'vector');
    return result.series.map((series) => valuesOf(series, 1)[0]!);
  };
  assert.deepEqual(values('x'), [2, Number.NaN, 1, 3]);
  assert.deepEqual(values('sort(x)'), [1, 2, 3, Number.NaN]);
  assert.deepEqual(values('sort_desc(x)'), [3, 2, 1, Number.NaN]);
  assert.deepEqual(values('topk(2, x)'), [3, 2]);
  assert.deepEqual(values('bottomk(2, x)'), [1, 2]);
});

test('a label that is empty is none where series are matched', () => {
  const operands = { x: { 'p=': [1, 1, 1], 'p=b': [2, 2, 2] }, y: { '': [10, 10, 10] } };
  assert.deepEqual(evaluate('x + y', operands), { '': [11, 11, 11] });
  assert.deepEqual(evaluate('x and y', operands), { 'p=': [1, 1, 1] });
  assert.deepEqual(evaluate('x unless ignoring() y', operands), { 'p=b': [2, 2, 2] });
  assert.deepEqual(evaluate('x or vector(0)', operands), operands.x);
});

test('an instant query of numbers is a scalar', () => {
  assert.deepEqual(finish(evaluateInstant(metricPlan('1 + 2'), [], LIMITS)), { kind: 'scalar', value: 3 });
});

test('equal leaves are one, and sums of additive aggregations belong to them', () => {
  const plan = metricPlan('sum by (a) (rate({x="y"}[5m])) / sum  by(a)(rate({x="y"}[300s])) + max(max_over_time({x="y"} | unwrap v [5m]))');
  assert.deepEqual(
    plan.leaves.map(({ query, mergeable }) => [query, mergeable]),
    [
      ['sum by (a)(rate({x="y"}[5m]))', true],
      ['max_over_time({x="y"} | unwrap v[5m])', true],
    ],
  );
  assert.equal(metricPlan('rate_counter({x="y"} | unwrap v [5m])').leaves[0].mergeable, false);
});
