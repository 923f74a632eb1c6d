import { compactor } from '../../actors/compactor/compactor.ts';
import { ONLY_INSTANCE } from './peers.ts';
import type { ThreadParts } from './worker.ts';

/** One is enough for all shards. Each of its steps takes some 20 ms, for which whoever shared its thread would wait. */
export async function spawnActors({ system, data, peers, activity, blobs, recentObjectsMs }: ThreadParts): Promise<void> {
  const { compactor: options } = data.options;
  const isChosen = await peers.isChosen('compactor');
  const deps = { options, blobs, recentObjectsMs, busy: () => activity.busy(), isChosen };
  await system.spawn(compactor, deps, { instance: data.cluster?.instance ?? ONLY_INSTANCE });
}
