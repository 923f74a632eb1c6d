import { compactor } from '../../actors/compactor/compactor.ts';
import type { ThreadParts } from './worker.ts';

/** One is enough for all shards. Each of its steps takes some 20 ms, for which whoever shared its thread would wait. */
export async function spawnActors({ system, data, instance, activity, blobs, recentObjectsMs, isChosen }: ThreadParts): Promise<void> {
  const { compactor: options } = data.options;
  await system.spawn(compactor, { options, blobs, recentObjectsMs, busy: () => activity.busy(), isChosen }, { instance });
}
