// A needle in a large store: npm run bench -- --needle-store [--gb 20] [--reps 10] [--copy-mib 256]
// The store is made once, in .cache, by pushing copies of the corpus that differ in time and ids through a server, and compacted. Then a server that has just been
// started is asked for the one line with an id, over the whole time range, and another one for an id that no line has. Fails if either is answered wrongly.
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Explanation } from '../../actors/frontend/explain.ts';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { get } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { readBodies } from './bodies.ts';
import { Copier, Masks } from './copies.ts';
import { type Corpus, cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { COMPACTING, compacted, deleted, flush, NOT_COMPACTING, pushAll, told } from './load.ts';
import { mb, round } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    'needle-store': { type: 'boolean' },
    gb: { type: 'string', default: '20' },
    reps: { type: 'string', default: '10' },
    'copy-mib': { type: 'string', default: '256' },
  },
});

/** What a store holds; `needle` is the trace id of one line, amid the others. */
interface Store {
  readonly lines: number;
  readonly bytes: number;
  readonly needle: string;
  readonly startMs: number;
  readonly endMs: number;
}

const gb = Number(options.gb);
const CORPUS_MIB = Math.min(Number(options['copy-mib']), Math.ceil((gb * 1e9) / MiB));
/** Of the lines: stored twice before what was compacted is deleted, and the log. */
const DISK_SHARE = 0.7;
const LEAST_DISK = 1e9;
/** Of a machine that is busy. */
const READY_WITHIN_MS = 300_000;
const ABSENT = 'deadbeefdeadbeefdeadbeefdeadbeef';
const OLD = [...LIFTED, '-validation.reject-old-samples=false'];
const folder = cacheFolder(`needle-store-${options.gb}`);

const store = storeIn(folder) ?? (await makeStore(folder));
console.log(`${told(store)} over ${round((store.endMs - store.startMs) / 3_600_000)} h, the needle is ${store.needle}`);
await ask('present', store.needle, 1);
await ask('absent', ABSENT, 0);

function storeIn(folder: string): Store | undefined {
  const meta = join(folder, 'meta.json');
  return existsSync(meta) ? (JSON.parse(readFileSync(meta, 'utf8')) as Store) : undefined;
}

async function makeStore(folder: string): Promise<Store> {
  rmSync(folder, { recursive: true, force: true }); // of a run that was cut off
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = statfsSync(folder);
  const wanted = gb * 1e9 * DISK_SHARE + LEAST_DISK;
  if (bavail * bsize < wanted) {
    rmSync(folder, { recursive: true });
    throw new Error(`a store of ${gb} GB wants ${mb(wanted)} MB of disk while it is made, ${mb(bavail * bsize)} MB are free for ${folder}`);
  }
  const corpusFolder = cacheFolder(`corpus${CORPUS_MIB}`);
  const corpus = corpusIn(corpusFolder, CORPUS_MIB);
  const copies = Math.max(1, Math.round((gb * 1e9) / corpus.bytes));
  console.log(`making a store of ${copies} copies of ${mb(corpus.bytes)} MB in ${folder}`);
  const store = await pushCopies(folder, corpusFolder, corpus, copies);
  console.log('compacting it');
  await using server = await TestServer.start({
    dataDir: join(folder, 'data'),
    readyWithinMs: READY_WITHIN_MS,
    flags: [...OLD, ...COMPACTING],
  });
  await compacted(server.url);
  console.log(`${mb(await deleted(server.dataDir))} MB of segments`);
  await server.stop();
  writeFileSync(join(folder, 'meta.json'), `${JSON.stringify(store, null, 1)}\n`);
  return store;
}

/** One copy after the other, each of the time that follows; the last one ends at about now. */
async function pushCopies(folder: string, corpusFolder: string, corpus: Corpus, copies: number): Promise<Store> {
  const flags = [
    ...OLD,
    ...COMPACTING,
    '-compactor.compaction-interval=5s',
    '-compactor.level-zero-age=2h',
    '-compactor.deletion-delay=60s',
  ];
  await using server = await TestServer.start({ dataDir: join(folder, 'data'), readyWithinMs: READY_WITHIN_MS, flags });
  const copier = new Copier(readBodies(corpusFolder));
  const spanS = Math.ceil((corpus.endMs - corpus.startMs) / 1_000);
  const startS = Math.floor(Date.now() / 1_000) - copies * spanS;
  let needle = '';
  for (let copy = 0; copy < copies; copy++) {
    const masks = Masks.random();
    if (copy === copies >> 1) needle = masks.apply(Buffer.from(corpus.needle)).toString();
    const started = performance.now();
    await pushAll(server.url, copier.copy(masks, startS + copy * spanS - Math.floor(corpus.startMs / 1_000)));
    console.log(`copy ${copy + 1} of ${copies}: ${round(corpus.bytes / 1e3 / (performance.now() - started))} MB/s`);
  }
  await flush(server.url);
  await server.stop(60_000);
  return {
    lines: corpus.lines * copies,
    bytes: corpus.bytes * copies,
    needle,
    startMs: startS * 1_000,
    endMs: (startS + copies * spanS) * 1_000 + 1_000,
  };
}

/** Asks a server that has just been started. */
async function ask(what: string, id: string, expected: number): Promise<void> {
  await using server = await TestServer.start({
    dataDir: join(folder, 'data'),
    readyWithinMs: READY_WITHIN_MS,
    flags: [...OLD, ...NOT_COMPACTING],
  });
  const params = { query: `{env="prod"} |= "${id}"`, start: `${store.startMs}000000`, end: `${store.endMs}000000`, limit: '100' };
  const times: number[] = [];
  for (let repeat = 0; repeat < Number(options.reps); repeat++) {
    const started = performance.now();
    const { status, text } = await get(server.url, '/loki/api/v1/query_range', params);
    times.push(performance.now() - started);
    if (status !== 200) throw new Error(`needle: ${status} ${text.slice(0, 300)}`);
    const { result, stats } = (JSON.parse(text) as Answer).data;
    const found = result.reduce((sum, { values }) => sum + values.length, 0);
    if (found !== expected) throw new Error(`${found} lines with ${id} instead of ${expected}`);
    if (repeat === 0)
      console.log(`${what}: first answer scanned ${stats.summary.totalLinesProcessed} lines, ${mb(stats.summary.totalBytesProcessed)} MB`);
  }
  const explained = await get(server.url, '/loki/api/v1/explain', params);
  if (explained.status !== 200) throw new Error(`explain: ${explained.status} ${explained.text.slice(0, 300)}`);
  const { objects, chunks, blocks, bytes } = (JSON.parse(explained.text) as { data: Explanation }).data;
  const skipped = blocks.all === 0 ? 0 : (100 * blocks.skippedByFilter) / blocks.all;
  console.log(`${what}: first ${round(times[0])} ms after the start, best of ${times.length} ${round(Math.min(...times))} ms`);
  console.log(`${what}: ${objects} objects looked into, ${chunks} chunks`);
  console.log(
    `${what}: of ${blocks.all} blocks ${blocks.skippedByFilter} skipped by filters (${skipped.toFixed(2)} %), ${blocks.scanned} scanned` +
      `; ${blocks.skippedByTime} outside of the range`,
  );
  console.log(
    `${what}: read ${round(bytes.fetched / KiB)} KiB of blocks, ${round(bytes.filters / KiB)} KiB of filters` +
      `; decompressed ${round(bytes.decompressed / KiB)} KiB`,
  );
  console.log(`${what}: peak memory ${mb(server.process.peakMemory())} MB`);
}

interface Answer {
  data: {
    result: { values: unknown[] }[];
    stats: { summary: { totalLinesProcessed: number; totalBytesProcessed: number } };
  };
}
