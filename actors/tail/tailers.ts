import type { World } from '../../ops/base/world.ts';
import { queriersThere } from '../frontend/leased.ts';
import type { AskOptions, Messenger } from '../kernel/define.ts';

/** Instances that a tail is divided among. Rejects with Fault unavailable if there are none. */
export type Tailers = (options: AskOptions) => Promise<readonly string[]>;

/** Of the tailers of other processes; what a tail takes is mostly little. */
const MOST_TAILERS = 2;
const ASK_MS = 2_000;

/** Those of this process if it has any; otherwise some that a query scheduler knows, by chance: whoever has queriers has tailers of their names. */
export function tailersThere(own: readonly string[], messenger: Messenger, { clock, random }: World): Tailers {
  if (own.length > 0) return async () => own;
  return async (options) => {
    const there = await queriersThere(messenger, { ...options, deadlineMs: Math.min(options.deadlineMs, clock.monotonicMs() + ASK_MS) });
    const first = Math.floor(random.next() * there.length);
    return [...there.slice(first), ...there.slice(0, first)].slice(0, MOST_TAILERS);
  };
}
