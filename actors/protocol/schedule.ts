import { protocol, type StreamOf } from '../kernel/define.ts';

/** What a querier and a frontend want of a scheduler. Leases and places are streams: they end with whoever holds them, however that ends. */
export type SchedulerAsk =
  /** From a querier: gives it jobs, at most so many at a time, for as long as it reads the reply. */
  | { kind: 'attach'; querier: string; slots: number }
  /** Which queriers take jobs, sorted. */
  | { kind: 'queriers' }
  /** From a frontend: a querier for one job of the tenant, once it is the tenant's turn; held for as long as the reply is read. */
  | { kind: 'lease'; preferred: string; avoided: readonly string[] };

export interface Lease {
  readonly querier: string;
}

export type SchedulerReply = {
  /** One item, then silence. */
  attach: StreamOf<Record<string, never>>;
  queriers: { queriers: readonly string[] };
  /** One item, then silence. */
  lease: StreamOf<Lease>;
};
export const schedulerProtocol = protocol<SchedulerAsk, SchedulerReply>('query-scheduler');
