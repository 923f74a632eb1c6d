import type { BlobStore } from '../blob/blob-store.ts';
import type { Position } from '../log/ingest-log.ts';
import { levelZeroPrefix, parseLevelZeroKey } from './keys.ts';
import { readFooter } from './reader.ts';

/** A log's chain of level-0 objects: its last one is never deleted. */
export interface Chain {
  /** Up to which position it reaches: where reading the log resumes. 0 without objects. */
  readonly end: Position;
  /** Key of its last object. */
  readonly newest: string | undefined;
}

export async function readChain(blobs: BlobStore, log: string): Promise<Chain> {
  let newest: { key: string; sizeBytes: number } | undefined;
  for await (const object of blobs.list(levelZeroPrefix(log))) if (parseLevelZeroKey(object.key) !== undefined) newest = object;
  if (newest === undefined) return { end: 0, newest: undefined };
  return { end: (await readFooter(blobs, newest.key, newest.sizeBytes)).to, newest: newest.key };
}
