import { countedAsActivity } from '../../actors/activity.ts';
import { patternIngester } from '../../actors/pattern-ingester/pattern-ingester.ts';
import { querier } from '../../actors/querier/querier.ts';
import { tailer } from '../../actors/tail/tailer.ts';
import type { ThreadParts } from './worker.ts';

/** What reads for others: queries, patterns, tails. */
export async function spawnActors(parts: ThreadParts): Promise<void> {
  const { system, data, instance, peers, activity, blobs, limits } = parts;
  const { querier: options, patternIngester: patternOptions } = data.options;
  const [ingesters, schedulers] = await Promise.all([peers.ingesters(), peers.schedulers()]);
  await parts.reachOwn('ingester');
  await system.spawn(countedAsActivity(querier, activity), { options, messenger: system, schedulers, ingesters, blobs }, { instance });
  const { maxListingAge: maxListingAgeMs } = options;
  await system.spawn(patternIngester, { options: patternOptions, maxListingAgeMs, asker: system, ingesters, blobs }, { instance });
  await system.spawn(tailer, { messenger: system, ingesters, limits }, { instance });
}
