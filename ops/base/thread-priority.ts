import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { basename } from 'node:path';

/** Gives the thread that calls a priority below normal: where others want to run it gets about a tenth of a core. Not the lowest: it may hold a lock of the
 *  allocator that others wait for. Only Linux tells a thread's own number and takes it for one; returns whether that was done. */
export function lowerThreadPriority(): boolean {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), constants.priority.PRIORITY_BELOW_NORMAL);
    return true;
  } catch {
    return false;
  }
}
