import { checkTenant, SINGLE_TENANT, TENANT_SEPARATOR } from '../../actors/tenants.ts';
import { Fault } from '../base/fault.ts';

/** Each is asked for itself. */
const MOST_TENANTS = 256;

/** The tenant that X-Scope-OrgID names, or, if `several` may be, those between whose ids there is a `|`: sorted, each once, in the same form. Throws Fault
 *  unauthorized without one, bad_request for one that could not be a tenant, and for several where one is wanted. Source: Loki docs, "Tenant ID restrictions". */
export function tenantOf(header: string, { authEnabled, several }: { authEnabled: boolean; several: boolean }): string {
  if (!authEnabled) return SINGLE_TENANT;
  if (header === '') throw new Fault('unauthorized', 'no org id');
  const tenants = [...new Set(header.split(TENANT_SEPARATOR))].sort();
  for (const tenant of tenants) checkTenant(tenant);
  if (tenants.length > 1 && !several) throw new Fault('bad_request', 'multiple org IDs present');
  if (tenants.length > MOST_TENANTS) throw new Fault('bad_request', `${tenants.length} tenants in one query: max ${MOST_TENANTS}`);
  return tenants.join(TENANT_SEPARATOR);
}
