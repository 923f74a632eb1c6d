import { setTimeout as sleep } from 'node:timers/promises';
import { compressSync } from 'snappy';
import { entry, pushBodyOf } from './bodies.ts';
import { changed, Masks, type OpenBody, opened } from './copies.ts';
import { lineMaker } from './corpus.ts';
import { pushOne } from './load.ts';
import { cpuSeconds, median, p99, round } from './measure.ts';
import { systemKinds } from './systems.ts';

const STREAMS = 30;
const BODIES = 200;

export interface Rate {
  /** Of lines, in one push. */
  readonly pushBytes: number;
  readonly mbPerS: number;
}

/** One push of a steady load. */
export interface Push {
  /** After the first. */
  readonly dueMs: number;
  /** From when it was due. */
  readonly tookMs: number;
}

/** Pushes at fixed times, until told to stop; all are accepted in the end. */
export async function steadyPushes(url: string, { pushBytes, mbPerS }: Rate, signal: AbortSignal): Promise<Push[]> {
  const startS = Math.floor(Date.now() / 1_000);
  const everyMs = pushBytes / 1e3 / mbPerS;
  const bodies = makeBodies(startS, pushBytes);
  const started = performance.now();
  const pushes: Promise<Push>[] = [];
  for (let dueMs = 0; !signal.aborted; dueMs += everyMs) {
    await sleep(Math.max(0, started + dueMs - performance.now()));
    const body = compressSync(changed(bodies[pushes.length % bodies.length], Masks.random(), Math.floor(dueMs / 1_000)));
    pushes.push(
      pushOne(systemKinds.loki, url, body).then((outcome) => {
        if (typeof outcome === 'string') throw new Error(outcome);
        return { dueMs, tookMs: performance.now() - started - dueMs };
      }),
    );
  }
  return Promise.all(pushes);
}

export const WARM_MS = 5_000;

/** Tells what pushes at a steady rate cost all of the processes together, and how long they take. `beside`: a process that is told of apart. */
export async function steadyCost(
  what: string,
  url: string,
  pids: () => readonly number[],
  { rate, seconds, beside = [] }: { readonly rate: Rate; readonly seconds: number; readonly beside?: readonly number[] },
): Promise<void> {
  const stop = new AbortController();
  const pushing = steadyPushes(url, rate, stop.signal);
  await sleep(WARM_MS);
  const [before, besideBefore] = [cpuSeconds(pids()), cpuSeconds(beside)];
  await sleep(seconds * 1_000);
  const [cpuS, besideS] = [cpuSeconds(pids()) - before, cpuSeconds(beside) - besideBefore];
  stop.abort();
  const counted = (await pushing).filter(({ dueMs }) => dueMs >= WARM_MS).map(({ tookMs }) => tookMs);
  const gb = (seconds * rate.mbPerS) / 1e3;
  const broker = beside.length === 0 ? '' : ` and ${round(besideS / gb)} of brokers`;
  console.log(
    `${what}: ${round(cpuS / gb)} CPU s per GB${broker}; p50 ${round(median(counted))} ms, p99 ${p99(counted)} ms of ${counted.length} pushes`,
  );
}

/** Made before the pushes begin. Each time one is pushed, it gets other ids and the time of that second. */
function makeBodies(startS: number, pushBytes: number): OpenBody[] {
  const line = lineMaker(2);
  const time = new Date(startS * 1_000).toISOString();
  return Array.from({ length: BODIES }, (_, body) => {
    const streams = new Map<string, Buffer[]>();
    for (let size = 0, index = 0; size < pushBytes; index++) {
      const text = line(index % 3, time);
      const labels = `{app="steady", stream="${index % STREAMS}"}`;
      const entries = streams.get(labels) ?? [];
      streams.set(labels, entries);
      entries.push(entry(startS * 1_000 + body, text));
      size += text.length;
    }
    return opened(pushBodyOf(streams));
  });
}

/** Bodies of so many bytes of lines together, one after the other in time. */
export function* bodiesOf(bytes: number, pushBytes: number): Generator<Buffer> {
  const startS = Math.floor(Date.now() / 1_000);
  const bodies = makeBodies(startS, pushBytes);
  for (let sent = 0; sent < bytes; sent += pushBytes) {
    const number = sent / pushBytes;
    yield compressSync(changed(bodies[number % bodies.length], Masks.random(), Math.floor(number / bodies.length)));
  }
}
