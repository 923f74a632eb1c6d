import { meaningError } from '../errors.ts';
import type {
  BinaryOp,
  Expr,
  Grouping,
  LogExpr,
  MetricExpr,
  RangeAggregation,
  RangeOp,
  Span,
  Unwrap,
  VectorMatching,
  VectorOp,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { foldNumbers, isSetOp } from './fold.ts';
import { RANGE_FUNCTIONS, type Token, VECTOR_FUNCTIONS } from './lexer.ts';
import { parseLog, parseStages, parseUnwrap } from './parse-log.ts';
import { checkRegex } from './parse-selector.ts';
import { printSample } from './print-number.ts';

/** Binary operators by how tightly they bind; `^` alone groups from the right. */
const PRECEDENCE: readonly (readonly BinaryOp[])[] = [
  ['or'],
  ['and', 'unless'],
  ['==', '!=', '>', '>=', '<', '<='],
  ['+', '-'],
  ['*', '/', '%'],
  ['^'],
];

/** A log or metric expression of operators that bind at least as tightly as level `lowest`. */
export function parseOperations(cursor: Cursor, lowest = 0): Expr {
  const from = cursor.next.at.from;
  let left = parseOperand(cursor);
  for (;;) {
    const level = PRECEDENCE.findIndex((ops) => (ops as readonly string[]).includes(cursor.next.kind));
    if (level < lowest) return left;
    const op = cursor.take().kind as BinaryOp;
    const modifiers = parseModifiers(cursor);
    const right = parseOperations(cursor, op === '^' ? level : level + 1);
    left = combine(op, left, right, modifiers, cursor.spanFrom(from));
  }
}

interface Modifiers {
  readonly returnBool: boolean;
  readonly matching?: VectorMatching;
}

function parseModifiers(cursor: Cursor): Modifiers {
  const returnBool = cursor.accept('bool') !== undefined;
  const kind = cursor.next.kind;
  if (kind !== 'on' && kind !== 'ignoring') return { returnBool };
  cursor.take();
  const labels = parseLabels(cursor);
  const group = cursor.accept('group_left') ?? cursor.accept('group_right');
  if (group === undefined) return { returnBool, matching: { on: kind === 'on', labels, card: 'one_to_one', include: [] } };
  const include = cursor.next.kind === '(' && isLabelList(cursor) ? parseLabels(cursor) : [];
  const card = group.kind === 'group_left' ? 'many_to_one' : 'one_to_many';
  return { returnBool, matching: { on: kind === 'on', labels, card, include } };
}

/** Whether the parenthesis that comes next holds label names, rather than the right operand. */
function isLabelList(cursor: Cursor): boolean {
  return cursor.second.kind === 'IDENTIFIER' || cursor.second.kind === ')';
}

function parseLabels(cursor: Cursor): string[] {
  cursor.expect('(');
  const labels: string[] = [];
  if (cursor.accept(')')) return labels;
  do labels.push(cursor.expect('IDENTIFIER', labels.length === 0 ? ['IDENTIFIER', ')'] : ['IDENTIFIER']).text);
  while (cursor.accept(','));
  cursor.expect(')', [',', ')']);
  return labels;
}

function combine(op: BinaryOp, left: Expr, right: Expr, modifiers: Modifiers, at: Span): MetricExpr {
  const metricLeft = requireMetric(op, 'left', left);
  const metricRight = requireMetric(op, 'right', right);
  if (isSetOp(op)) {
    refuseLiteral(op, 'left', metricLeft);
    refuseLiteral(op, 'right', metricRight);
  }
  if (metricLeft.kind === 'number' && metricRight.kind === 'number') {
    return { kind: 'number', value: foldNumbers(op, metricLeft.value, metricRight.value), at };
  }
  return { kind: 'binary', op, left: metricLeft, right: metricRight, ...modifiers, at };
}

function requireMetric(op: BinaryOp, leg: string, expr: Expr): MetricExpr {
  if (expr.kind !== 'log') return expr;
  const type = expr.stages.length === 0 ? 'MatchersExpr' : 'PipelineExpr';
  throw meaningError(expr.at, `unexpected type for ${leg} leg of binary operation (${op}): *syntax.${type}`);
}

function refuseLiteral(op: BinaryOp, leg: string, expr: MetricExpr): void {
  if (expr.kind !== 'number') return;
  throw meaningError(expr.at, `unexpected literal for ${leg} leg of logical/set binary operation (${op}): ${expr.value.toFixed(6)}`);
}

function parseOperand(cursor: Cursor): Expr {
  const { kind, text, at } = cursor.next;
  if (kind === '{') return parseLog(cursor);
  if (kind === '(') {
    cursor.take();
    const inner = parseOperations(cursor);
    cursor.expect(')');
    return { ...inner, at: cursor.spanFrom(at.from) };
  }
  if (kind === 'NUMBER' || kind === '+' || kind === '-')
    return { kind: 'number', value: parseSigned(cursor), at: cursor.spanFrom(at.from) };
  const name = text.toLowerCase();
  if (kind === name.toUpperCase()) {
    if (RANGE_FUNCTIONS.has(name)) return parseRangeAggregation(cursor, name as RangeOp);
    if (VECTOR_FUNCTIONS.has(name)) return parseVectorAggregation(cursor, name as VectorOp);
  }
  if (kind === 'LABEL_REPLACE') return parseLabelReplace(cursor);
  if (kind === 'VECTOR') return parseVector(cursor);
  return cursor.fail();
}

function parseSigned(cursor: Cursor): number {
  const sign = cursor.accept('-') ? -1 : 1;
  if (sign === 1) cursor.accept('+');
  return sign * cursor.expect('NUMBER').value;
}

/** An operand of a function that wants a number series. */
function parseMetric(cursor: Cursor): MetricExpr {
  const expr = parseOperations(cursor);
  return expr.kind === 'log' ? cursor.fail() : expr;
}

function parseGrouping(cursor: Cursor): Grouping | undefined {
  const word = cursor.accept('by') ?? cursor.accept('without');
  return word && { without: word.kind === 'without', labels: parseLabels(cursor) };
}

/** The number before the comma in `topk(5, …)`, or undefined. */
function parseParameter(cursor: Cursor): Token | undefined {
  if (cursor.next.kind !== 'NUMBER' || cursor.second.kind !== ',') return undefined;
  const token = cursor.take();
  cursor.take();
  return token;
}

// --- range aggregations -------------------------------------------------------------------------------------------------------------------------------

const UNWRAPPED_ONLY: ReadonlySet<RangeOp> = new Set([
  'rate_counter',
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'first_over_time',
  'last_over_time',
  'quantile_over_time',
]);
const NEVER_UNWRAPPED: ReadonlySet<RangeOp> = new Set(['count_over_time', 'bytes_rate', 'bytes_over_time']);
const NEVER_GROUPED: ReadonlySet<RangeOp> = new Set([
  'rate',
  'count_over_time',
  'bytes_rate',
  'bytes_over_time',
  'absent_over_time',
  'rate_counter',
  'sum_over_time',
]);

interface LogRange {
  readonly log: LogExpr;
  readonly rangeNs: number;
  readonly offsetNs: number;
  readonly unwrap?: Unwrap;
}

function parseRangeAggregation(cursor: Cursor, op: RangeOp): RangeAggregation {
  const from = cursor.take().at.from;
  cursor.expect('(');
  const parameter = parseParameter(cursor);
  if (cursor.next.kind !== '{' && cursor.next.kind !== '(') cursor.fail('NUMBER', '{', '(');
  const range = parseLogRange(cursor);
  cursor.expect(')');
  const grouping = parseGrouping(cursor);
  const at = cursor.spanFrom(from);
  if (grouping !== undefined && NEVER_GROUPED.has(op)) throw meaningError(at, `grouping not allowed for ${op} aggregation`);
  if (range.unwrap === undefined && UNWRAPPED_ONLY.has(op)) throw meaningError(at, `invalid aggregation ${op} without unwrap`);
  if (range.unwrap !== undefined && NEVER_UNWRAPPED.has(op)) throw meaningError(at, `invalid aggregation ${op} with unwrap`);
  if (op === 'quantile_over_time' && parameter === undefined) throw meaningError(at, `parameter required for operation ${op}`);
  if (op !== 'quantile_over_time' && parameter !== undefined) {
    throw meaningError(at, `parameter ${printSample(parameter.value)} not supported for operation ${op}`);
  }
  return { kind: 'range_aggregation', op, ...optional({ parameter: parameter?.value, grouping }), ...range, at };
}

/** The properties that have a value. */
function optional<T extends object>(properties: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** A log expression with a window. Stages and unwrap may stand before the window or behind it. */
function parseLogRange(cursor: Cursor): LogRange {
  const from = cursor.next.at.from;
  if (cursor.accept('(')) {
    const inner = cursor.next.kind === '(' || cursor.next.kind === '{' ? parseInnerRange(cursor) : cursor.fail('{', '(');
    cursor.expect(')');
    return 'rangeNs' in inner ? inner : finishLogRange(cursor, { ...inner, at: cursor.spanFrom(from) });
  }
  return finishLogRange(cursor, parseLog(cursor));
}

/** What a parenthesis holds: a whole log range, or only its log expression. */
function parseInnerRange(cursor: Cursor): LogRange | LogExpr {
  if (cursor.next.kind === '(') return parseLogRange(cursor);
  const log = parseLog(cursor);
  return cursor.next.kind === ')' ? log : finishLogRange(cursor, log);
}

function finishLogRange(cursor: Cursor, log: LogExpr): LogRange {
  const early = parseUnwrap(cursor);
  const { value: rangeNs, at } = cursor.expect('RANGE', []);
  if (rangeNs < 0) throw meaningError(at, 'the range of an aggregation must not be negative');
  const offsetNs = cursor.accept('offset') ? cursor.expect('DURATION').value : 0;
  const stages = log.stages.length === 0 ? parseStages(cursor) : [];
  const unwrap = early ?? parseUnwrap(cursor);
  const whole = stages.length === 0 ? log : { ...log, stages, at: cursor.spanFrom(log.at.from) };
  return { log: whole, rangeNs, offsetNs, ...optional({ unwrap }) };
}

// --- other functions ----------------------------------------------------------------------------------------------------------------------------------

const PARAMETRIC: ReadonlySet<VectorOp> = new Set(['topk', 'bottomk', 'approx_topk']);
const UNGROUPED: ReadonlySet<VectorOp> = new Set(['sort', 'sort_desc', 'approx_topk']);

function parseVectorAggregation(cursor: Cursor, op: VectorOp): MetricExpr {
  const from = cursor.take().at.from;
  const before = parseGrouping(cursor);
  cursor.expect('(');
  const parameter = parseParameter(cursor);
  const inner = parseMetric(cursor);
  cursor.expect(')', []);
  const grouping = before ?? parseGrouping(cursor);
  const at = cursor.spanFrom(from);
  checkParameter(op, parameter, at);
  if (grouping !== undefined && UNGROUPED.has(op) && (grouping.labels.length > 0 || op === 'approx_topk')) {
    throw meaningError(at, `grouping not allowed for ${op} aggregation`);
  }
  return { kind: 'vector_aggregation', op, ...optional({ parameter: parameter?.value, grouping }), inner, at };
}

function checkParameter(op: VectorOp, parameter: Token | undefined, at: Span): void {
  if (!PARAMETRIC.has(op)) {
    if (parameter !== undefined) throw meaningError(at, `unsupported parameter for operation ${op}(${parameter.text},`);
    return;
  }
  if (parameter === undefined) throw meaningError(at, `parameter required for operation ${op}`);
  const { text, value } = parameter;
  if (!/^\d+$/.test(text)) throw meaningError(at, `invalid parameter ${op}(${text},`);
  if (value <= 0) throw meaningError(at, `invalid parameter (must be greater than 0) ${op}(${text}`);
}

function parseLabelReplace(cursor: Cursor): MetricExpr {
  const from = cursor.take().at.from;
  cursor.expect('(');
  const inner = parseMetric(cursor);
  const [target, replacement, source, pattern] = Array.from({ length: 4 }, () => {
    cursor.expect(',', inner.kind === 'number' ? [] : [',']);
    return cursor.expect('STRING').text;
  });
  cursor.expect(')');
  const at = cursor.spanFrom(from);
  try {
    checkRegex(cursor, `^(?:${pattern})$`, at);
  } catch (error) {
    throw meaningError(at, `invalid regex in label_replace: ${(error as Error).message.replace(/^parse error : /, '')}`);
  }
  return { kind: 'label_replace', inner, target, replacement, source, pattern, at };
}

function parseVector(cursor: Cursor): MetricExpr {
  const from = cursor.take().at.from;
  cursor.expect('(');
  const { value } = cursor.expect('NUMBER');
  cursor.expect(')');
  return { kind: 'vector', value, at: cursor.spanFrom(from) };
}
