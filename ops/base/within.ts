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

/** Resolves or rejects as `work` does, or rejects after `ms`: then it goes on by itself, and how it ends matters to nobody. */
export async function inTime<T>(timers: Timers, ms: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const cancel = timers.after(ms, () => late.reject(new Error(`no answer for ${ms} ms`)));
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}

/** Rejects with the signal's reason when that is aborted first; then `work` goes on by itself, and how it ends matters to nobody. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
