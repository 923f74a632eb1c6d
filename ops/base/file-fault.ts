import { Fault, type FaultCode } from './fault.ts';
import { errno } from './world.ts';

const CODES: Readonly<Record<string, FaultCode>> = {
  ENOENT: 'not_found',
  ENOTDIR: 'not_found',
  EISDIR: 'not_found',
  EEXIST: 'exists',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
};

/** The fault that a file error means, `unavailable` if it is none in particular. `doing` says what failed: `append to the ingest log`. */
export function fileFault(error: unknown, doing: string): Fault {
  if (error instanceof Fault) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new Fault(CODES[errno(error) ?? ''] ?? 'unavailable', `cannot ${doing}: ${reason}`, { cause: error });
}
