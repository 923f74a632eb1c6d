import { formatLabels, type Labels } from '../model.ts';
import type { Grouping, VectorAggregation, VectorOp } from '../syntax/ast.ts';
import { groupLabels } from './grouping.ts';
import { emptySeries, type Matrix, positionAt, type Series, stepsOf } from './matrix.ts';
import { STEP_ITEMS, type Steps } from './steps.ts';

/** A vector aggregation over its operand. Sorting leaves a matrix as it is: only an instant answer has an order. */
export function* aggregate({ op, parameter, grouping }: VectorAggregation, inner: Matrix): Steps<Matrix> {
  const { steps } = inner;
  switch (op) {
    case 'sort':
    case 'sort_desc':
      return inner;
    case 'topk':
    case 'bottomk':
    case 'approx_topk':
      return { steps, series: yield* eachGroup(inner, grouping, ({ members }) => selectBest(members, parameter ?? 0, op === 'bottomk')) };
    default:
      return { steps, series: yield* eachGroup(inner, grouping, ({ labels, members }) => [FOLDS[op](labels, members)]) };
  }
}

function* eachGroup(inner: Matrix, grouping: Grouping | undefined, make: (group: Group) => Series[]): Steps<Series[]> {
  const series: Series[] = [];
  let done = 0;
  for (const group of yield* groupsOf(inner, grouping)) {
    for (const one of make(group)) series.push(one);
    done += group.members.length;
    if (done < STEP_ITEMS) continue;
    done = 0;
    yield;
  }
  return series;
}

interface Group {
  readonly labels: Labels;
  readonly members: Series[];
}

function* groupsOf({ series }: Matrix, grouping: Grouping | undefined): Steps<Group[]> {
  const groups = new Map<string, Group>();
  for (const [index, one] of series.entries()) {
    if (index % STEP_ITEMS === STEP_ITEMS - 1) yield;
    const labels = grouping === undefined ? [] : groupLabels(one.labels, grouping);
    const text = formatLabels(labels);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, { labels, members: [one] });
    else group.members.push(one);
  }
  return [...groups.values()];
}

type Fold = (labels: Labels, members: readonly Series[]) => Series;

/** Folds the values of each step, in the order of the series. `counts`: how many values the step had before. */
function folding(add: (out: Float64Array, at: number, value: number, count: number) => void): Fold {
  return (labels, members) => {
    const { from, to } = stepsOf(members);
    const out = emptySeries(labels, from, to);
    const counts = new Uint32Array(to - from);
    for (const member of members) {
      const { values, present, start, end } = member;
      const shift = member.from - from - start;
      for (let at = start; at < end; at++) {
        if (present[at] === 0) continue;
        out.present[shift + at] = 1;
        add(out.values, shift + at, values[at], counts[shift + at]++);
      }
    }
    return out;
  };
}

/** Population variance by Welford's algorithm, then `finish`. */
function spread(finish: (variance: number) => number): Fold {
  return (labels, members) => {
    const { from, to } = stepsOf(members);
    const out = emptySeries(labels, from, to);
    for (let step = from; step < to; step++) {
      let count = 0;
      let mean = 0;
      let squares = 0;
      for (const member of members) {
        const at = positionAt(member, step);
        if (at < 0) continue;
        const value = member.values[at];
        if (++count === 1) {
          mean = value; // the first has no variance, infinite or not
          continue;
        }
        const delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
      }
      if (count === 0) continue;
      out.present[step - from] = 1;
      out.values[step - from] = finish(squares / count);
    }
    return out;
  };
}

const FOLDS: { [K in Exclude<VectorOp, 'sort' | 'sort_desc' | 'topk' | 'bottomk' | 'approx_topk'>]: Fold } = {
  sum: folding((out, at, value) => {
    out[at] += value;
  }),
  avg: folding((out, at, value, count) => {
    out[at] += Number.isFinite(out[at]) && Number.isFinite(value) ? (value - out[at]) / (count + 1) : value;
  }),
  count: folding((out, at, _value, count) => {
    out[at] = count + 1;
  }),
  max: folding((out, at, value, count) => {
    if (count === 0 || value > out[at] || Number.isNaN(out[at])) out[at] = value;
  }),
  min: folding((out, at, value, count) => {
    if (count === 0 || value < out[at] || Number.isNaN(out[at])) out[at] = value;
  }),
  stddev: spread(Math.sqrt),
  stdvar: spread((variance) => variance),
};

/** The `k` series with the largest (or smallest) value at each step; of equal values the one that comes first. NaN is worse than any number. */
function selectBest(members: readonly Series[], k: number, smallest: boolean): Series[] {
  const { from, to } = stepsOf(members);
  const shown = members.map(({ length }) => new Uint8Array(length));
  const best: number[] = []; // indices of members, best first
  const values: number[] = [];
  const better = (a: number, b: number): boolean => (smallest ? a < b : a > b) || (Number.isNaN(b) && !Number.isNaN(a));
  for (let step = from; step < to; step++) {
    best.length = 0;
    values.length = 0;
    for (let member = 0; member < members.length; member++) {
      const at = positionAt(members[member], step);
      if (at < 0) continue;
      const value = members[member].values[at];
      if (best.length === k && !better(value, values[k - 1])) continue;
      let rank = best.length === k ? k - 1 : best.length;
      for (; rank > 0 && better(value, values[rank - 1]); rank--) {
        best[rank] = best[rank - 1];
        values[rank] = values[rank - 1];
      }
      best[rank] = member;
      values[rank] = value;
    }
    for (const member of best) shown[member][step - members[member].from] = 1;
  }
  return members.flatMap((member, index) => {
    if (!shown[index].includes(1)) return [];
    return [member.with(member.values.slice(member.start, member.end), shown[index])];
  });
}
