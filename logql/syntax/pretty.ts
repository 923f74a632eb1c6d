import type { Expr, LogExpr, RangeAggregation } from './ast.ts';
import {
  print,
  printGrouping,
  printOperator,
  printRangeAggregation,
  printReplacement,
  printSelector,
  printStage,
  printWindow,
} from './print.ts';
import { printNumber } from './print-number.ts';

/** Longest line that is left whole. */
const WIDTH = 100;
const INDENT = '  ';

/** The canonical text of a query for people: what does not fit a line is broken at its stages, arguments and operators. */
export function prettyPrint(expr: Expr): string {
  return block(expr, '');
}

/** `expr` with every line indented by `indent`. */
function block(expr: Expr, indent: string): string {
  const whole = indent + print(expr);
  if (whole.length <= WIDTH) return whole;
  const deeper = indent + INDENT;
  switch (expr.kind) {
    case 'log':
      return logBlock(expr, indent);
    case 'range_aggregation':
      return indent + printRangeAggregation(expr, `\n${rangeBlock(expr, deeper)}\n${indent}`);
    case 'vector_aggregation': {
      const parameter = expr.parameter === undefined ? '' : `${deeper}${printNumber(expr.parameter)},\n`;
      return `${indent}${expr.op}${printGrouping(expr.grouping)}(\n${parameter}${block(expr.inner, deeper)}\n${indent})`;
    }
    case 'binary':
      return `${indent}(\n${block(expr.left, deeper)}\n${indent}${printOperator(expr)}\n${block(expr.right, deeper)}\n${indent})`;
    case 'label_replace': {
      const rest = printReplacement(expr).map((argument) => deeper + argument);
      return `${indent}label_replace(\n${[block(expr.inner, deeper), ...rest].join(',\n')}\n${indent})`;
    }
    case 'number':
    case 'vector':
      return whole;
  }
}

function logBlock({ matchers, stages }: LogExpr, indent: string): string {
  return [indent + printSelector(matchers), ...stages.map((stage) => indent + INDENT + printStage(stage))].join('\n');
}

function rangeBlock(expr: RangeAggregation, indent: string): string {
  const { unwrap, window } = printWindow(expr);
  const lines = [logBlock(expr.log, indent)];
  if (unwrap !== '') lines.push(indent + INDENT + unwrap);
  return [...lines, indent + window].join('\n');
}
