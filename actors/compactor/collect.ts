import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { levelZeroGarbage, type Survey, segmentGarbage } from '../../storage/segment/garbage.ts';
import type { StorageSurvey } from './survey.ts';

/** No tenant's segment has such a key. */
const CLOCK_PREFIX = '_clock/';
const CLOCK_KEY = `${CLOCK_PREFIX}compactor`;

/** What time it is by the store's own clock, milliseconds since the epoch; costs a small object. Throws what the store throws. */
export async function storeClock(blobs: BlobStore): Promise<number> {
  await blobs.put(CLOCK_KEY, Buffer.alloc(0));
  for await (const { key, createdMs } of blobs.list(CLOCK_PREFIX)) if (key === CLOCK_KEY) return createdMs;
  throw new Fault('unavailable', `${CLOCK_KEY} was put and is not listed`);
}

/** Objects that can be deleted, in the order in which they are to be: what was merged before what it was merged into. `nowMs`: the store's clock, read before the
 *  survey. */
export function garbage({ levelZero, days, live }: StorageSurvey, { nowMs, graceMs }: Pick<Survey, 'nowMs' | 'graceMs'>): string[] {
  const survey: Survey = { levelZero, live, nowMs, graceMs };
  return [...levelZeroGarbage(survey), ...days.flatMap((day) => segmentGarbage(day.live, survey))];
}
