// Pushes while storage is compacted: npm run bench -- --compaction [--mib 256] [--runs 5] [--mb-per-s 5] [--push-kb 100] [--seconds 60]
// The corpus is stored once without being compacted. Each run starts a server on a copy of that and pushes at a steady rate, from when the compactor begins until it
// has nothing left to do, or for so many seconds; then another server on another copy, which does not compact, is pushed to for as long. A push counts from when it was due, whether the ones
// before it are answered or not. Of the medians over the runs, the p99 with compaction may be 1.5 times the one without.
import { cp, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { metric } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { readBodies } from './bodies.ts';
import { cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { COMPACTING, COMPACTIONS_METRIC, DUE_METRIC, flush, NOT_COMPACTING, pushAll, told } from './load.ts';
import { goal, mb, median, p99, percentile, round } from './measure.ts';
import { steadyPushes } from './steady.ts';

const { values: options } = parseArgs({
  options: {
    compaction: { type: 'boolean' },
    mib: { type: 'string', default: '256' },
    runs: { type: 'string', default: '5' },
    'mb-per-s': { type: 'string', default: '5' },
    'push-kb': { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
  },
});
const runs = Number(options.runs);
const pushBytes = Number(options['push-kb']) * 1e3;
const rate = { pushBytes, mbPerS: Number(options['mb-per-s']) };

const MOST_RATIO = 1.5;
const MOST_P50_MS = 100;
/** The compactor begins about this long after its start; until then pushes warm the server up and do not count. */
const INTERVAL_MS = 8_000;
const LOOK_MS = 200;
/** A compactor that has not begun by then has nothing to do, or had done it between two looks. */
const BEGINS_WITHIN_MS = 20_000;
const longestMs = Number(options.seconds) * 1_000;

const WITH = [...LIFTED, ...COMPACTING, `-compactor.compaction-interval=${INTERVAL_MS}ms`, '-compactor.deletion-delay=15m'];
const WITHOUT = [...LIFTED, ...NOT_COMPACTING];

/** Milliseconds after the first push. */
interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether the compactor had nothing left to do at the end. */
  readonly isDone: boolean;
}

interface Run {
  readonly window: Window;
  /** What pushes within the window took. */
  readonly pushes: readonly number[];
  readonly compactions: number;
}

const folder = cacheFolder(`corpus${options.mib}`);
const corpus = corpusIn(folder, Number(options.mib));
await using scratch = await mkdtempDisposable(join(tmpdir(), 'millrace-bench-'));
const stored = join(scratch.path, 'stored');
await store();
console.log(`${told(corpus)} to compact; ${runs} runs of pushes of ${options['push-kb']} KB of lines, ${options['mb-per-s']} MB/s`);
const [withs, withouts]: [Run[], Run[]] = [[], []];
for (let run = 0; run < runs; run++) {
  const compacting = await measure(WITH, untilCompacted);
  const quiet = await measure(WITHOUT, (url) => wait(url, compacting.window));
  if (quiet.compactions > 0) throw new Error(`${quiet.compactions} compactions where there was to be none`);
  withs.push(compacting);
  withouts.push(quiet);
  const pushesOf = ({ pushes }: Run): string => `p50 ${round(median(pushes))} ms, p99 ${p99(pushes)} ms of ${pushes.length} pushes`;
  const ending = compacting.window.isDone ? 'all done' : 'not all done';
  console.log(`run ${run + 1}: ${compacting.compactions} compactions, ${ending} in ${round(lengthOf(compacting) / 1e3)} s`);
  console.log(`run ${run + 1}: with ${pushesOf(compacting)}, without ${pushesOf(quiet)}`);
}
const done = withs.filter(({ window }) => window.isDone);
const took = done.length === 0 ? `was not done in ${options.seconds} s` : `took a median of ${round(median(done.map(lengthOf)) / 1e3)} s`;
console.log(`compaction of ${mb(corpus.bytes)} MB of lines beside pushes ${took}`);
const quietP50 = median(withouts.flatMap(({ pushes }) => pushes));
goal(`p50 without compaction ${round(quietP50)} ms, at most ${MOST_P50_MS} ms: this machine takes the rate`, quietP50 <= MOST_P50_MS);
goal(
  'in each run with the compactor a compaction ended',
  withs.every(({ compactions }) => compactions > 0),
);
const [one, other] = [withs, withouts].map((side) => median(side.map(({ pushes }) => percentile(pushes, 0.99))));
goal(`p99 of pushes ${round(one)} ms with compaction, ${round(other)} ms without, at most ${MOST_RATIO} times`, one <= MOST_RATIO * other);

function lengthOf({ window }: Run): number {
  return window.toMs - window.fromMs;
}

/** Leaves the corpus in level 0. */
async function store(): Promise<void> {
  await using server = await TestServer.start({ dataDir: stored, flags: WITHOUT });
  await pushAll(server.url, readBodies(folder));
  await flush(server.url);
  await server.stop(60_000);
}

/** Pushes to a server on a copy of what is stored, until `until` tells which of the pushes count. */
async function measure(flags: readonly string[], until: (url: string) => Promise<Window>): Promise<Run> {
  await using copy = await mkdtempDisposable(join(tmpdir(), 'millrace-bench-'));
  await cp(stored, copy.path, { recursive: true });
  await using server = await TestServer.start({ dataDir: copy.path, flags });
  const stop = new AbortController();
  const pushing = steadyPushes(server.url, rate, stop.signal);
  const window = await until(server.url).finally(() => stop.abort());
  const pushes = (await pushing).filter(({ dueMs }) => dueMs >= window.fromMs && dueMs <= window.toMs).map(({ tookMs }) => tookMs);
  return { window, pushes, compactions: await metric(server.url, COMPACTIONS_METRIC) };
}

/** The time in which the compactor works. */
async function untilCompacted(url: string): Promise<Window> {
  const started = performance.now();
  let fromMs: number | undefined;
  for (;;) {
    await sleep(LOOK_MS);
    const due = await metric(url, DUE_METRIC);
    const toMs = performance.now() - started;
    if (fromMs === undefined && due > 0) fromMs = toMs;
    if (fromMs === undefined && toMs > BEGINS_WITHIN_MS) throw new Error('no compaction was seen: a larger --mib takes longer');
    if (fromMs === undefined || (due > 0 && toMs - fromMs < longestMs)) continue;
    return { fromMs, toMs, isDone: due === 0 };
  }
}

/** Lets that time pass, with as many looks. */
async function wait(url: string, window: Window): Promise<Window> {
  const started = performance.now();
  while (performance.now() - started < window.toMs) {
    await sleep(LOOK_MS);
    await metric(url, DUE_METRIC);
  }
  return window;
}
