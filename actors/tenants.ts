import { type Label, type Labels, toLabels } from '../logql/model.ts';
import { Fault } from '../ops/base/fault.ts';

/** Whose everything is where there are no tenants. */
export const SINGLE_TENANT = 'fake';

const MAX_LENGTH = 150;

/** Names whose every stream is, in a query of several tenants. */
export const TENANT_LABEL = '__tenant_id__';
/** What a label of that name, that a stream was pushed with, is called there. */
export const PUSHED_TENANT_LABEL = `original_${TENANT_LABEL}`;

/** Stands between the ids of several tenants, and in none of them. */
export const TENANT_SEPARATOR = '|';

/** The tenants of an ask: one, or for a query the several that it spans. */
export function tenantsOf(tenant: string): readonly string[] {
  return tenant.split(TENANT_SEPARATOR);
}

/** `labels`, with the one that names the tenant. */
export function withTenant(labels: Labels, tenant: string): Labels {
  const own = labels.map(([name, value]): Label => [name === TENANT_LABEL ? PUSHED_TENANT_LABEL : name, value]);
  return toLabels([...own, [TENANT_LABEL, tenant]]);
}

/** Throws Fault bad_request for an id that no tenant can have. Source: Loki docs, "Tenant ID restrictions". */
export function checkTenant(tenant: string): void {
  if (tenant === '') throw new Fault('bad_request', 'tenant ID is empty');
  const wrong = /[^a-zA-Z0-9!\-_.*'()]/u.exec(tenant);
  if (wrong !== null) throw new Fault('bad_request', `tenant ID '${tenant}' contains unsupported character '${wrong[0]}'`);
  if (tenant.length > MAX_LENGTH) throw new Fault('bad_request', `tenant ID is too long: max ${MAX_LENGTH} characters`);
  if (tenant === '.' || tenant === '..') throw new Fault('bad_request', `tenant ID is '.' or '..'`);
}
