import { readFileSync } from 'node:fs';

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

const TICKS_PER_S = 100;

/** CPU time of processes, since they began. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_S;
}
