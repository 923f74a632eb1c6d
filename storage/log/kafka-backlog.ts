import { noInstruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { kafkaClient } from '../kafka/client.ts';
import { isTopicMissing } from '../kafka/failures.ts';
import type { KafkaOptions } from '../kafka/options.ts';
import { IngestTopic } from '../kafka/topic.ts';
import { readChain } from '../segment/chain.ts';
import { latestGeneration, partitionLog } from './generation.ts';

/** How many records of the ingest topic are in no object; of a topic that is gone there are none. Throws what the client and the store throw. */
export async function recordsNotStored(options: KafkaOptions, blobs: BlobStore, world: World): Promise<number> {
  const generation = await latestGeneration(blobs, options.topic);
  if (generation === undefined) return 0;
  const { log } = noInstruments;
  const topic = new IngestTopic({ client: kafkaClient(options, log, 1), options, world, log, mayCreate: false });
  try {
    let records = 0;
    for (const [partition, { low, high }] of await topic.ends()) {
      const { end } = await readChain(blobs, partitionLog(generation, partition));
      records += Math.max(0, high - Math.max(low, end));
    }
    return records;
  } catch (error) {
    if (isTopicMissing(error)) return 0;
    throw error;
  } finally {
    await topic.close();
  }
}
