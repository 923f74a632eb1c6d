import { printDuration, printGoDuration } from '../logql/syntax/units.ts';
import { Fault } from '../ops/base/fault.ts';
import type { TenantLimits } from './limits.ts';

/** Throws Fault limit_exceeded if a query that reads `lengthNs` of time is too long for the tenant. */
export function checkQueryLength(lengthNs: number, { maxQueryLength }: Pick<TenantLimits, 'maxQueryLength'>): void {
  const limitNs = maxQueryLength * 1e6;
  if (limitNs === 0 || lengthNs <= limitNs) return;
  const message = `the query time range exceeds the limit (query length: ${printGoDuration(lengthNs)}, limit: ${printDuration(limitNs)})`;
  throw new Fault('limit_exceeded', message);
}
