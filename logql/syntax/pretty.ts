import type { BinaryOperation, Expr, Grouping, LineFilter, LogExpr, RangeAggregation, Stage } from './ast.ts';
import { print, printPredicate, printRangeParameter, printReplacement, printSelector, printStage, printStages } from './print.ts';
import { printSample } from './print-number.ts';
import { printDuration } from './units.ts';

/** Bytes of the longest line that is left whole. */
const WIDTH = 100;
const INDENT = '  ';

/** The text of a query for people, laid out as Loki does: what does not fit a line is broken at its stages, arguments and operators. */
export function prettyPrint(expr: Expr): string {
  return block(expr, '');
}

const fits = (text: string): boolean => Buffer.byteLength(text) <= WIDTH;

/** `expr` with every line indented by `indent`. */
function block(expr: Expr, indent: string): string {
  const whole = print(expr);
  if (fits(whole)) return indent + whole;
  const deeper = indent + INDENT;
  switch (expr.kind) {
    case 'log':
      return logBlock(expr, indent);
    case 'range_aggregation': {
      const parameter = expr.parameter === undefined ? '' : `${deeper}${printRangeParameter(expr.parameter)},\n`;
      return `${indent}${expr.op}(\n${parameter}${rangeBlock(expr, deeper)}\n${indent})${groupingOf(expr.grouping)}`;
    }
    case 'vector_aggregation': {
      const parameter = expr.parameter === undefined ? '' : `${deeper}${printSample(expr.parameter)},\n`;
      return `${indent}${expr.op}${groupingOf(expr.grouping)}(\n${parameter}${block(expr.inner, deeper)}\n${indent})`;
    }
    case 'binary':
      return `${block(expr.left, deeper)}\n${indent}${operatorOf(expr)}\n${block(expr.right, deeper)}`;
    case 'label_replace': {
      const rest = printReplacement(expr).map((argument) => deeper + argument);
      return `${indent}label_replace(\n${[block(expr.inner, deeper), ...rest].join(',\n')}\n${indent})`;
    }
    case 'number':
    case 'vector':
      return indent + whole;
  }
}

function logBlock(expr: LogExpr, indent: string): string {
  if (fits(print(expr))) return indent + print(expr);
  const deeper = indent + INDENT;
  return [indent + printSelector(expr.matchers), ...inGroups(expr.stages).map((stages) => stageBlock(stages, deeper))].join('\n');
}

/** Line filters that follow each other stand together. */
function inGroups(stages: readonly Stage[]): Stage[][] {
  const groups: Stage[][] = [];
  for (const stage of stages) {
    const last = groups.at(-1);
    if (stage.kind === 'line_filter' && last?.[0].kind === 'line_filter') last.push(stage);
    else groups.push([stage]);
  }
  return groups;
}

function stageBlock(stages: readonly Stage[], indent: string): string {
  const [first] = stages;
  if (first.kind === 'decolorize') return printStage(first);
  const whole = printStages(stages);
  if (first.kind !== 'line_filter' || fits(whole)) return indent + whole;
  return stages.map((stage) => indent + printStage({ ...(stage as LineFilter) })).join('\n');
}

function rangeBlock({ log, unwrap, rangeNs, offsetNs }: RangeAggregation, indent: string): string {
  const lines = [logBlock(log, indent)];
  if (unwrap !== undefined) {
    const { label, conversion, filters } = unwrap;
    lines.push(`| unwrap ${conversion === undefined ? label : `${conversion}(${label})`}`);
    lines.push(...filters.map((filter) => `| ${printPredicate(filter)}`));
  }
  const offset = offsetNs === 0 ? '' : ` offset ${printDuration(offsetNs)}`;
  return `${lines.join(`\n${indent}${INDENT}`)} [${printDuration(rangeNs)}]${offset}`;
}

function groupingOf(grouping: Grouping | undefined): string {
  if (grouping === undefined) return '';
  const labels = grouping.labels.length === 0 ? '' : ` (${grouping.labels.join(', ')})`;
  return grouping.without ? ` without${labels}` : labels === '' ? '' : ` by${labels}`;
}

/** `/ on (a) group_left (b)`; without labels to match by, only the operator. */
function operatorOf({ op, returnBool, matching }: BinaryOperation): string {
  const operator = returnBool ? `${op} bool` : op;
  if (matching === undefined || matching.labels.length === 0) return operator;
  const { on, labels, card, include } = matching;
  const group = card === 'one_to_one' ? '' : card === 'many_to_one' ? 'group_left' : 'group_right';
  return `${operator} ${on ? 'on' : 'ignoring'} (${labels.join(', ')}) ${group}${include.length === 0 ? '' : ` (${include.join(', ')})`}`;
}
