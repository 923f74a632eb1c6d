import { createHash } from 'node:crypto';
import type { Block } from '../model.ts';

/** A place in the order of a log query's answer: behind an entry that may, or may not, still be there. At one time streams are in the order of their hashes
 *  (`origin`), entries of one of them in the order of all their labels (`all`), then as they came: so the last of them has to be known again. */
export interface LogPosition {
  readonly timeNs: bigint;
  readonly origin: string;
  readonly all: string;
  /** See {@link entryMark}. */
  readonly mark: bigint;
}

/** Tells an entry from the others of its stream and time: 64 bits of a hash over its line and metadata, before any stage changed them. */
export function entryMark(block: Block, row: number): bigint {
  const ends = block.ends();
  const hash = createHash('sha1').update(block.lines().subarray(row === 0 ? 0 : ends[row - 1], ends[row]));
  for (const { key, values, index } of block.metadata()) {
    if (index[row] !== 0) hash.update(JSON.stringify([key, values[index[row] - 1]]));
  }
  return hash.digest().readBigUInt64LE();
}
