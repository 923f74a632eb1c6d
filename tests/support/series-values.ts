import { positionAt, type Series } from '../../logql/engine/matrix.ts';

/** The values of a series by step; undefined where it has none. */
export function valuesOf(series: Series, steps: number): (number | undefined)[] {
  return Array.from({ length: steps }, (_, step) => {
    const at = positionAt(series, step);
    return at < 0 ? undefined : series.values[at];
  });
}
