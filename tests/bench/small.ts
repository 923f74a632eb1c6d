import { setTimeout as sleep } from 'node:timers/promises';
import { get, mustPush, nowNs } from '../support/client.ts';
import { goal, median, p99, timed } from './measure.ts';

/** How long small queries and small pushes take: 99 of 100 are done in that time. */
export interface Latency {
  readonly queryMs: number;
  readonly pushMs: number;
}

/** Of each, in a run. */
export const SMALL_QUERIES = 300;
/** Between small queries, as a dashboard leaves. */
const PAUSE_MS = 5;
/** Beside others, small ones may take so many times as long, or this long. */
const MOST_RATIO = 5;
const MOST_MS = 50;

/** What small queries ask for; lasts an hour. */
export async function pushSmall(url: string): Promise<void> {
  const values = Array.from({ length: 1_000 }, (_, at): [string, string] => [String(nowNs() - BigInt(at) * 1_000n), `n=${at}`]);
  await mustPush(url, [{ stream: { app: 'small' }, values }]);
}

/** One run of small queries and pushes, in turn. */
export async function smallLatency(url: string): Promise<Latency> {
  const queries: number[] = [];
  const pushes: number[] = [];
  for (let index = 0; index < SMALL_QUERIES; index++) {
    queries.push(await timed(() => smallQuery(url)));
    pushes.push(await timed(() => smallPush(url)));
    await sleep(PAUSE_MS);
  }
  return { queryMs: p99(queries), pushMs: p99(pushes) };
}

export function medianLatency(runs: readonly Latency[]): Latency {
  return { queryMs: median(runs.map(({ queryMs }) => queryMs)), pushMs: median(runs.map(({ pushMs }) => pushMs)) };
}

/** Prints both, and fails the process if small ones take too long beside others. */
export function checkLatencies(idle: Latency, beside: Latency, when: string): void {
  for (const what of ['queryMs', 'pushMs'] as const) {
    const limit = Math.max(MOST_RATIO * idle[what], MOST_MS);
    goal(`${what}: p99 ${idle[what]} ms idle, ${beside[what]} ms ${when}, limit ${limit.toFixed(1)} ms`, beside[what] <= limit);
  }
}

async function smallQuery(url: string): Promise<void> {
  const { status, text } = await get(url, '/loki/api/v1/query_range', { query: '{app="small"} |= "n=1"', since: '1h', limit: '10' });
  if (status !== 200 || !text.includes('n=1')) throw new Error(`small query: ${status} ${text.slice(0, 300)}`);
}

async function smallPush(url: string): Promise<void> {
  await mustPush(url, [{ stream: { app: 'pushed' }, values: [[String(nowNs()), 'hello']] }]);
}
