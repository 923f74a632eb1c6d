import type { Timers } from './world.ts';

/** Resolves with `work`, or without it after `ms`: then it goes on by itself, and how it ends matters to nobody. Rejects if it fails before. */
export function within(timers: Timers, ms: number, work: Promise<unknown>): Promise<void> {
  return limited<void>(
    timers,
    ms,
    work.then(() => {}),
    ({ resolve }) => resolve(),
  );
}

/** Resolves or rejects as `work` does, or rejects after `ms`: then it goes on by itself, and how it ends matters to nobody. */
export function inTime<T>(timers: Timers, ms: number, work: Promise<T>): Promise<T> {
  return limited(timers, ms, work, ({ reject }) => reject(new Error(`no answer for ${ms} ms`)));
}

async function limited<T>(timers: Timers, ms: number, work: Promise<T>, end: (late: PromiseWithResolvers<T>) => void): Promise<T> {
  const late = Promise.withResolvers<T>();
  const cancel = timers.after(ms, () => end(late));
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
