import type { Labels } from '../model.ts';
import type { Leaf } from '../plan.ts';
import type { Grouping } from '../syntax/ast.ts';

/** Which of an entry's labels name its series. */
export type SeriesLabels =
  | { readonly kind: 'all' }
  | { readonly kind: 'by'; readonly names: readonly string[] }
  | { readonly kind: 'without'; readonly names: readonly string[] };

/** The labels that a leaf's series keep. An unwrapped label is a sample, not a name, unless it is asked for. */
export function seriesLabelsOf({ range, sum }: Leaf): SeriesLabels {
  if (range.op === 'absent_over_time') return { kind: 'by', names: [] };
  const grouping = sum ?? range.grouping;
  const unwrapped = range.unwrap === undefined ? [] : [range.unwrap.label];
  if (grouping === undefined) return unwrapped.length === 0 ? { kind: 'all' } : { kind: 'without', names: unwrapped };
  return grouping.without ? { kind: 'without', names: [...grouping.labels, ...unwrapped] } : { kind: 'by', names: grouping.labels };
}

/** The labels that a grouping leaves of a series; those with a value if it says which to leave out. */
export function groupLabels(labels: Labels, grouping: Grouping | undefined): Labels {
  if (grouping === undefined) return [];
  if (!grouping.without) return labels.filter(([name]) => grouping.labels.includes(name));
  return labels.filter(([name, value]) => value !== '' && !grouping.labels.includes(name));
}

export function keepLabels(labels: Labels, keep: SeriesLabels): Labels {
  if (keep.kind === 'all') return labels;
  const wanted = keep.kind === 'by';
  return labels.filter(([name]) => keep.names.includes(name) === wanted);
}
