import { lengthOf } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { LevelZeroInfo } from '../../storage/segment/footer.ts';
import { levelZeroKey } from '../../storage/segment/keys.ts';
import { SegmentWriter } from '../../storage/segment/writer.ts';
import type { HeadSet } from './head-set.ts';

export interface LevelZeroObject {
  readonly key: string;
  readonly body: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly chunks: number;
}

/** Writes all heads of `set` as one object that covers records [from, to) of the log. */
export async function writeObject(set: HeadSet, range: LevelZeroInfo, world: World): Promise<LevelZeroObject> {
  const writer = new SegmentWriter(world);
  let chunks = 0;
  for (const stream of set.sorted()) {
    for (const [, heads] of stream.hours()) {
      for (const head of heads) {
        await writer.add(stream, head.block());
        chunks++;
      }
    }
  }
  const body = writer.finish(range);
  return { key: levelZeroKey(range.log, range.from), body, sizeBytes: lengthOf(body), chunks };
}

/** Puts the object, however long storage is away. Throws stale_incarnation if another writer's object starts at the same position: then this log has a newer
 *  owner, and nothing of ours may follow. */
export async function putObject(
  blobs: BlobStore,
  object: LevelZeroObject,
  deps: { world: World; instruments: Instruments; signal: AbortSignal },
): Promise<void> {
  const { world, instruments, signal } = deps;
  const failures = instruments.counter('loki_ingester_chunks_flush_failures_total', 'Flushes that failed and were tried again.');
  for (let attempt = 0; ; attempt++) {
    try {
      return await putOrSettle(blobs, object);
    } catch (error) {
      if (error instanceof Fault && error.code === 'stale_incarnation') throw error;
      failures.add(1);
      instruments.log.warn('flush failed, will be tried again', { key: object.key, attempt, error: String(error) });
      await world.timers.sleep(Math.min(100 * 2 ** attempt, 10_000) * (0.5 + world.random.next() / 2), signal);
    }
  }
}

/** An earlier try of ours may have made the object and then failed to say so: equal bytes are ours, and putting them again makes them durable. */
async function putOrSettle(blobs: BlobStore, object: LevelZeroObject): Promise<void> {
  try {
    return await blobs.put(object.key, object.body, { ifAbsent: true });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'exists') throw error;
  }
  const stored = await blobs.get(object.key);
  if (stored.equals(Buffer.concat(object.body))) return blobs.put(object.key, object.body);
  throw new Fault('stale_incarnation', `${object.key} was written by another owner of the log`);
}
