import { lengthOf } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import { segmentFor } from '../../storage/segment/compaction.ts';
import { namingObject } from '../../storage/segment/damaged-object.ts';
import type { FilterOptions } from '../../storage/segment/filter-writer.ts';
import type { Footer } from '../../storage/segment/footer.ts';
import { mergeDay } from '../../storage/segment/merge-day.ts';
import { readFooter } from '../../storage/segment/reader.ts';
import type { PlannedCompaction } from './plan.ts';
import type { Surveyor } from './survey.ts';

export interface CompactDeps {
  readonly blobs: BlobStore;
  readonly world: World;
  readonly surveyor: Surveyor;
  readonly giveWay: () => Promise<void>;
  readonly filters: FilterOptions;
  /** How long before now the survey that the plan is from may have begun. */
  readonly mostAgeMs: number;
}

/** How a compaction ended. `given_up`: what it merged is merged already, or it took too long; the next survey says what is left. */
export type CompactOutcome =
  | { readonly kind: 'given_up'; readonly reason: string }
  | {
      readonly kind: 'done';
      readonly key: string;
      readonly fetchedBytes: number;
      readonly storedBytes: number;
      readonly duplicates: number;
    };

/** Merges what is planned and puts the segment: one put takes the place of everything that was merged. Until then nothing is changed, and whatever ends this before is
 *  of no consequence. Throws DamagedObject, Fault internal rather than lose an entry, and what the store throws. */
export async function compact(
  plan: PlannedCompaction,
  survey: { readonly startedMs: number; readonly floors: ReadonlyMap<string, Position> },
  deps: CompactDeps,
): Promise<CompactOutcome> {
  const { blobs, filters } = deps;
  const { tenant, day } = plan;
  const giveWay = async (): Promise<void> => {
    await deps.giveWay();
    const late = tooLate(survey.startedMs, deps);
    if (late !== undefined) throw new TooLate(late);
  };
  try {
    const inputs = [];
    for (const { key, sizeBytes, oldestMs } of plan.parts) {
      inputs.push({ key, oldestMs, footer: await footerOf(blobs, key, sizeBytes) });
      await giveWay();
    }
    const compaction = { tenant, day, inputs };
    const { key, info } = segmentFor(compaction, survey.floors);
    const { body, fetchedBytes, duplicates } = await mergeDay({ ...compaction, info }, { blobs, giveWay, filters });
    const reason = await whyNot(plan, survey.startedMs, deps);
    if (reason !== undefined) return { kind: 'given_up', reason };
    await putIfAbsent(blobs, key, body, deps.giveWay);
    return { kind: 'done', key, fetchedBytes, storedBytes: lengthOf(body), duplicates };
  } catch (error) {
    const isOver = error instanceof TooLate || (error instanceof Fault && error.code === 'not_found');
    if (isOver) return { kind: 'given_up', reason: error.message };
    throw error;
  }
}

/** Ends a merge whose segment might not be put any more. */
class TooLate extends Error {
  override readonly name = 'TooLate';
}

/** That the survey which began then is too old by now. */
function tooLate(startedMs: number, { world, mostAgeMs }: Pick<CompactDeps, 'world' | 'mostAgeMs'>): string | undefined {
  const ageMs = world.clock.monotonicMs() - startedMs;
  return ageMs > mostAgeMs ? `it took ${Math.round(ageMs)} ms, more than ${mostAgeMs}` : undefined;
}

async function footerOf(blobs: BlobStore, key: string, sizeBytes: number): Promise<Footer> {
  try {
    return await readFooter(blobs, key, sizeBytes);
  } catch (error) {
    throw namingObject(key, error);
  }
}

/** Why the segment must not be put; undefined if it may. */
async function whyNot({ tenant, day, parts }: PlannedCompaction, startedMs: number, deps: CompactDeps): Promise<string | undefined> {
  const now = await deps.surveyor.surveyDay(
    tenant,
    day,
    parts.map(({ key }) => key),
  );
  const counting = new Set([...now.live.accepted, ...now.levelZero].map(({ key }) => key));
  const merged = parts.find(({ key }) => !counting.has(key));
  if (merged !== undefined) return `${merged.key} has been merged by another`;
  return tooLate(startedMs, deps);
}

async function putIfAbsent(blobs: BlobStore, key: string, body: readonly Uint8Array[], pace: () => Promise<void>): Promise<void> {
  try {
    await blobs.put(key, body, { ifAbsent: true, pace });
  } catch (error) {
    // The key says what was merged: another, or an earlier try, was as far.
    if (!(error instanceof Fault) || error.code !== 'exists') throw error;
  }
}
