import { levelZeroGarbage, type Survey, segmentGarbage } from '../../storage/segment/garbage.ts';
import type { StorageSurvey } from './survey.ts';

/** Objects that can be deleted, in the order in which they are to be: what was merged before what it was merged into. */
export function garbage({ levelZero, days, live, startedMs }: StorageSurvey, graceMs: number): string[] {
  const survey: Survey = { levelZero, live, nowMs: startedMs, graceMs };
  return [...levelZeroGarbage(survey), ...days.flatMap((day) => segmentGarbage(day.live, survey))];
}
