import { Fault } from '../../ops/base/fault.ts';
import { formatLabels, type Labels, labelValue, toLabels } from '../model.ts';
import type { BinaryOp, BinaryOperation, VectorMatching } from '../syntax/ast.ts';
import { arithmeticOf, comparisonOf, isSetOp, type SetOp } from '../syntax/fold.ts';
import { groupLabels } from './grouping.ts';
import { emptySeries, isEmpty, type Matrix, positionAt, type Series, stepsOf } from './matrix.ts';
import { STEP_ITEMS, type Steps } from './steps.ts';

const NO_LABELS = formatLabels([]);
const ONE_TO_ONE: VectorMatching = { on: false, labels: [], card: 'one_to_one', include: [] };

/** An operator with a number on one side: applied to every value. A comparison keeps the series' values where it holds, or says 1 or 0 with `bool`. */
export function applyNumber(expr: BinaryOperation, { steps, series }: Matrix, number: number, numberIsLeft: boolean): Matrix {
  const combine = combinerOf(expr.op, expr.returnBool);
  const out = series.map((one) => {
    const { start, end } = one;
    const result = one.with(new Float64Array(one.length), new Uint8Array(one.length));
    for (let at = start; at < end; at++) {
      if (one.present[at] === 0) continue;
      const value = numberIsLeft ? combine(number, one.values[at], one.values[at]) : combine(one.values[at], number, one.values[at]);
      if (value === undefined) continue;
      result.present[at - start] = 1;
      result.values[at - start] = value;
    }
    return result;
  });
  return { steps, series: out.filter((one) => !isEmpty(one)) };
}

/** The value of an operator, or undefined where a comparison drops it; otherwise a comparison that holds gives `kept`. */
type Combiner = (left: number, right: number, kept: number) => number | undefined;

function combinerOf(op: BinaryOp, returnBool: boolean): Combiner {
  const compare = comparisonOf(op);
  if (compare === undefined) return arithmeticOf(op)!;
  if (returnBool) return (left, right) => Number(compare(left, right));
  return (left, right, kept) => (compare(left, right) ? kept : undefined);
}

/** An operator between two sets of series, matched by labels at every step. Throws Fault bad_request where a match is ambiguous. */
export function* applyMatched(expr: BinaryOperation, left: Matrix, right: Matrix): Steps<Matrix> {
  const matching = expr.matching ?? ONE_TO_ONE;
  const series = isSetOp(expr.op) ? yield* combineSets(expr.op, matching, left, right) : yield* matchSeries(expr, matching, left, right);
  return { steps: left.steps, series: series.filter((one) => !isEmpty(one)) };
}

function signature(series: Series, { on, labels: names }: VectorMatching): string {
  if (names.length === 0) {
    if (on) return NO_LABELS;
    if (!series.text.includes('=""')) return series.text; // an empty label is none; within values quotes are escaped
  }
  return formatLabels(groupLabels(series.labels, { without: !on, labels: names }));
}

function* bySignature(series: readonly Series[], matching: VectorMatching): Steps<Map<string, Series[]>> {
  const groups = new Map<string, Series[]>();
  for (const [index, one] of series.entries()) {
    if (index % STEP_ITEMS === STEP_ITEMS - 1) yield;
    const key = signature(one, matching);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}

// --- and, or, unless ----------------------------------------------------------------------------------------------------------------------------------

function* combineSets(op: SetOp, matching: VectorMatching, left: Matrix, right: Matrix): Steps<Series[]> {
  if (op !== 'or') {
    const others = yield* bySignature(right.series, matching);
    return yield* keptOf(left, others, matching, op === 'and');
  }
  const lefts = yield* bySignature(left.series, matching);
  const added = yield* keptOf(right, lefts, matching, false);
  return joinEqual([...left.series, ...added]);
}

function* keptOf({ series }: Matrix, others: ReadonlyMap<string, Series[]>, matching: VectorMatching, wanted: boolean): Steps<Series[]> {
  const kept: Series[] = [];
  for (const one of series) {
    kept.push(keepWhere(one, others.get(signature(one, matching)) ?? [], wanted));
    if (kept.length % STEP_ITEMS === 0) yield;
  }
  return kept;
}

/** `series` at the steps where any of `others` has a value (or none of them, if not `wanted`). */
function keepWhere(series: Series, others: readonly Series[], wanted: boolean): Series {
  const { start, end } = series;
  const present = series.present
    .slice(start, end)
    .map((is, at) => (is === 1 && others.some((other) => positionAt(other, series.from + at) >= 0) === wanted ? 1 : 0));
  return series.with(series.values.slice(start, end), present);
}

/** Series of equal labels, whose values are at different steps, made one. */
function joinEqual(all: readonly Series[]): Series[] {
  const byText = new Map<string, Series[]>();
  for (const one of all) {
    if (isEmpty(one)) continue;
    const same = byText.get(one.text);
    if (same === undefined) byText.set(one.text, [one]);
    else same.push(one);
  }
  return [...byText.values()].map((same) => {
    if (same.length === 1) return same[0];
    const { from, to } = stepsOf(same);
    const out = emptySeries(same[0].labels, from, to);
    for (const one of same) {
      const shift = one.from - from - one.start;
      for (let at = one.start; at < one.end; at++) {
        if (one.present[at] === 0) continue;
        out.present[shift + at] = 1;
        out.values[shift + at] = one.values[at];
      }
    }
    return out;
  });
}

// --- arithmetic and comparisons -----------------------------------------------------------------------------------------------------------------------

function* matchSeries(expr: BinaryOperation, matching: VectorMatching, left: Matrix, right: Matrix): Steps<Series[]> {
  // The side with at most one series of a signature at a step is called "one", the other "many".
  const swapped = matching.card === 'one_to_many';
  const [many, one] = swapped ? [right, left] : [left, right];
  const ones = yield* bySignature(one.series, matching);
  const outputs = new Outputs(left.steps);
  const combine = combinerOf(expr.op, expr.returnBool);
  for (const partners of ones.values()) refuseTwo(partners, swapped ? 'left' : 'right');
  let done = 0;
  for (const [key, members] of yield* bySignature(many.series, matching)) {
    if (++done % STEP_ITEMS === 0) yield;
    const partners = ones.get(key);
    if (partners === undefined) continue;
    const { from, to } = stepsOf(members);
    for (let step = from; step < to; step++) {
      const partner = partners.find((one) => positionAt(one, step) >= 0);
      if (partner === undefined) continue;
      const other = partner.values[positionAt(partner, step)];
      let matched = 0;
      for (const member of members) {
        const at = positionAt(member, step);
        if (at < 0) continue;
        if (++matched > 1 && matching.card === 'one_to_one') {
          throw new Fault('bad_request', 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)');
        }
        const [l, r] = swapped ? [other, member.values[at]] : [member.values[at], other];
        const value = combine(l, r, l);
        outputs.set(member, partner, matching, step, value);
      }
    }
  }
  return outputs.series();
}

/** Throws Fault bad_request if two of the series have a value at one step, whether or not the other side has one to match. */
function refuseTwo(partners: readonly Series[], side: string): void {
  if (partners.length < 2) return;
  const { from, to } = stepsOf(partners);
  for (let step = from; step < to; step++) {
    const first = partners.find((one) => positionAt(one, step) >= 0);
    const second = partners.find((one) => one !== first && positionAt(one, step) >= 0);
    if (first === undefined || second === undefined) continue;
    throw new Fault(
      'bad_request',
      `found duplicate series on the ${side} hand-side of the operation: [${first.text}, ${second.text}];` +
        'many-to-many matching not allowed: matching labels must be unique on one side',
    );
  }
}

interface Output {
  readonly series: Series;
  /** 1 at the steps that had a match. */
  readonly matched: Uint8Array;
}

/** The series that matches yield, by labels. */
class Outputs {
  readonly #steps: number;
  readonly #byText = new Map<string, Output>();
  readonly #byPair = new Map<Series, Map<Series, Output>>();

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Without a value where the operator dropped it: to be the only match of its labels goes for it too. */
  set(member: Series, partner: Series, matching: VectorMatching, step: number, value: number | undefined): void {
    let ofMember = this.#byPair.get(member);
    if (ofMember === undefined) {
      ofMember = new Map();
      this.#byPair.set(member, ofMember);
    }
    let output = ofMember.get(partner);
    if (output === undefined) {
      output = this.#create(resultLabels(member.labels, partner.labels, matching));
      ofMember.set(partner, output);
    }
    const { series, matched } = output;
    if (matched[step] === 1) {
      throw new Fault('bad_request', `multiple matches for labels: grouping labels must ensure unique matches for ${series.text}`);
    }
    matched[step] = 1;
    if (value === undefined) return;
    series.present[step] = 1;
    series.values[step] = value;
  }

  #create(labels: Labels): Output {
    const series = emptySeries(labels, 0, this.#steps);
    const known = this.#byText.get(series.text);
    if (known !== undefined) return known;
    const output = { series, matched: new Uint8Array(this.#steps) };
    this.#byText.set(series.text, output);
    return output;
  }

  series(): Series[] {
    return [...this.#byText.values()].map(({ series }) => series);
  }
}

function resultLabels(member: Labels, partner: Labels, { on, labels, card, include }: VectorMatching): Labels {
  if (card === 'one_to_one') return groupLabels(member, { without: !on, labels });
  if (include.length === 0) return member;
  const kept = member.filter(([name]) => !include.includes(name));
  return toLabels([...kept, ...include.map((name) => [name, labelValue(partner, name)] as const)]);
}
