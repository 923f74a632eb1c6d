import type { Labels } from '../model.ts';

/** A JSON object of label names and values, in the order of the labels. */
export function labelsJson(labels: Labels): string {
  return `{${labels.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
}
