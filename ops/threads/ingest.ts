import { countedAsActivity } from '../../actors/activity.ts';
import { distributor } from '../../actors/distributor/distributor.ts';
import { ingester } from '../../actors/ingester/ingester.ts';
import type { ThreadParts } from './worker.ts';

/** What a push goes through. Nothing that takes long is beside it: a push would wait for it at each of its steps. */
export async function spawnActors(parts: ThreadParts): Promise<void> {
  const { system, data, instance, ingesters, activity, blobs, limits, shared, recentObjectsMs } = parts;
  const shard = { index: data.place.index, of: data.shards };
  const countedStreams = new Int32Array(data.countedStreams);
  const { ingester: options, otlp } = data.options;
  await system.spawn(
    ingester,
    { options, asker: system, logRoot: data.logRoot, blobs, shard, limits, shared, countedStreams, recentObjectsMs },
    { instance },
  );
  await parts.reachIngesters();
  await system.spawn(countedAsActivity(distributor, activity), { asker: system, ingesters, limits, shared, otlp }, { instance });
}
