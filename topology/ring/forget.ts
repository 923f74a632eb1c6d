import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Subscription } from '../transport/transport.ts';
import type { Kv } from './kv.ts';
import { removeInstance } from './member.ts';
import type { Ring } from './ring.ts';

export interface ForgetOptions {
  readonly ring: Ring;
  readonly kv: Kv;
  readonly world: World;
  readonly log: Logger;
  /** An instance that was silent for so long will not come back. */
  readonly afterMs: number;
}

const LOOK_MS = 5_000;

/** Makes everybody forget instances that have been silent for too long. All do it that are there: the first one succeeds. */
export function forgetSilent({ ring, kv, world, log, afterMs }: ForgetOptions): Subscription {
  let cancel = (): void => {};
  let isClosed = false;
  const look = async (): Promise<void> => {
    for (const { instance, silentMs } of ring.instances()) {
      if (silentMs <= afterMs) continue;
      try {
        // Another start of it may have come meanwhile.
        await removeInstance(kv, instance.id, instance.incarnation);
        log.warn('an instance was silent for too long, and is forgotten', {
          ring: ring.name,
          instance: instance.id,
          silent_ms: Math.round(silentMs),
        });
      } catch (error) {
        log.debug('an instance could not be forgotten, will be tried again', { instance: instance.id, error: String(error) });
      }
    }
    if (!isClosed) later();
  };
  const later = (): void => {
    cancel = world.timers.after(LOOK_MS, () => void look());
  };
  later();
  return {
    close: () => {
      isClosed = true;
      cancel();
    },
  };
}
