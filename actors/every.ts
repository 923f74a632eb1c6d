import type { Timers } from '../ops/base/world.ts';

/** Runs `action` every `periodMs` until what is returned is called. */
export function every(timers: Timers, periodMs: number, action: () => void): () => void {
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = timers.after(periodMs, () => {
      action();
      arm();
    });
  };
  arm();
  return () => cancel();
}
