// Hostile queries beside small ones: npm run bench -- --hostile [--mib 128] [--runs 5]
// Prints how each hostile query ends, the peak of memory, and the p99 of small queries and of pushes with and without hostile ones, as medians of several runs.
import { parseArgs } from 'node:util';
import { MiB } from '../../ops/base/bytes.ts';
import { get, nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { readBodies } from './bodies.ts';
import { cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { pushAll, told } from './load.ts';
import { checkLatencies, type Latency, medianLatency, pushSmall, SMALL_QUERIES, smallLatency } from './small.ts';

const { values: options } = parseArgs({
  options: { hostile: { type: 'boolean' }, mib: { type: 'string', default: '128' }, runs: { type: 'string', default: '5' } },
});
const RUNS = Number(options.runs);
const HOSTILE_AT_ONCE = 3;
/** Those of a server by default, named so that the share of queries follows from them. */
const WORKERS = 2;
const QUERIER_MIB = 96;
const FRONTEND_MIB = 192;
const SHARE = (WORKERS * QUERIER_MIB + FRONTEND_MIB) * MiB;
const SHARES = [`-server.workers=${WORKERS}`, `-querier.max-memory=${QUERIER_MIB}MB`, `-frontend.max-memory=${FRONTEND_MIB}MB`];

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

await using server = await TestServer.start({
  flags: [...LIFTED, ...SHARES, '-querier.query-timeout=20s', '-querier.max-query-series=500'],
});
const folder = cacheFolder(`corpus${options.mib}`);
const corpus = corpusIn(folder, Number(options.mib));
await pushAll(server.url, readBodies(folder), 1);
await pushSmall(server.url);
console.log(`${told(corpus)}; ${RUNS} runs of ${SMALL_QUERIES} small queries and pushes`);
const idle = await latencies('idle');
const idleMemory = server.process.peakMemory();
const outcomes = new Map<string, string>();
const stop = new AbortController();
const attackers = Array.from({ length: HOSTILE_AT_ONCE }, (_, index) => attack(index, stop.signal));
const attacked = await latencies('attacked');
stop.abort();
await Promise.all(attackers);
for (const [what] of HOSTILE) console.log(`  ${what}: ${outcomes.get(what) ?? 'not reached'}`);
const peakMemory = server.process.peakMemory();
const megabytes = (bytes: number) => Math.round(bytes / 1e6);
console.log(
  `peak memory ${megabytes(peakMemory)} MB, ${megabytes(idleMemory)} of them without hostile queries; the share of queries is ${megabytes(SHARE)}: ` +
    (peakMemory - idleMemory <= SHARE ? 'kept' : 'MISSED'),
);
checkLatencies(idle, attacked, 'attacked');

/** Medians over the runs. */
async function latencies(when: string): Promise<Latency> {
  const runs: Latency[] = [];
  for (let run = 0; run < RUNS; run++) runs.push(await smallLatency(server.url));
  const result = medianLatency(runs);
  console.log(`${when}: p99 of small queries ${result.queryMs} ms, of pushes ${result.pushMs} ms`);
  return result;
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
