import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { metric } from '../support/client.ts';
import { mb } from './measure.ts';
import { type SystemKind, systemKinds } from './systems.ts';

const RUNS_METRIC = 'loki_boltdb_shipper_compact_tables_operation_total';
export const DUE_METRIC = 'millrace_compactor_due_compactions';
export const COMPACTIONS_METRIC = 'millrace_compactor_compactions_total';

/** A compaction that takes half of this is given up. */
export const DELETION_DELAY_MS = 60_000;

/** Of a server that compacts and deletes all that it can at once. */
export const COMPACTING = [
  '-compactor.compaction-interval=500ms',
  '-compactor.level-zero-age=1ms',
  `-compactor.deletion-delay=${DELETION_DELAY_MS}ms`,
  '-querier.query-timeout=8s',
  '-querier.max-listing-age=1s',
];
/** Of a server that does not compact while it is measured. */
export const NOT_COMPACTING = ['-compactor.compaction-interval=24h'];

const ATTEMPTS = 300;

/** Pushes until the server accepts; returns how often it asked to come again, or what it refused with for good. */
export async function pushOne(kind: SystemKind, url: string, body: Buffer): Promise<number | string> {
  for (let attempt = 0; ; attempt++) {
    const response = await kind.push(url, body);
    const text = await response.text();
    if (response.ok) return attempt;
    if (![429, 503, 504].includes(response.status) || attempt === ATTEMPTS)
      return `a push was refused with ${response.status}: ${text.slice(0, 200)}`;
    await sleep(Number(response.headers.get('retry-after') ?? 0.2) * 1_000);
  }
}

/** Pushes bodies, several at a time, all of which must be accepted in the end; returns how often the server asked to come again. */
export async function pushAll(url: string, bodies: Iterable<Buffer> | AsyncIterable<Buffer>, clients = 4): Promise<number> {
  const source = Symbol.asyncIterator in bodies ? bodies[Symbol.asyncIterator]() : bodies[Symbol.iterator]();
  let repeats = 0;
  const client = async (): Promise<void> => {
    for (;;) {
      const next = await source.next();
      if (next.done) return;
      const outcome = await pushOne(systemKinds.loki, url, next.value);
      if (typeof outcome === 'string') throw new Error(outcome);
      repeats += outcome;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return repeats;
}

/** Resolves when all that was pushed is in object storage. */
export async function flush(url: string): Promise<void> {
  const response = await systemKinds.loki.flush(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`flush: ${response.status} ${text.slice(0, 300)}`);
}

/** Resolves when the compactor, which runs at short intervals, has found nothing to do in a run that began after the call. */
export async function compacted(url: string): Promise<void> {
  const before = await metric(url, RUNS_METRIC);
  for (;;) {
    await sleep(250);
    if ((await metric(url, RUNS_METRIC)) >= before + 2 && (await metric(url, DUE_METRIC)) === 0) return;
  }
}

/** Resolves when a server with COMPACTING, which has compacted all that there is, has deleted what that was made from; returns the bytes of segments. */
export async function deleted(dataDir: string): Promise<number> {
  for (let before = Number.NaN; ; ) {
    const now = segmentsSize(dataDir);
    if (now === before) return now;
    before = now;
    await sleep(DELETION_DELAY_MS + 5_000);
  }
}

function segmentsSize(dataDir: string): number {
  const names = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.seg'));
  return names.reduce((sum, name) => sum + (statSync(join(dataDir, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

export const told = ({ lines, bytes }: { lines: number; bytes: number }): string => `${lines} lines, ${mb(bytes)} MB`;
