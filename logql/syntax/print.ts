import { type Matcher, quoteGo } from '../model.ts';
import type {
  BinaryOperation,
  DropKeepItem,
  Expr,
  Grouping,
  LabelPredicate,
  LineFilterTerm,
  LogExpr,
  RangeAggregation,
  Stage,
  Unwrap,
} from './ast.ts';
import { printNumber, printSample } from './print-number.ts';
import { printDuration, printGoDuration } from './units.ts';

/** The canonical text of a query. Parsing it gives the same expression again, apart from spans. */
export function print(expr: Expr): string {
  switch (expr.kind) {
    case 'log':
      return printLog(expr);
    case 'range_aggregation':
      return printRangeAggregation(expr);
    case 'vector_aggregation':
      return `${expr.op}${printGrouping(expr.grouping)}(${expr.parameter === undefined ? '' : `${printSample(expr.parameter)},`}${print(expr.inner)})`;
    case 'binary':
      return `(${print(expr.left)} ${printOperator(expr)} ${print(expr.right)})`;
    case 'label_replace':
      return `label_replace(${[print(expr.inner), ...printReplacement(expr)].join(',')})`;
    case 'number':
      return printLiteral(expr.value);
    case 'vector':
      return `vector(${printVectorValue(expr.value)})`;
  }
}

function printLog({ matchers, stages }: LogExpr): string {
  return stages.length === 0 ? printSelector(matchers) : `${printSelector(matchers)} ${printStages(stages)}`;
}

export function printStages(stages: readonly Stage[]): string {
  return stages.map(printStage).join(' ');
}

export function printSelector(matchers: readonly Matcher[]): string {
  return `{${matchers.map(printMatcher).join(', ')}}`;
}

function printMatcher({ name, op, value }: Matcher): string {
  return `${name}${op}${quoteGo(value)}`;
}

/** One stage as it stands behind a selector, its operator or pipe included. */
export function printStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line_filter':
      return `${stage.op} ${stage.terms.map(printTerm).join(' or ')}`;
    case 'label_filter':
      return `| ${printPredicate(stage.predicate)}`;
    case 'json':
      return ['| json', ...printExtractions(stage.expressions)].join(' ');
    case 'logfmt':
      return [
        '| logfmt',
        ...(stage.strict ? ['--strict'] : []),
        ...(stage.keepEmpty ? ['--keep-empty'] : []),
        ...printExtractions(stage.expressions),
      ].join(' ');
    case 'regexp':
    case 'pattern':
      return `| ${stage.kind} ${quoteGo(stage.pattern)}`;
    case 'line_format':
      return `| line_format ${quoteGo(stage.template)}`;
    case 'label_format':
      return `| label_format ${stage.assignments.map((one) => `${one.label}=${one.kind === 'rename' ? one.from : quoteGo(one.template)}`).join(',')}`;
    case 'unpack':
    case 'decolorize':
      return `| ${stage.kind}`;
    case 'drop':
    case 'keep':
      return `| ${stage.kind} ${stage.items.map(printItem).join(',')}`;
  }
}

function printTerm({ kind, text }: LineFilterTerm): string {
  return kind === 'ip' ? `ip(${quoteGo(text)})` : quoteGo(text);
}

function printItem({ name, matcher }: DropKeepItem): string {
  return matcher === undefined ? name : printMatcher(matcher);
}

/** As words behind the stage's name. */
function printExtractions(expressions: readonly { label: string; expression: string }[]): string[] {
  // A name may be whatever is nothing else: `!` and the sign behind it would be an operator together.
  const name = (label: string): string => (/[A-Za-z0-9_]$/.test(label) ? label : `${label} `);
  return expressions.length === 0 ? [] : [expressions.map(({ label, expression }) => `${name(label)}=${quoteGo(expression)}`).join(',')];
}

export function printPredicate(predicate: LabelPredicate): string {
  switch (predicate.kind) {
    case 'and':
      return `( ${printPredicate(predicate.left)} , ${printPredicate(predicate.right)} )`;
    case 'or':
      return `( ${printPredicate(predicate.left)} or ${printPredicate(predicate.right)} )`;
    case 'string':
      return printMatcher(predicate.matcher);
    case 'ip':
      return `${predicate.name}${predicate.op}ip(${quoteGo(predicate.text)})`;
    default:
      return `${predicate.name}${predicate.op}${predicate.text}`;
  }
}

export function printUnwrap({ label, conversion, filters }: Unwrap): string {
  const source = conversion === undefined ? label : `${conversion}(${label})`;
  return [`| unwrap ${source}`, ...filters.map((filter) => `| ${printPredicate(filter)}`)].join(' ');
}

function printRange({ log, unwrap, rangeNs, offsetNs }: RangeAggregation): string {
  const offset = offsetNs === 0 ? '' : ` offset ${printGoDuration(offsetNs)}`;
  return `${printLog(log)}${unwrap === undefined ? '' : ` ${printUnwrap(unwrap)}`}[${printDuration(rangeNs)}]${offset}`;
}

function printRangeAggregation(expr: RangeAggregation): string {
  const { op, parameter, grouping } = expr;
  return `${op}(${parameter === undefined ? '' : `${printRangeParameter(parameter)},`}${printRange(expr)})${printGrouping(grouping)}`;
}

export function printRangeParameter(parameter: number): string {
  return printSample(parameter);
}

function printGrouping(grouping: Grouping | undefined): string {
  return grouping === undefined ? '' : ` ${grouping.without ? 'without' : 'by'} (${grouping.labels.join(',')})`;
}

/** `/ on (a) group_left (b)`: what stands between the operands. Loki puts a space for the grouping even if there is none. */
function printOperator({ op, returnBool, matching }: BinaryOperation): string {
  const words: string[] = [op];
  if (returnBool) words.push('bool');
  if (matching !== undefined) {
    words.push(matching.on ? 'on' : 'ignoring', `(${matching.labels.join(',')})`);
    words.push(matching.card === 'one_to_one' ? '' : matching.card === 'many_to_one' ? 'group_left' : 'group_right');
    if (matching.include.length > 0) words.push(`(${matching.include.join(',')})`);
  }
  return words.join(' ');
}

/** The arguments of label_replace behind the first. */
export function printReplacement(expr: { target: string; replacement: string; source: string; pattern: string }): string[] {
  return [expr.target, expr.replacement, expr.source, expr.pattern].map(quoteGo);
}

/** LogQL has no literal for what folding may yield, so what folds to it stands for it. */
function printLiteral(value: number): string {
  if (Number.isNaN(value)) return '(0 / 0)';
  return Number.isFinite(value) ? printNumber(value) : `(${value > 0 ? '' : '-'}2 ^ 1025)`;
}

/** Six decimals, unless they would say another number. */
function printVectorValue(value: number): string {
  return Number(value.toFixed(6)) === value ? value.toFixed(6) : printNumber(value);
}
