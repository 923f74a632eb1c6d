import { isDeepStrictEqual } from 'node:util';
import type { TenantLimits } from './limits.ts';

/** What some tenants have instead of the defaults. Plain data: it is given to every thread. */
export type LimitOverrides = readonly (readonly [tenant: string, limits: Partial<TenantLimits>])[];

/** The limits of every tenant, of which the overrides can be replaced while they are in use. */
export class LimitsByTenant {
  readonly #defaults: TenantLimits;
  #overridden: ReadonlyMap<string, TenantLimits> = new Map();

  constructor(defaults: TenantLimits, overrides: LimitOverrides) {
    this.#defaults = defaults;
    this.replace(overrides);
  }

  /** The same object for as long as the tenant's limits are the same. */
  readonly of = (tenant: string): TenantLimits => this.#overridden.get(tenant) ?? this.#defaults;

  replace(overrides: LimitOverrides): void {
    this.#overridden = new Map(
      overrides.map(([tenant, own]) => {
        const known = this.of(tenant);
        const limits = { ...this.#defaults, ...own };
        return [tenant, isDeepStrictEqual(known, limits) ? known : limits];
      }),
    );
  }

  /** The most that any tenant has of a limit. */
  most(limit: 'queryTimeout'): number {
    return Math.max(this.#defaults[limit], ...[...this.#overridden.values()].map((limits) => limits[limit]));
  }
}
