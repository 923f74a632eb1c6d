import { Fault } from '../base/fault.ts';

/** Whose every request is when authentication is off. */
export const SINGLE_TENANT = 'fake';

const MAX_LENGTH = 150;

/** The tenant that X-Scope-OrgID names. Throws Fault unauthorized without one, bad_request for one that could not be a tenant.
 *  Source: Loki docs, "Tenant ID restrictions". */
export function tenantOf(header: string, authEnabled: boolean): string {
  if (!authEnabled) return SINGLE_TENANT;
  if (header === '') throw new Fault('unauthorized', 'no org id');
  const wrong = /[^a-zA-Z0-9!\-_.*'()]/u.exec(header);
  if (wrong !== null) throw new Fault('bad_request', `tenant ID '${header}' contains unsupported character '${wrong[0]}'`);
  if (header.length > MAX_LENGTH) throw new Fault('bad_request', `tenant ID is too long: max ${MAX_LENGTH} characters`);
  if (header === '.' || header === '..') throw new Fault('bad_request', `tenant ID is '.' or '..'`);
  return header;
}
