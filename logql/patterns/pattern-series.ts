/** How often lines of a pattern and level were seen. */
export interface PatternSeries {
  readonly pattern: string;
  readonly level: string;
  /** Counts by time, milliseconds since the epoch. */
  readonly samples: ReadonlyMap<number, number>;
}

/** As it travels: plain data. */
export interface PatternFrame {
  readonly pattern: string;
  readonly level: string;
  readonly times: readonly number[];
  readonly counts: readonly number[];
}

export function toFrame({ pattern, level, samples }: PatternSeries): PatternFrame {
  return { pattern, level, times: [...samples.keys()], counts: [...samples.values()] };
}

export function fromFrame({ pattern, level, times, counts }: PatternFrame): PatternSeries {
  return { pattern, level, samples: new Map(times.map((timeMs, index) => [timeMs, counts[index]])) };
}

/** Equal patterns of equal level added up. */
export function sumSeries(all: readonly PatternSeries[]): PatternSeries[] {
  const sums = new Map<string, PatternSeries & { readonly samples: Map<number, number> }>();
  for (const { pattern, level, samples } of all) {
    const key = `${level}\0${pattern}`;
    let sum = sums.get(key);
    if (sum === undefined) {
      sum = { pattern, level, samples: new Map() };
      sums.set(key, sum);
    }
    for (const [timeMs, count] of samples) sum.samples.set(timeMs, (sum.samples.get(timeMs) ?? 0) + count);
  }
  return [...sums.values()];
}

/** Fewer lines than this are no pattern. */
const MIN_LINES = 30;
const MOST_PATTERNS = 300;

/** The patterns of an answer, those of most lines first. */
export function ranked(all: readonly PatternSeries[]): PatternSeries[] {
  const totals = all.map((series) => ({ series, lines: [...series.samples.values()].reduce((sum, count) => sum + count, 0) }));
  return totals
    .filter(({ lines }) => lines >= MIN_LINES)
    .sort((a, b) => b.lines - a.lines || (a.series.pattern < b.series.pattern ? -1 : 1))
    .slice(0, MOST_PATTERNS)
    .map(({ series }) => series);
}

/** The body of an answer; times in seconds. */
export function patternsBody(series: readonly PatternSeries[], warnings: readonly string[]): Uint8Array[] {
  const data = series.map(({ pattern, level, samples }) => ({
    pattern,
    level,
    samples: [...samples].sort(([a], [b]) => a - b).map(([timeMs, count]) => [timeMs / 1_000, count]),
  }));
  return [Buffer.from(JSON.stringify({ status: 'success', ...(warnings.length > 0 && { warnings }), data }))];
}
