import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MiB } from '../../ops/base/bytes.ts';
import { BodyWriter, entry } from './bodies.ts';

/** What a corpus holds. `needle` is a trace id that one line has. */
export interface Corpus {
  lines: number;
  /** Of the lines alone. */
  bytes: number;
  bodies: number;
  compressed: number;
  needle: string;
  startMs: number;
  endMs: number;
  streams: number;
}

export interface CorpusOptions {
  mib: number;
  seed: number;
  streams: number;
  startMs: number;
}

const STEP_MS = 5;
const APPS = ['checkout', 'frontend', 'nginx'] as const;
const PATHS = ['/api/v1/payments', '/api/v1/orders', '/api/v1/users', '/healthz', '/api/v2/cart', '/static/app.js', '/login'];
const MESSAGES = [
  'request completed',
  'cache miss',
  'payment authorised',
  'user logged in',
  'retrying upstream call',
  'connection reset by peer',
  'slow query detected',
];
const LEVELS = ['info', 'info', 'info', 'info', 'info', 'debug', 'debug', 'warn', 'error'];

/** Writes push bodies of 1 MiB of lines each, and meta.json beside them.
 *  The same options give the same bytes. A third of the lines each is JSON, logfmt and an access log. */
export function writeCorpus(folder: string, { mib, seed, streams, startMs }: CorpusOptions): Corpus {
  mkdirSync(folder, { recursive: true });
  const file = new BodyWriter(folder);
  const line = lineMaker(seed);
  const perApp = Math.max(1, Math.floor(streams / APPS.length));
  const corpus: Corpus = {
    lines: 0,
    bytes: 0,
    bodies: 0,
    compressed: 0,
    needle: '',
    startMs,
    endMs: startMs,
    streams: perApp * APPS.length,
  };
  let batch = new Map<string, Buffer[]>();
  let batchBytes = 0;
  const flush = (): void => {
    corpus.compressed += file.write(batch);
    corpus.bodies += 1;
    batch = new Map();
    batchBytes = 0;
  };
  while (corpus.bytes < mib * MiB) {
    const kind = corpus.lines % APPS.length;
    const text = line(kind, new Date(corpus.endMs).toISOString());
    if (corpus.needle === '' && (corpus.lines === 300_000 || (corpus.lines === 0 && mib < 64)))
      corpus.needle = /traceId":"([0-9a-f]+)/.exec(text)?.[1] ?? '';
    const labels = `{app="${APPS[kind]}", env="prod", pod="${APPS[kind]}-${Math.floor(corpus.lines / APPS.length) % perApp}"}`;
    if (!batch.has(labels)) batch.set(labels, []);
    batch.get(labels)?.push(entry(corpus.endMs, text));
    batchBytes += text.length;
    corpus.bytes += text.length;
    corpus.lines += 1;
    corpus.endMs += STEP_MS;
    if (batchBytes > MiB) flush();
  }
  flush();
  file.close();
  writeFileSync(join(folder, 'meta.json'), `${JSON.stringify(corpus, null, 1)}\n`);
  return corpus;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Where what takes long to make is kept. */
export const cacheFolder = (name: string): string => fileURLToPath(new URL(`../../.cache/${name}`, import.meta.url));

/** The meta.json of what was made in the folder, unless that was more than a day ago: servers might refuse its entries. */
export function madeToday<Meta extends { startMs: number }>(folder: string): Meta | undefined {
  const meta = join(folder, 'meta.json');
  if (!existsSync(meta)) return undefined;
  const made = JSON.parse(readFileSync(meta, 'utf8')) as Meta;
  return Date.now() - made.startMs < DAY_MS ? made : undefined;
}

/** The corpus in the folder; made anew if there is none or it is more than a day old. */
export function corpusIn(folder: string, mib: number, streams = 30): Corpus {
  const made = madeToday<Corpus>(folder);
  if (made !== undefined) return made;
  console.log(`making a corpus of ${mib} MiB in ${folder}`);
  const hoursBack = 3 + Math.ceil(mib / 150); // 256 MiB span 1.8 h
  return writeCorpus(folder, { mib, seed: 1, streams, startMs: Math.floor(Date.now() / HOUR_MS) * HOUR_MS - hoursBack * HOUR_MS });
}

/** Makes a line of an application (0: JSON, 1: logfmt, 2: an access log) at an ISO time; the same seed makes the same lines. */
export function lineMaker(seed: number): (kind: number, time: string) => string {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n;
  const random = (): number => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(state >> 33n) / 2 ** 31;
  };
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low)); // high is exclusive
  const pick = <T>(list: readonly T[]): T => list[between(0, list.length)];
  const hex = (digits: number): string => {
    let text = '';
    for (let digit = 0; digit < digits; digit++) text += between(0, 16).toString(16);
    return text;
  };
  const makers: ((time: string) => string)[] = [
    (ts) =>
      JSON.stringify({
        ts,
        level: pick(LEVELS),
        msg: pick(MESSAGES),
        service: 'checkout',
        traceId: hex(32),
        spanId: hex(16),
        user_id: between(1, 100_000),
        path: pick(PATHS),
        status: pick([200, 200, 200, 200, 201, 204, 404, 500, 503]),
        duration_ms: between(1, 2_000),
        client_ip: `10.${between(0, 4)}.${between(0, 256)}.${between(0, 256)}`,
      }),
    (ts) =>
      `ts=${ts} level=${pick(LEVELS)} caller=metrics.go:${between(90, 200)} component=frontend org_id=${between(1, 50)} traceID=${hex(16)} latency=fast` +
      ` query_type=range duration=${between(1, 900)}ms status=${pick([200, 200, 200, 429, 500])} msg="${pick(MESSAGES)}" bytes=${between(100, 1_000_000)}`,
    (ts) =>
      `10.${between(0, 4)}.${between(0, 256)}.${between(0, 256)} - - [${ts}] "GET ${pick(PATHS)}?id=${between(1, 100_000)} HTTP/1.1"` +
      ` ${pick([200, 200, 304, 404, 500])} ${between(100, 100_000)} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" ${between(1, 2_000) / 1_000}`,
  ];
  return (kind, time) => makers[kind](time);
}
