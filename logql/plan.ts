import { Fault } from '../ops/base/fault.ts';
import { meaningError } from './errors.ts';
import { compilePipeline } from './pipeline/compile.ts';
import type { Expr, Grouping, LogExpr, MetricExpr, RangeAggregation, RangeOp, Unwrap } from './syntax/ast.ts';
import { arithmeticOf } from './syntax/fold.ts';
import { NO_NARROW_MATCHER } from './syntax/parse-selector.ts';
import { print } from './syntax/print.ts';

/** What queriers compute over streams: one range aggregation, with a sum around it where that makes the answer small. */
export interface Leaf {
  /** Canonical text; equal leaves have equal texts. */
  readonly query: string;
  readonly range: RangeAggregation;
  /** Grouping of the sum that is computed along with it. */
  readonly sum?: Grouping;
  /** Results over disjoint sets of streams can be merged into the result over all. A counter's rate needs its samples in the order of time, in one place. */
  readonly mergeable: boolean;
}

export interface MetricPlan {
  readonly kind: 'metric';
  readonly expr: MetricExpr;
  /** Without repetition. */
  readonly leaves: readonly Leaf[];
  /** Index into `leaves` of every node of `expr` that is one. */
  readonly leafOf: ReadonlyMap<MetricExpr, number>;
}

export type Plan = { readonly kind: 'logs'; readonly expr: LogExpr } | MetricPlan;

/** Whether the answer has at least as many series as the leaf, of which then no more need be gathered than an answer may have. */
export function keepsSeries({ expr, leafOf }: MetricPlan): boolean {
  let node = expr;
  while (!leafOf.has(node)) {
    if (node.kind === 'label_replace') node = node.inner;
    else if (node.kind === 'vector_aggregation' && (node.op === 'sort' || node.op === 'sort_desc')) node = node.inner;
    else if (node.kind === 'binary' && arithmeticOf(node.op) !== undefined && node.left.kind === 'number') node = node.right;
    else if (node.kind === 'binary' && arithmeticOf(node.op) !== undefined && node.right.kind === 'number') node = node.left;
    else return false;
  }
  const { range } = readLeaf(node)!;
  return range.op !== 'rate_counter' && range.op !== 'absent_over_time'; // they may give nothing, or other series
}

/** Sums of these over streams are sums over their entries. */
const ADDITIVE: ReadonlySet<RangeOp> = new Set(['rate', 'count_over_time', 'bytes_rate', 'bytes_over_time', 'sum_over_time']);

/** Says which parts of a query run on queriers; what is around them is evaluated over their results. Throws Fault parse_error for a stage that
 *  cannot be (a template, pattern or address that is none), so that no work is begun for it. */
export function planQuery(expr: Expr): Plan {
  if (expr.kind !== 'log') return planMetricQuery(expr);
  checkPipelines(expr);
  return { kind: 'logs', expr };
}

function checkPipelines(expr: Expr): void {
  for (const { log, unwrap } of logRangesOf(expr)) compilePipeline(log.stages, { observed: 'all', ...(unwrap && { unwrap }) });
}

/** As `planQuery`. */
export function planMetricQuery(expr: MetricExpr): MetricPlan {
  checkPipelines(expr);
  const leaves: Leaf[] = [];
  const leafOf = new Map<MetricExpr, number>();
  const visit = (node: MetricExpr): void => {
    refuseNumber(node);
    const leaf = readLeaf(node);
    if (leaf === undefined) for (const operand of operandsOf(node)) visit(operand);
    else {
      const known = leaves.findIndex(({ query }) => query === leaf.query);
      leafOf.set(node, known < 0 ? leaves.push(leaf) - 1 : known);
    }
  };
  visit(expr);
  return { kind: 'metric', expr, leaves, leafOf };
}

/** `node` as a leaf, if it is one. */
export function readLeaf(node: Expr): Leaf | undefined {
  if (node.kind === 'range_aggregation') return { query: print(node), range: node, mergeable: node.op !== 'rate_counter' };
  if (node.kind !== 'vector_aggregation' || node.op !== 'sum') return undefined;
  const { inner } = node;
  if (inner.kind !== 'range_aggregation' || !ADDITIVE.has(inner.op)) return undefined;
  return { query: print(node), range: inner, sum: node.grouping ?? { without: false, labels: [] }, mergeable: true };
}

/** Throws Fault for a number where only series will do, as Loki does. */
function refuseNumber(node: MetricExpr): void {
  if (node.kind === 'vector_aggregation' && node.inner.kind === 'number') throw meaningError(node.at, NO_NARROW_MATCHER);
  if (node.kind === 'label_replace' && node.inner.kind === 'number')
    throw new Fault('bad_request', 'label_replace wants series, and was given a number');
}

function operandsOf(node: MetricExpr): readonly MetricExpr[] {
  switch (node.kind) {
    case 'vector_aggregation':
    case 'label_replace':
      return [node.inner];
    case 'binary':
      return [node.left, node.right];
    default:
      return [];
  }
}

/** The log expressions of a query, each with its unwrap. */
export function* logRangesOf(expr: Expr): Generator<{ readonly log: LogExpr; readonly unwrap?: Unwrap }> {
  if (expr.kind === 'log') yield { log: expr };
  else if (expr.kind === 'range_aggregation') yield expr;
  else for (const operand of operandsOf(expr)) yield* logRangesOf(operand);
}
