import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { Position } from '../log/ingest-log.ts';
import { isOfObject } from './damaged-object.ts';
import { levelZeroPrefix, parseGivenUpKey, parseLevelZeroKey } from './keys.ts';
import { readFooter } from './reader.ts';

/** A log's chain of level-0 objects: its last one is never deleted. */
export interface Chain {
  /** Where reading the log resumes: up to there the chain reaches. 0 without objects. */
  readonly end: Position;
  /** See LevelZeroInfo: of the record before `end`. */
  readonly lastMs?: number | undefined;
  /** No record may get a position below it. */
  readonly floor: Position;
  /** Key of its last object that can be read. */
  readonly newest: string | undefined;
  /** Its last object is gone, cannot be read or was given up. There may be, or have been, objects that begin at `end` or later, and segments that stand for them: until a name
   *  is sure to be behind them all, none is to be given. So it is too before a log's first flush, which looks the same. */
  readonly isBroken: boolean;
  /** The object that begins at `end`, which cannot be read. */
  readonly unreadable?: { readonly key: string; readonly fault: Fault };
  /** Objects that were given up, with the first position that each had, and that of what follows it. */
  readonly givenUp: readonly { readonly key: string; readonly from: Position; readonly to: Position | undefined }[];
}

interface Link {
  readonly key: string;
  readonly sizeBytes: number;
  readonly from: Position;
  readonly isGivenUp: boolean;
}

/** Throws what the store throws when it is listed. */
export async function readChain(blobs: BlobStore, log: string): Promise<Chain> {
  const links = await linksOf(blobs, log);
  const whole = links.findLastIndex(({ isGivenUp }) => !isGivenUp);
  const newest = links[whole]?.key;
  const last = links.at(-1);
  const givenUp = links.flatMap(({ key, from, isGivenUp }, index) => (isGivenUp ? [{ key, from, to: links[index + 1]?.from }] : []));
  if (last === undefined) return { end: 0, floor: 0, newest, isBroken: true, givenUp };
  if (last.isGivenUp) return { end: links[whole + 1].from, floor: last.from + 1, newest, isBroken: true, givenUp };
  try {
    const { to, lastMs } = await readFooter(blobs, last.key, last.sizeBytes);
    return { end: to, ...(lastMs !== undefined && { lastMs }), floor: to, newest, isBroken: false, givenUp };
  } catch (fault) {
    if (fault instanceof Fault && fault.code === 'not_found') throw new Fault('unavailable', fault.message, { cause: fault }); // it was moved just now
    if (!isOfObject(fault)) throw fault;
    const before = links.findLast(({ isGivenUp }, index) => !isGivenUp && index < whole);
    return { end: last.from, floor: last.from + 1, newest: before?.key, isBroken: true, unreadable: { key: last.key, fault }, givenUp };
  }
}

/** In the order of positions. Of an object that was only copied to where it is given up, the one that is still there counts. */
async function linksOf(blobs: BlobStore, log: string): Promise<Link[]> {
  const links: Link[] = [];
  for await (const { key, sizeBytes } of blobs.list(levelZeroPrefix(log))) {
    const whole = parseLevelZeroKey(key);
    const from = (whole ?? parseGivenUpKey(key))?.from;
    if (from !== undefined && links.at(-1)?.from !== from) links.push({ key, sizeBytes, from, isGivenUp: whole === undefined });
  }
  return links;
}
