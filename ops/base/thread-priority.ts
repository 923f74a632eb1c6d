import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

/** Gives the calling thread the niceness `nice`, 1 to 19: where others want to run, one of 5 gets about a third of what they get, one of 10 a tenth. Only Linux tells
 *  a thread's own number and takes it for one; returns whether that was done. */
export function lowerThreadPriority(nice: number): boolean {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), nice);
    return true;
  } catch {
    return false;
  }
}
