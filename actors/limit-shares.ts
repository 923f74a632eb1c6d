import type { TenantLimits } from './limits.ts';

/** What part of a tenant's limits one process is to keep, of 1; it may change at any time. */
export interface LimitShares {
  /** Of the rate of pushes: there are others that take them. */
  readonly rate: () => number;
  /** Of the streams: not each is here. */
  readonly streams: () => number;
}

type LimitsOf = (tenant: string) => TenantLimits;

/** Limits of a tenant as one process of several keeps them, so that together they keep the tenant's. Bursts are not divided: a push comes as a whole. */
export function sharedLimits(limits: LimitsOf, shares: LimitShares): LimitsOf {
  const known = new WeakMap<TenantLimits, { readonly rate: number; readonly streams: number; readonly limits: TenantLimits }>();
  return (tenant) => {
    const whole = limits(tenant);
    const [rate, streams] = [shares.rate(), shares.streams()];
    const before = known.get(whole);
    if (before !== undefined && before.rate === rate && before.streams === streams) return before.limits;
    const { ingestionRateMb, maxGlobalStreamsPerUser } = whole;
    const own = {
      ...whole,
      ingestionRateMb: ingestionRateMb * rate,
      maxGlobalStreamsPerUser: Math.ceil(maxGlobalStreamsPerUser * streams), // 0 stays 0: any number
    };
    known.set(whole, { rate, streams, limits: own });
    return own;
  };
}
