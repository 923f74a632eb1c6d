import { isDeepStrictEqual } from 'node:util';
import type { TenantLimits } from './limits.ts';
import { tenantsOf } from './tenants.ts';

type KeysOf<T> = { [K in keyof TenantLimits]: TenantLimits[K] extends T ? K : never }[keyof TenantLimits];

/** Limits of queries, of which 0 is none. */
const SMALLEST_SET: readonly KeysOf<number>[] = [
  'maxEntriesLimitPerQuery',
  'maxQueryLength',
  'maxQueryRange',
  'maxQueryLookback',
  'minimumLabelsNumber',
  'cardinalityLimit',
  'maxChunksPerQuery',
  'maxQueryBytesRead',
  'maxQuerierBytesRead',
  'maxQueryMemory',
  'volumeMaxSeries',
  'queryTimeout',
];
const SMALLEST: readonly KeysOf<number>[] = ['maxQuerySeries', 'maxStreamsMatchersPerQuery', 'tsdbMaxQueryParallelism'];

/** The limits of a query of several tenants, as Loki has it the smallest of each. What is not about queries is that of the first. */
function tightest(all: readonly TenantLimits[]): TenantLimits {
  const valuesOf = (key: KeysOf<number>): number[] => all.map((limits) => limits[key]);
  const smallestSet = (key: KeysOf<number>): number => {
    const set = valuesOf(key).filter((value) => value > 0);
    return set.length === 0 ? 0 : Math.min(...set);
  };
  const splits = valuesOf('splitQueriesByInterval');
  return {
    ...all[0],
    ...Object.fromEntries(SMALLEST_SET.map((key) => [key, smallestSet(key)])),
    ...Object.fromEntries(SMALLEST.map((key) => [key, Math.min(...valuesOf(key))])),
    requiredLabels: [...new Set(all.flatMap(({ requiredLabels }) => requiredLabels))],
    volumeEnabled: all.every(({ volumeEnabled }) => volumeEnabled),
    splitQueriesByInterval: splits.includes(0) ? 0 : Math.max(...splits),
  };
}

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

  /** The same object for as long as the tenant's limits are the same. Of several tenants together: what all of them may. */
  readonly of = (tenant: string): TenantLimits => {
    const tenants = tenantsOf(tenant);
    return tenants.length === 1 ? (this.#overridden.get(tenant) ?? this.#defaults) : tightest(tenants.map(this.of));
  };

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
