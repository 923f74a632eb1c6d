import { Fault } from '../../ops/base/fault.ts';
import { type Labels, labelValue, toLabels } from '../model.ts';
import { type CompiledRegex, compileRegex } from '../pipeline/regex.ts';
import type { LabelReplace } from '../syntax/ast.ts';
import type { Matrix } from './matrix.ts';

/** Longest value that references may make. */
const MOST_BYTES = 1024 * 1024;

/** Gives every series whose source label fits the pattern a target label; an empty one is taken away. */
export function replaceLabels(expr: LabelReplace, { steps, series }: Matrix): Matrix {
  const regex = compileRegex(expr.pattern, { anchored: true, dotNewline: false });
  return {
    steps,
    series: series.map((one) => {
      const { labels } = one;
      const value = replacement(expr, regex, labels);
      return value === undefined
        ? one
        : one.relabelled(toLabels([...labels.filter(([name]) => name !== expr.target), [expr.target, value]]));
    }),
  };
}

function replacement(expr: LabelReplace, regex: CompiledRegex, labels: Labels): string | undefined {
  const source = Buffer.from(labelValue(labels, expr.source));
  const captures = regex.captures(source, 0, source.length);
  if (captures === undefined) return undefined;
  let bytes = expr.replacement.length;
  return expand(expr.replacement, (reference) => {
    const group = /^\d+$/.test(reference) ? Number(reference) : regex.names.indexOf(reference);
    const from = captures[group * 2] ?? -1;
    if (from < 0) return '';
    bytes += captures[group * 2 + 1] - from;
    if (bytes > MOST_BYTES) throw new Fault('limit_exceeded', `label_replace makes a value of more than ${MOST_BYTES} bytes`);
    return source.toString('utf8', from, captures[group * 2 + 1]);
  });
}

/** Go's template of a replacement: `$1`, `$name` (the longest run of word characters), `${1}`, `$$`. Other dollars stand for themselves. */
function expand(template: string, resolve: (reference: string) => string): string {
  return template.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (whole, plain?: string, braced?: string) => {
    const reference = plain ?? braced;
    return reference === undefined ? whole[0] : resolve(reference);
  });
}
