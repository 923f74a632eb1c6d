import type { Timers } from './world.ts';

/** Resolves with `work`, or without it after `ms`: then it goes on by itself, and how it ends matters to nobody. Rejects if it fails before. */
export async function within(timers: Timers, ms: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = timers.after(ms, () => late.resolve());
  try {
    await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}
