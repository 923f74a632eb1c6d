// Hostile queries beside small ones: npm run bench -- --hostile [--mib 128] [--runs 5]
// Prints how each hostile query ends, the peak of memory, and the p99 of small queries and of pushes with and without hostile ones, as medians of several runs.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { get, mustPush, nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { type Corpus, corpusIn, readBodies } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { systemKinds } from './systems.ts';

const { values: options } = parseArgs({
  options: { hostile: { type: 'boolean' }, mib: { type: 'string', default: '128' }, runs: { type: 'string', default: '5' } },
});
const RUNS = Number(options.runs);
const SMALL_QUERIES = 300;
/** Between small queries, as a dashboard leaves. */
const PAUSE_MS = 5;
const HOSTILE_AT_ONCE = 3;
const MOST_RATIO = 5;
const MOST_MS = 50;

const HOSTILE: readonly [what: string, query: string][] = [
  ['a series for each line', 'count_over_time({app="checkout"} | json [1d])'],
  ['a series for each line, counted', 'count(sum by (traceId) (count_over_time({app="checkout"} | json [1d])))'],
  ['every sample', 'quantile_over_time(0.99, {app="frontend"} | logfmt | unwrap duration(duration) [1d]) by (app)'],
  ['a cross product', 'sum(rate({env="prod"}[1d])) * on() group_left() sum by (traceId) (count_over_time({app="checkout"} | json [1d]))'],
  ['whole lines as labels', 'topk(10, count_over_time({env="prod"} | regexp "(?P<a>.+)" [1d]))'],
  ['a storm of patterns', 'sum(count_over_time({env="prod"} |~ "(.*a){5}.*(x+x+)+y" |~ "([a-z0-9]*[0-9])*z$" [1d]))'],
  ['huge repetitions', 'sum(count_over_time({env="prod"} |~ "(a{1,100}){1,100}" [1d]))'],
  ['templates that grow', 'sum by (x) (count_over_time({env="prod"} | label_format x=`{{ repeat 100000 __line__ }}` [1d]))'],
  ['many leaves', Array.from({ length: 60 }, (_, index) => `count_over_time({env="prod"} |= "${index}" [1d])`).join(' + ')],
];

interface Latency {
  readonly queryMs: number;
  readonly pushMs: number;
}

await using server = await TestServer.start({ flags: [...LIFTED, '-querier.query-timeout=20s', '-querier.max-query-series=500'] });
const folder = fileURLToPath(new URL(`../../.cache/corpus${options.mib}`, import.meta.url));
const corpus = corpusIn(folder, Number(options.mib));
await load(corpus);
const idle = await latencies('idle');
const outcomes = new Map<string, string>();
const stop = new AbortController();
const attackers = Array.from({ length: HOSTILE_AT_ONCE }, (_, index) => attack(index, stop.signal));
const attacked = await latencies('attacked');
stop.abort();
await Promise.all(attackers);
for (const [what] of HOSTILE) console.log(`  ${what}: ${outcomes.get(what) ?? 'not reached'}`);
console.log(`peak memory ${Math.round(server.process.peakMemory() / 1e6)} MB`);
let failed = false;
for (const what of ['queryMs', 'pushMs'] as const) {
  const limit = Math.max(MOST_RATIO * idle[what], MOST_MS);
  const isWithin = attacked[what] <= limit;
  failed ||= !isWithin;
  console.log(
    `${what}: p99 ${idle[what]} ms idle, ${attacked[what]} ms attacked, limit ${limit.toFixed(1)} ms: ${isWithin ? 'kept' : 'MISSED'}`,
  );
}
process.exitCode = failed ? 1 : 0;

async function load({ bytes, lines }: Corpus): Promise<void> {
  for (const body of readBodies(folder)) {
    const response = await systemKinds.loki.push(server.url, body);
    if (!response.ok) throw new Error(`push: ${response.status} ${await response.text()}`);
  }
  await mustPush(server.url, [
    { stream: { app: 'small' }, values: Array.from({ length: 1_000 }, (_, at) => [String(nowNs() - BigInt(at) * 1_000n), `n=${at}`]) },
  ]);
  console.log(`${lines} lines, ${(bytes / 1e6).toFixed(0)} MB; ${RUNS} runs of ${SMALL_QUERIES} small queries and pushes`);
}

/** Medians over the runs of the p99. */
async function latencies(when: string): Promise<Latency> {
  const runs: Latency[] = [];
  for (let run = 0; run < RUNS; run++) {
    const queries: number[] = [];
    const pushes: number[] = [];
    for (let index = 0; index < SMALL_QUERIES; index++) {
      queries.push(await timed(smallQuery));
      pushes.push(await timed(smallPush));
      await sleep(PAUSE_MS);
    }
    runs.push({ queryMs: p99(queries), pushMs: p99(pushes) });
  }
  const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
  const result = { queryMs: median(runs.map(({ queryMs }) => queryMs)), pushMs: median(runs.map(({ pushMs }) => pushMs)) };
  console.log(`${when}: p99 of small queries ${result.queryMs} ms, of pushes ${result.pushMs} ms`);
  return result;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function p99(values: number[]): number {
  return Math.round(values.sort((a, b) => a - b)[Math.floor(values.length * 0.99)] * 10) / 10;
}

async function smallQuery(): Promise<void> {
  const { status, text } = await get(server.url, '/loki/api/v1/query_range', {
    query: '{app="small"} |= "n=1"',
    since: '10m',
    limit: '10',
  });
  if (status !== 200 || !text.includes('n=1')) throw new Error(`small query: ${status} ${text.slice(0, 300)}`);
}

async function smallPush(): Promise<void> {
  await mustPush(server.url, [{ stream: { app: 'pushed' }, values: [[String(nowNs()), 'hello']] }]);
}

/** One hostile query after the other, until told to stop. */
async function attack(first: number, signal: AbortSignal): Promise<void> {
  for (let index = first; !signal.aborted; index = (index + 1) % HOSTILE.length) {
    const [what, query] = HOSTILE[index];
    const started = performance.now();
    const { status, text } = await get(server.url, '/loki/api/v1/query', { query, time: String(nowNs()) });
    const took = `${((performance.now() - started) / 1_000).toFixed(1)} s`;
    outcomes.set(what, `${status} after ${took}${status === 200 ? '' : `, ${text.slice(0, 160).replaceAll('\n', ' ')}`}`);
  }
}
