import { countedAsActivity } from '../../actors/activity.ts';
import { distributor } from '../../actors/distributor/distributor.ts';
import { ingester } from '../../actors/ingester/ingester.ts';
import { sharedLimits } from '../../actors/limit-shares.ts';
import type { ThreadParts } from './worker.ts';

/** What a push goes through. Nothing that takes long is beside it: a push would wait for it at each of its steps. */
export async function spawnActors(parts: ThreadParts): Promise<void> {
  const { system, data, instance, peers, activity, blobs, shared, recentObjectsMs } = parts;
  const limits = sharedLimits(parts.limits, await peers.limitShares());
  const shard = { index: data.place.index, of: data.shards };
  const countedStreams = new Int32Array(data.countedStreams);
  const { ingester: options, kafka, otlp } = data.options;
  if (data.components.has('ingester')) {
    const { logRoot } = data;
    const neighbours = await peers.neighbours();
    const buffered = data.isBuffered ? { kafka, ring: await peers.ingesterRing(), process: data.cluster!.instance } : undefined;
    const deps = { options, asker: system, logRoot, blobs, shard, limits, shared, countedStreams, recentObjectsMs, neighbours, buffered };
    await system.spawn(ingester, deps, { instance });
  }
  if (data.components.has('distributor')) {
    const ingesters = await peers.ingesters();
    await parts.reachOwn('ingester');
    const { streamIdlePeriod } = options;
    const buffer = data.isBuffered ? { kafka, countedStreams, streamIdlePeriod } : undefined;
    await system.spawn(countedAsActivity(distributor, activity), { asker: system, ingesters, buffer, limits, shared, otlp }, { instance });
  }
}
