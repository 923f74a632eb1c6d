import type { BinaryOp } from './ast.ts';

const COMPARE: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
};
const COMPUTE: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => (right === 0 ? Number.NaN : left / right),
  '%': (left, right) => left % right,
  '^': power,
};

/** As IEEE 754's pow, which JavaScript leaves in one point: 1 to any power is 1, NaN and infinities included. */
function power(left: number, right: number): number {
  return left === 1 || (left === -1 && !Number.isFinite(right) && !Number.isNaN(right)) ? 1 : left ** right;
}

export type SetOp = 'or' | 'and' | 'unless';

export function isSetOp(op: BinaryOp): op is SetOp {
  return op === 'or' || op === 'and' || op === 'unless';
}

/** The test of a comparison; undefined for other operators. */
export function comparisonOf(op: BinaryOp): ((left: number, right: number) => boolean) | undefined {
  return COMPARE[op];
}

/** The arithmetic of an operator; undefined for comparisons and set operators. */
export function arithmeticOf(op: BinaryOp): ((left: number, right: number) => number) | undefined {
  return COMPUTE[op];
}

/** The value of an operator between two numbers; a comparison gives 1 or 0. Wants no set operator. */
export function foldNumbers(op: BinaryOp, left: number, right: number): number {
  const compare = comparisonOf(op);
  return compare === undefined ? COMPUTE[op](left, right) : Number(compare(left, right));
}
