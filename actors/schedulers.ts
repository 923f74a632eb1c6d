import { Fault } from '../ops/base/fault.ts';
import type { Ring } from '../topology/ring/ring.ts';
import type { Subscription } from '../topology/transport/transport.ts';

export function noQuerier(): Fault {
  return new Fault('unavailable', 'no querier is there', { retryAfterS: 1 });
}

/** The query schedulers that there are: a querier takes jobs from each. */
export interface Schedulers {
  instances(): readonly string[];
  /** Runs `action` when there may be others. */
  onChange(action: () => void): Subscription;
}

/** That of this process alone. */
export function localSchedulers(instances: readonly string[]): Schedulers {
  return { instances: () => instances, onChange: () => ({ close: () => {} }) };
}

/** Those of a ring. */
export function ringSchedulers(ring: Ring): Schedulers {
  return { instances: () => ring.instances().map(({ instance: { id } }) => id), onChange: (action) => ring.onChange(action) };
}
