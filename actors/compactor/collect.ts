import { levelZeroGarbage, type Survey, segmentGarbage } from '../../storage/segment/garbage.ts';
import type { StorageSurvey } from './survey.ts';

/** Objects that can be deleted, some at a time, in the order in which they are to be: what was merged before what it was merged into. */
export function* garbage({ levelZero, days, live, startedMs }: StorageSurvey, graceMs: number): Generator<readonly string[], void, void> {
  const survey: Survey = { levelZero, live, nowMs: startedMs, graceMs };
  yield levelZeroGarbage(survey);
  for (const day of days) yield segmentGarbage(day.live, survey);
}
