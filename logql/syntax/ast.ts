import type { Matcher } from '../model.ts';

/** Where a node stands in the query's text: UTF-16 offsets [from, to). */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A LogQL query is a log expression (streams of entries) or a metric expression (numbers over time). */
export type Expr = LogExpr | MetricExpr;

export interface LogExpr {
  readonly kind: 'log';
  readonly matchers: readonly Matcher[];
  readonly stages: readonly Stage[];
  readonly at: Span;
}

// --- stages -------------------------------------------------------------------------------------------------------------------------------------------

export type Stage =
  | LineFilter
  | LabelFilter
  | { readonly kind: 'json'; readonly expressions: readonly Extraction[]; readonly at: Span } // no expressions: every field
  | {
      readonly kind: 'logfmt';
      readonly strict: boolean;
      readonly keepEmpty: boolean;
      readonly expressions: readonly Extraction[];
      readonly at: Span;
    }
  | { readonly kind: 'regexp'; readonly pattern: string; readonly at: Span }
  | { readonly kind: 'pattern'; readonly pattern: string; readonly at: Span }
  | { readonly kind: 'unpack'; readonly at: Span }
  | { readonly kind: 'line_format'; readonly template: string; readonly at: Span }
  | { readonly kind: 'label_format'; readonly assignments: readonly LabelAssignment[]; readonly at: Span }
  | { readonly kind: 'decolorize'; readonly at: Span }
  | { readonly kind: 'drop' | 'keep'; readonly items: readonly DropKeepItem[]; readonly at: Span };

export type LineFilterOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>';

/** Terms joined by `or`: a positive filter keeps a line that any term matches, a negative one drops it. */
export interface LineFilter {
  readonly kind: 'line_filter';
  readonly op: LineFilterOp;
  readonly terms: readonly LineFilterTerm[];
  readonly at: Span;
}
export type LineFilterTerm = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'ip'; readonly text: string };

export interface LabelFilter {
  readonly kind: 'label_filter';
  readonly predicate: LabelPredicate;
  readonly at: Span;
}
export type Comparison = '=' | '==' | '!=' | '>' | '>=' | '<' | '<=';
export type LabelPredicate =
  | { readonly kind: 'and' | 'or'; readonly left: LabelPredicate; readonly right: LabelPredicate }
  | { readonly kind: 'string'; readonly matcher: Matcher }
  | { readonly kind: 'number'; readonly name: string; readonly op: Comparison; readonly value: number; readonly text: string }
  | { readonly kind: 'duration'; readonly name: string; readonly op: Comparison; readonly valueNs: number; readonly text: string }
  | { readonly kind: 'bytes'; readonly name: string; readonly op: Comparison; readonly value: number; readonly text: string }
  | { readonly kind: 'ip'; readonly name: string; readonly op: '=' | '!='; readonly text: string };

/** `label="expression"`; a bare `label` has its own name as the expression. */
export interface Extraction {
  readonly label: string;
  readonly expression: string;
}
export type LabelAssignment =
  | { readonly kind: 'rename'; readonly label: string; readonly from: string }
  | { readonly kind: 'template'; readonly label: string; readonly template: string };
export interface DropKeepItem {
  readonly name: string;
  readonly matcher?: Matcher;
}

// --- metric expressions -------------------------------------------------------------------------------------------------------------------------------

export type MetricExpr = RangeAggregation | VectorAggregation | BinaryOperation | LabelReplace | NumberLiteral | VectorFunction;

export type RangeOp =
  | 'rate'
  | 'count_over_time'
  | 'bytes_rate'
  | 'bytes_over_time'
  | 'absent_over_time'
  | 'rate_counter'
  | 'sum_over_time'
  | 'avg_over_time'
  | 'min_over_time'
  | 'max_over_time'
  | 'stddev_over_time'
  | 'stdvar_over_time'
  | 'first_over_time'
  | 'last_over_time'
  | 'quantile_over_time';

export interface RangeAggregation {
  readonly kind: 'range_aggregation';
  readonly op: RangeOp;
  /** φ of quantile_over_time. */
  readonly parameter?: number;
  readonly log: LogExpr;
  readonly rangeNs: number;
  /** Subtracted from every evaluation time; may be negative. */
  readonly offsetNs: number;
  readonly unwrap?: Unwrap;
  readonly grouping?: Grouping;
  readonly at: Span;
}
export interface Unwrap {
  readonly label: string;
  readonly conversion?: 'bytes' | 'duration' | 'duration_seconds';
  /** Label filters after the unwrap. */
  readonly filters: readonly LabelPredicate[];
}
export interface Grouping {
  readonly without: boolean;
  readonly labels: readonly string[];
}

export type VectorOp =
  | 'sum'
  | 'avg'
  | 'count'
  | 'max'
  | 'min'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'sort'
  | 'sort_desc'
  | 'approx_topk';

export interface VectorAggregation {
  readonly kind: 'vector_aggregation';
  readonly op: VectorOp;
  /** k of topk, bottomk, approx_topk. */
  readonly parameter?: number;
  readonly grouping?: Grouping;
  readonly inner: MetricExpr;
  readonly at: Span;
}

export type BinaryOp = 'or' | 'and' | 'unless' | '==' | '!=' | '>' | '>=' | '<' | '<=' | '+' | '-' | '*' | '/' | '%' | '^';

export interface BinaryOperation {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly left: MetricExpr;
  readonly right: MetricExpr;
  readonly returnBool: boolean;
  readonly matching?: VectorMatching;
  readonly at: Span;
}
export interface VectorMatching {
  /** on(labels) rather than ignoring(labels). */
  readonly on: boolean;
  readonly labels: readonly string[];
  readonly card: 'one_to_one' | 'many_to_one' | 'one_to_many';
  /** Labels of group_left() or group_right(). */
  readonly include: readonly string[];
}

export interface LabelReplace {
  readonly kind: 'label_replace';
  readonly inner: MetricExpr;
  readonly target: string;
  readonly replacement: string;
  readonly source: string;
  readonly pattern: string;
  readonly at: Span;
}
export interface NumberLiteral {
  readonly kind: 'number';
  readonly value: number;
  readonly at: Span;
}
/** vector(n) */
export interface VectorFunction {
  readonly kind: 'vector';
  readonly value: number;
  readonly at: Span;
}
