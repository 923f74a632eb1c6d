import type { Messenger, StartContext } from '../kernel/define.ts';
import { schedulerProtocol } from '../protocol/schedule.ts';
import type { Schedulers } from '../schedulers.ts';

/** Jobs of one querier that are not done. It works on few long ones at once, and ends short ones between them. */
const SLOTS = 64;
const RETRY_MS = { least: 200, most: 5_000 };

/** Takes jobs from every scheduler that there is, until the incarnation ends. */
export function attachToSchedulers(
  schedulers: Schedulers,
  messenger: Messenger,
  { world, instance, incarnation: { signal } }: StartContext,
): void {
  const attached = new Map<string, AbortController>();
  const follow = (): void => {
    const wanted = new Set(schedulers.instances());
    for (const [scheduler, gone] of attached) {
      if (wanted.has(scheduler)) continue;
      attached.delete(scheduler);
      gone.abort();
    }
    for (const scheduler of wanted) {
      if (attached.has(scheduler)) continue;
      const gone = new AbortController();
      attached.set(scheduler, gone);
      void keepAttached(scheduler, gone.signal);
    }
  };

  const keepAttached = async (scheduler: string, over: AbortSignal): Promise<void> => {
    const ask = { kind: 'attach' as const, querier: instance, slots: SLOTS };
    const options = { tenant: '', deadlineMs: Number.POSITIVE_INFINITY, signal: over };
    let pauseMs = RETRY_MS.least;
    while (!over.aborted) {
      try {
        for await (const _ of messenger.stream(schedulerProtocol, scheduler, ask, options)) pauseMs = RETRY_MS.least;
      } catch {
        // It is gone, or not there yet.
      }
      await world.timers.sleep(pauseMs * (0.5 + world.random.next()), over).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, RETRY_MS.most);
    }
  };

  const following = schedulers.onChange(follow);
  const end = (): void => {
    following.close();
    for (const gone of attached.values()) gone.abort();
  };
  signal.addEventListener('abort', end, { once: true });
  follow();
}
