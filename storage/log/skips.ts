import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { generationPrefix } from './generation.ts';
import type { Position } from './ingest-log.ts';

/** Records [from, to) of a partition's log that are given up: somebody has said that it is to go on without them. */
export interface Skip {
  /** See partitionLog. */
  readonly log: string;
  readonly from: Position;
  readonly to: Position;
}

const DIGITS = 16;

function skipKey(topic: string, log: string, from: Position): string {
  return `${generationPrefix(topic)}${log}-${String(from).padStart(DIGITS, '0')}.skip`;
}

/** Takes down that they are given up; whoever owns the partition goes on behind them. Throws what the store throws, and Fault exists if something else was said of these. */
export async function giveUp(blobs: BlobStore, topic: string, { log, from, to }: Skip): Promise<void> {
  const before = await skippedTo(blobs, topic, { log, from });
  if (before === to) return;
  if (before !== undefined) throw new Fault('exists', `records ${from} to ${before - 1} of this partition were given up before`);
  await blobs.put(skipKey(topic, log, from), [Buffer.from(`${to}\n`)], { ifAbsent: true });
}

/** Where the log goes on, if records from `from` on were given up. Throws what the store throws, and Fault corrupt. */
export async function skippedTo(blobs: BlobStore, topic: string, { log, from }: Omit<Skip, 'to'>): Promise<Position | undefined> {
  const key = skipKey(topic, log, from);
  let text: string;
  try {
    text = (await blobs.get(key)).toString();
  } catch (error) {
    if (error instanceof Fault && error.code === 'not_found') return undefined;
    throw error;
  }
  const to = Number(text);
  if (!Number.isSafeInteger(to) || to <= from) throw new Fault('corrupt', `object ${key} does not say where the log goes on`);
  return to;
}
