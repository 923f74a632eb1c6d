/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The smallest of the values that this share of them does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const p99 = (values: readonly number[]): number => round(percentile(values, 0.99));
export const median = (values: readonly number[]): number => percentile(values, 0.5);

export const round = (value: number): number => Math.round(value * 10) / 10;
/** 10^6 bytes. */
export const mb = (bytes: number): number => round(bytes / 1e6);

/** Prints what was to be and whether it is; a goal that is missed fails the process. */
export function goal(what: string, isKept: boolean): void {
  console.log(`${what}: ${isKept ? 'kept' : 'MISSED'}`);
  if (!isKept) process.exitCode = 1;
}
