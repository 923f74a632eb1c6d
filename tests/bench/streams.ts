// Every minute of log time every stream gets some entries; they are pushed as fast as the server takes them. The same lines in the same bodies, but in few streams,
// are pushed to a second server first, for the rate to compare with.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MiB } from '../../ops/base/bytes.ts';
import { get } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { BodyWriter, eachBody, entry } from './bodies.ts';
import { cacheFolder, lineMaker, madeToday } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { flush, pushAll, told } from './load.ts';
import { goal, mb, median, p99, round, timed } from './measure.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: 'boolean' },
    minutes: { type: 'string', default: '10' },
    'entries-per-minute': { type: 'string', default: '5' },
    few: { type: 'string', default: '30' },
  },
});
const streams = Number(positionals[0] ?? 100_000);
const few = Number(options.few);
const minutes = Number(options.minutes);
const perMinute = Number(options['entries-per-minute']);

const MINUTE_MS = 60_000;
const MOST_MEMORY = 1.5e9;
const LEAST_SHARE = 0.5;
const QUERIES = 30;
/** Different texts; then they begin anew. */
const TEXTS = 100_000;
const APPS = 3;

/** Entries of `streams` streams, the same lines in the same order whatever that number is. */
interface Load {
  readonly lines: number;
  readonly bytes: number;
  readonly bodies: number;
  readonly startMs: number;
  readonly endMs: number;
}

interface Outcome {
  readonly mbPerS: number;
  readonly peakBytes: number;
}

const names = { few: `streams-${streams}-${minutes}-${perMinute}-in-${few}`, many: `streams-${streams}-${minutes}-${perMinute}` };
// Both have the same times, so they are made together.
const [fewLoad, manyLoad] = [madeToday<Load>(cacheFolder(names.few)), madeToday<Load>(cacheFolder(names.many))];
const startMs = Date.now() - minutes * MINUTE_MS;
const load = manyLoad ?? writeLoad(cacheFolder(names.many), streams, startMs);
if (fewLoad?.startMs !== load.startMs) writeLoad(cacheFolder(names.few), few, load.startMs);
console.log(`${told(load)} in ${load.bodies} pushes`);

const reference = await measure(cacheFolder(names.few), few, async () => {});
const { mbPerS, peakBytes } = await measure(cacheFolder(names.many), streams, async (url) => {
  await latencies(url, 'before a flush');
  await flush(url);
  await latencies(url, 'after a flush');
});
goal(`peak memory ${mb(peakBytes)} MB, at most ${mb(MOST_MEMORY)} MB`, peakBytes <= MOST_MEMORY);
const share = mbPerS / reference.mbPerS;
goal(`ingest at ${share.toFixed(2)} of the rate of ${few} streams, at least ${LEAST_SHARE}`, share >= LEAST_SHARE);

function writeLoad(folder: string, count: number, startMs: number): Load {
  console.log(`making the entries of ${count} streams in ${folder}`);
  const file = new BodyWriter(folder);
  const line = lineMaker(1);
  const texts = Array.from({ length: Math.min(TEXTS, streams * perMinute) }, (_, at) =>
    Buffer.from(line(at % APPS, new Date(startMs).toISOString())),
  );
  let [lines, bytes, bodies, batchBytes] = [0, 0, 0, 0];
  let batch = new Map<string, Buffer[]>();
  const write = (): void => {
    file.write(batch);
    bodies += 1;
    batch = new Map();
    batchBytes = 0;
  };
  for (let minute = 0; minute < minutes; minute++) {
    for (let stream = 0; stream < streams; stream++) {
      const labels = labelsOf(stream % count);
      const entries = batch.get(labels) ?? [];
      batch.set(labels, entries);
      for (let index = 0; index < perMinute; index++) {
        const text = texts[lines % texts.length];
        // In few streams, too, entries come in the order of time.
        const offsetMs = count === few ? (MINUTE_MS * (stream + index / perMinute)) / streams : (MINUTE_MS * index) / perMinute;
        entries.push(entry(startMs + minute * MINUTE_MS + Math.floor(offsetMs), text));
        lines += 1;
        bytes += text.length;
        batchBytes += text.length;
      }
      if (batchBytes > MiB) write();
    }
  }
  if (batchBytes > 0) write();
  file.close();
  const load = { lines, bytes, bodies, startMs, endMs: startMs + minutes * MINUTE_MS };
  writeFileSync(join(folder, 'meta.json'), `${JSON.stringify(load, null, 1)}\n`);
  return load;
}

function labelsOf(stream: number): string {
  return `{app="app-${stream % APPS}", env="prod", pod="pod-${stream}"}`;
}

/** Pushes everything to a server of its own, lets `after` ask it, and tells what it was like. */
async function measure(folder: string, count: number, after: (url: string) => Promise<void>): Promise<Outcome> {
  await using server = await TestServer.start({ flags: LIFTED });
  let repeats = 0;
  const ms = await timed(async () => {
    repeats = await pushAll(server.url, eachBody(folder));
  });
  const mbPerS = load.bytes / 1e3 / ms;
  console.log(`${count} streams: ${round(mbPerS)} MB/s, ${repeats} pushes repeated, peak memory ${mb(server.process.peakMemory())} MB`);
  await after(server.url);
  return { mbPerS, peakBytes: server.process.peakMemory() };
}

/** Of queries for one stream each. */
async function latencies(url: string, when: string): Promise<void> {
  const range = { start: `${load.endMs - 10 * MINUTE_MS}000000`, end: `${load.endMs}000000`, limit: '1000' };
  const expected = Math.min(1_000, Math.min(minutes, 10) * perMinute);
  const took: number[] = [];
  for (let index = 0; index < QUERIES; index++) {
    const query = `{pod="pod-${Math.floor(((index + 0.5) * streams) / QUERIES)}"}`;
    took.push(
      await timed(async () => {
        const { status, text } = await get(url, '/loki/api/v1/query_range', { query, ...range });
        if (status !== 200) throw new Error(`${query}: ${status} ${text.slice(0, 300)}`);
        const result = (JSON.parse(text) as { data: { result: { values: unknown[] }[] } }).data.result;
        const found = result.reduce((sum, { values }) => sum + values.length, 0);
        if (found !== expected) throw new Error(`${query}: ${found} entries instead of ${expected}`);
      }),
    );
    await sleep(5);
  }
  console.log(`one stream by a label, last 10 minutes, ${when}: median ${round(median(took))} ms, p99 ${p99(took)} ms`);
}
