// What is stored: npm run bench -- --stored [--mib 256] [--logs FOLDER]
// Bytes of segments, after compaction, for a byte of lines, with skip filters and without, on the corpus and on the text files of a folder, each of which is a stream;
// beside what `zstd -3` makes of each whole stream's text.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { zstd } from '../../storage/chunk/zstd.ts';
import { TestServer } from '../support/server.ts';
import { entry, openBody, pushBodyOf, readBodies } from './bodies.ts';
import { cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { COMPACTING, compacted, deleted, flush, NOT_COMPACTING, pushAll } from './load.ts';
import { mb } from './measure.ts';

const { values: options } = parseArgs({
  options: { stored: { type: 'boolean' }, mib: { type: 'string', default: '256' }, logs: { type: 'string' } },
});

/** Read at most: the texts of streams are in memory at once. */
const MOST_LOG_BYTES = 1024 * MiB;
const NO_FILTERS = '-compactor.filtered-size=1000GB';
const NEWLINE = 10;
const HOUR_MS = 3_600_000;
const UNLIMITED = [...LIFTED, '-distributor.max-line-size=0', '-validation.discover-log-levels=false'];

interface DataSet {
  readonly name: string;
  readonly lines: number;
  /** Of the lines, without what ends them. */
  readonly bytes: number;
  readonly streams: number;
  readonly zstdBytes: number;
  bodies(): Iterable<Buffer>;
}

await report(corpusSet(Number(options.mib)));
if (options.logs !== undefined) await report(logSet(options.logs));

async function report(set: DataSet): Promise<void> {
  const { name, lines, bytes, streams, zstdBytes } = set;
  console.log(`${name}: ${lines} lines, ${mb(bytes)} MB in ${streams} streams`);
  const rows: [what: string, storedBytes: number][] = [
    ['zstd -3 of the text of each stream', zstdBytes],
    ['segments with skip filters', await segmentBytes(set, [])],
    ['segments without skip filters', await segmentBytes(set, [NO_FILTERS])],
  ];
  for (const [what, stored] of rows) {
    console.log(
      `${name}: ${what.padEnd(36)} ${mb(stored).toFixed(1).padStart(8)} MB, ${(stored / bytes).toFixed(4)} of the lines, ` +
        `${(stored / zstdBytes).toFixed(3)} of zstd -3`,
    );
  }
}

/** Stored, compacted until nothing is left to do, and what was compacted deleted. */
async function segmentBytes(set: DataSet, flags: readonly string[]): Promise<number> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'millrace-bench-'));
  const server = (more: readonly string[]) => TestServer.start({ dataDir: folder.path, flags: [...UNLIMITED, ...more] });
  {
    await using writing = await server(NOT_COMPACTING);
    await pushAll(writing.url, set.bodies(), 1); // so that each stream stays in order
    await flush(writing.url);
    await writing.stop(60_000);
  }
  await using compacting = await server([...COMPACTING, ...flags]);
  await compacted(compacting.url);
  return await deleted(folder.path); // before the folder is removed
}

function corpusSet(mib: number): DataSet {
  const folder = cacheFolder(`corpus${mib}`);
  const corpus = corpusIn(folder, mib);
  const bodies = readBodies(folder);
  const texts = new Map<string, Buffer[]>();
  for (const body of bodies) {
    const { request, entries } = openBody(body);
    for (const { labels, lineAt, lineEnd } of entries) {
      const parts = texts.get(labels) ?? [];
      texts.set(labels, parts);
      parts.push(request.subarray(lineAt, lineEnd), Buffer.of(NEWLINE));
    }
  }
  const zstdBytes = [...texts.values()].reduce((sum, parts) => sum + compressedSize(Buffer.concat(parts)), 0);
  return { name: 'corpus', lines: corpus.lines, bytes: corpus.bytes, streams: corpus.streams, zstdBytes, bodies: () => bodies };
}

/** Files with a NUL among their first bytes are no texts and are left out, as are empty lines. */
function logSet(folder: string): DataSet {
  const files: { labels: string; lines: Buffer[] }[] = [];
  let [lines, bytes, zstdBytes, read] = [0, 0, 0, 0];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    if (!statSync(path).isFile()) continue;
    const text = readFileSync(path);
    if (text.length === 0 || text.subarray(0, 8 * KiB).includes(0)) continue;
    read += text.length;
    if (read > MOST_LOG_BYTES) throw new Error(`${folder} holds more than ${mb(MOST_LOG_BYTES)} MB of texts`);
    const file = { labels: `{file=${JSON.stringify(relative(folder, path))}}`, lines: linesOf(text) };
    files.push(file);
    lines += file.lines.length;
    bytes += file.lines.reduce((sum, { length }) => sum + length, 0);
    zstdBytes += compressedSize(text);
  }
  if (lines === 0) throw new Error(`${folder} has no text files`);
  return { name: folder, lines, bytes, streams: files.length, zstdBytes, bodies: () => bodiesOf(files) };
}

/** As they would have come in the last hour, a millisecond apart or less. */
function* bodiesOf(files: readonly { labels: string; lines: readonly Buffer[] }[]): Generator<Buffer> {
  const startMs = Date.now() - HOUR_MS;
  for (const { labels, lines } of files) {
    const stepMs = Math.min(1, HOUR_MS / lines.length);
    let entries: Buffer[] = [];
    let size = 0;
    for (const [index, line] of lines.entries()) {
      entries.push(entry(startMs + Math.floor(index * stepMs), line));
      size += line.length;
      if (size < MiB && index < lines.length - 1) continue;
      yield pushBodyOf(new Map([[labels, entries]]));
      [entries, size] = [[], 0];
    }
  }
}

function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf(NEWLINE, from);
    const to = end < 0 ? text.length : end;
    if (to > from) lines.push(text.subarray(from, to));
    from = to + 1;
  }
  return lines;
}

function compressedSize(text: Buffer): number {
  return zstd.compress(text, 3).length;
}
