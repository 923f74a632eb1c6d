import { kafkaSource } from '../../actors/source/kafka-source.ts';
import { ONLY_INSTANCE } from './peers.ts';
import type { ThreadParts } from './worker.ts';

/** One is enough for all shards, which take what it reads in turn. */
export async function spawnActors({ system, data, reachOwn }: ThreadParts): Promise<void> {
  const { kafka, sources } = data.options;
  const own = await reachOwn('distributor');
  const deps = { kafka, sources: sources.kafka, asker: system, distributors: own.length > 0 ? own : ['any'] };
  await system.spawn(kafkaSource, deps, { instance: data.cluster?.instance ?? ONLY_INSTANCE });
}
