// Small queries and pushes beside heavy queries: npm run bench -- --beside [--mib 256] [--runs 5]
// Each run measures the p99 of small queries and pushes first with nothing else going on, then beside one client that asks one heavy query after the other.
// Of the medians over the runs, what is beside may be 5 times what is idle, or 50 ms.
import { parseArgs } from 'node:util';
import { get } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { readBodies } from './bodies.ts';
import { cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { flush, pushAll, told } from './load.ts';
import { median, round } from './measure.ts';
import { checkLatencies, type Latency, medianLatency, pushSmall, SMALL_QUERIES, smallLatency } from './small.ts';

const { values: options } = parseArgs({
  options: { beside: { type: 'boolean' }, mib: { type: 'string', default: '256' }, runs: { type: 'string', default: '5' } },
});
const runs = Number(options.runs);
const folder = cacheFolder(`corpus${options.mib}`);
const corpus = corpusIn(folder, Number(options.mib));
const range = `${Math.ceil((corpus.endMs - corpus.startMs) / 1_000) + 60}s`;
const HEAVY: readonly string[] = [
  `sum by (path) (count_over_time({env="prod"} | json | __error__="" [${range}]))`,
  `sum(count_over_time({env="prod"} |~ "status=5\\\\d\\\\d" [${range}]))`,
];

await using server = await TestServer.start({ flags: LIFTED });
await pushAll(server.url, readBodies(folder));
await flush(server.url);
console.log(`${told(corpus)}; ${runs} runs of ${SMALL_QUERIES} small queries and pushes, idle and beside heavy queries`);
const took: number[][] = HEAVY.map(() => []);
const idle: Latency[] = [];
const beside: Latency[] = [];
for (let run = 0; run < runs; run++) {
  await pushSmall(server.url);
  idle.push(await smallLatency(server.url));
  const stop = new AbortController();
  const heavy = askHeavy(stop.signal);
  const [latency] = await Promise.all([smallLatency(server.url).finally(() => stop.abort()), heavy]);
  beside.push(latency);
  console.log(`run ${run + 1}: p99 of queries ${idle[run].queryMs} ms idle, ${latency.queryMs} ms beside`);
  console.log(`run ${run + 1}: p99 of pushes ${idle[run].pushMs} ms idle, ${latency.pushMs} ms beside`);
}
for (const [index, query] of HEAVY.entries())
  console.log(`  ${took[index].length} times in a median of ${round(median(took[index]))} ms: ${query}`);
console.log(`peak memory ${Math.round(server.process.peakMemory() / 1e6)} MB`);
checkLatencies(medianLatency(idle), medianLatency(beside), 'beside');

/** One heavy query after the other, until told to stop; each is asked once at least. */
async function askHeavy(signal: AbortSignal): Promise<void> {
  for (let index = 0; index < HEAVY.length || !signal.aborted; index++) {
    const started = performance.now();
    const { status, text } = await get(server.url, '/loki/api/v1/query', {
      query: HEAVY[index % HEAVY.length],
      time: `${corpus.endMs + 30_000}000000`,
    });
    if (status !== 200) throw new Error(`heavy query: ${status} ${text.slice(0, 300)}`);
    took[index % HEAVY.length].push(performance.now() - started);
  }
}
