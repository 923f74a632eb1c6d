import { Fault } from '../../ops/base/fault.ts';
import type { Plan } from '../plan.ts';
import type { MetricExpr } from '../syntax/ast.ts';
import { foldNumbers } from '../syntax/fold.ts';
import { applyMatched, applyNumber } from './binary.ts';
import { replaceLabels } from './label-replace.ts';
import { constantSeries, isEmpty, type Matrix, type Series } from './matrix.ts';
import { type Steps, sorted } from './steps.ts';
import { aggregate } from './vector.ts';
import { type EvaluationTimes, stepCount } from './windows.ts';

export interface EvaluationLimits {
  /** Most series of an answer. */
  readonly maxSeries: number;
  /** Whether approx_topk may be used. */
  readonly approxTopk: boolean;
}

export type InstantResult =
  /** In the order of the answer. */
  { readonly kind: 'vector'; readonly series: readonly Series[] } | { readonly kind: 'scalar'; readonly value: number };

type MetricPlan = Extract<Plan, { kind: 'metric' }>;
type Value = Matrix | number;

/** The answer to a range query, sorted by labels. `leafResults`: one for each of the plan's leaves.
 *  Throws Fault limit_exceeded, bad_request where series cannot be matched. */
export function* evaluateRange(
  plan: MetricPlan,
  leafResults: readonly Matrix[],
  times: EvaluationTimes,
  limits: EvaluationLimits,
): Steps<Matrix> {
  const steps = stepCount(times);
  const value = yield* evaluate(plan.expr, { plan, leafResults, steps, limits });
  const series = typeof value === 'number' ? [constantSeries(value, steps)] : yield* byLabels(value.series);
  checkSeries(series, limits);
  return { steps, series };
}

/** The answer to an instant query; vectors are sorted by labels unless the query's outermost function orders by value. */
export function* evaluateInstant(plan: MetricPlan, leafResults: readonly Matrix[], limits: EvaluationLimits): Steps<InstantResult> {
  const value = yield* evaluate(plan.expr, { plan, leafResults, steps: 1, limits });
  if (typeof value === 'number') return { kind: 'scalar', value };
  const series = yield* byLabels(value.series);
  checkSeries(series, limits);
  const direction = valueOrder(plan.expr);
  if (direction !== 0) series.sort((a, b) => byValue(a.values[a.start], b.values[b.start], direction));
  return { kind: 'vector', series };
}

interface Context {
  readonly plan: MetricPlan;
  readonly leafResults: readonly Matrix[];
  readonly steps: number;
  readonly limits: EvaluationLimits;
}

function* evaluate(node: MetricExpr, context: Context): Steps<Value> {
  const leaf = context.plan.leafOf.get(node);
  if (leaf !== undefined) return context.leafResults[leaf];
  switch (node.kind) {
    case 'range_aggregation':
      throw new Fault('internal', 'a range aggregation was not planned as a leaf');
    case 'vector_aggregation':
      if (node.op === 'approx_topk' && !context.limits.approxTopk) {
        throw new Fault('bad_request', 'approx_topk is not enabled. See -limits.shard_aggregations');
      }
      return yield* aggregate(node, asMatrix(yield* evaluate(node.inner, context), context.steps));
    case 'binary': {
      const left = yield* evaluate(node.left, context);
      const right = yield* evaluate(node.right, context);
      if (typeof left === 'number' && typeof right === 'number') return foldNumbers(node.op, left, right);
      if (typeof left === 'number') return applyNumber(node, right as Matrix, left, true);
      if (typeof right === 'number') return applyNumber(node, left, right, false);
      return yield* applyMatched(node, left, right);
    }
    case 'label_replace':
      return replaceLabels(node, asMatrix(yield* evaluate(node.inner, context), context.steps));
    case 'number':
      return node.value;
    case 'vector':
      return { steps: context.steps, series: [constantSeries(node.value, context.steps)] };
  }
}

function asMatrix(value: Value, steps: number): Matrix {
  return typeof value === 'number' ? { steps, series: [constantSeries(value, steps)] } : value;
}

/** Those with a value, by their labels. */
function byLabels(series: readonly Series[]): Steps<Series[]> {
  return sorted(
    series.filter((one) => !isEmpty(one)),
    (a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0),
  );
}

function checkSeries(series: readonly Series[], { maxSeries }: EvaluationLimits): void {
  if (series.length > maxSeries) throw tooManySeries(maxSeries);
}

export function tooManySeries(maxSeries: number): Fault {
  return new Fault(
    'limit_exceeded',
    `maximum number of series (${maxSeries}) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, ` +
      'reducing the time range, or aggregating results with functions like sum(), count() or topk()',
  );
}

/** 1: ascending by value, -1: descending, 0: not by value. */
function valueOrder(node: MetricExpr): -1 | 0 | 1 {
  if (node.kind !== 'vector_aggregation') return 0;
  if (node.op === 'sort' || node.op === 'bottomk') return 1;
  return node.op === 'sort_desc' || node.op === 'topk' || node.op === 'approx_topk' ? -1 : 0;
}

function byValue(a: number, b: number, direction: -1 | 1): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -direction : direction;
}
