import { join } from 'node:path';
import type { BlobStore } from '../storage/blob/blob-store.ts';
import { listLocalLogs } from '../storage/log/local-logs.ts';
import { replay } from '../storage/log/replay.ts';
import { listSegments } from '../storage/log/segments.ts';
import { readChain } from '../storage/segment/chain.ts';
import { errno, type Files } from './base/world.ts';

/** How entries are kept until they are in storage: by one process in its log, by several, each of them a copy, or by Kafka. */
export type Mode = 'single' | 'replicated' | 'buffered';

const WORDS: Readonly<Record<Mode, string>> = {
  single: 'a process that was alone',
  replicated: 'one of several processes',
  buffered: 'one of several processes behind Kafka',
};

export interface ModeDeps {
  readonly files: Files;
  /** The process's own. */
  readonly root: string;
  readonly logRoot: string;
  readonly blobs: BlobStore;
  /** How many records of which ingest topic are not in storage. Rejects if that cannot be found out. */
  readonly bufferedRecords: () => Promise<{ readonly topic: string; readonly records: number }>;
}

/** Takes down in which mode the ingest logs here are written. Throws an Error if they hold entries of another mode that storage lacks: alone a process would find none of the copies that others
 *  have, and of several each counts on the others to have what it took in. */
export async function enterMode(mode: Mode, deps: ModeDeps): Promise<void> {
  const { files, root, logRoot } = deps;
  const path = join(root, 'mode');
  const before = await writtenIn(files, path);
  if (before === mode) return;
  if (before === 'buffered') await checkBuffer(mode, deps);
  else if (before !== undefined && (await holdsUnflushed(deps))) {
    throw new Error(
      `the ingest logs in ${logRoot} are those of ${WORDS[before]}, and hold entries that storage lacks: start it as that once more, POST /flush to it, stop it, and start it as ${WORDS[mode]} then`,
    );
  }
  await files.write(`${path}.new`, Buffer.from(`${mode}\n`));
  await files.rename(`${path}.new`, path);
  await files.syncDirectory(root);
}

/** Throws an Error if Kafka has entries that storage lacks, or if that cannot be found out. */
async function checkBuffer(mode: Mode, { root, bufferedRecords }: ModeDeps): Promise<void> {
  const way = `start it as ${WORDS.buffered} once more, POST /flush to every ingester when nothing is pushed any more, stop it, and start it as ${WORDS[mode]} then`;
  let found: { topic: string; records: number };
  try {
    found = await bufferedRecords();
  } catch (error) {
    throw new Error(
      `what is in ${root} was written by ${WORDS.buffered}, and whether Kafka has entries that storage lacks cannot be found out (-kafka.brokers has to name its brokers): ${(error as Error).message}. If it may: ${way}`,
    );
  }
  if (found.records > 0) throw new Error(`topic ${found.topic} has ${found.records} records that storage lacks: ${way}`);
}

async function writtenIn(files: Files, path: string): Promise<Mode | undefined> {
  try {
    const text = (await files.read(path)).toString().trim();
    if (Object.hasOwn(WORDS, text)) return text as Mode;
    throw new Error(`${path} says '${text}', which this version does not know`);
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether any log has a record behind what its chain of objects covers. */
async function holdsUnflushed({ files, logRoot, blobs }: ModeDeps): Promise<boolean> {
  for (const { directory, id } of await listLocalLogs(files, logRoot)) {
    const { end: from } = await readChain(blobs, id);
    const segments = await listSegments(files, directory);
    for await (const item of replay({ files, logId: id, segments, from, end: Number.MAX_SAFE_INTEGER, trimmedTo: () => from })) {
      if (item.kind === 'record') return true;
    }
  }
  return false;
}
