import { type Label, type Labels, toLabels } from '../logql/model.ts';

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
