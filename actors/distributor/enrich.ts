import { type Label, type Labels, labelValue, toLabels } from '../../logql/model.ts';
import type { TenantLimits } from '../limits.ts';
import { LevelFinder, levelOf } from './levels.ts';

export const DETECTED_LEVEL = 'detected_level';
const SERVICE_NAME = 'service_name';
/** Labels of streams that a Loki makes of others; they are no service's. */
const INTERNAL = ['__aggregated_metric__', '__pattern__'];
const UNKNOWN_SERVICE = 'unknown_service';

/** The labels of a stream with the service that they name; that label is added where the client did not send it. */
export function withServiceName(pairs: readonly Label[], limits: TenantLimits): Labels {
  const labels = toLabels(pairs.filter(([, value]) => value !== '')); // an empty one takes nothing from another of its name
  if (limits.discoverServiceName.length === 0 || [SERVICE_NAME, ...INTERNAL].some((name) => labelValue(labels, name) !== '')) return labels;
  const from = limits.discoverServiceName.find((name) => labelValue(labels, name) !== '');
  return toLabels([...labels, [SERVICE_NAME, from === undefined ? UNKNOWN_SERVICE : labelValue(labels, from)]]);
}

/** The level that labels give to every entry of their stream. A value that names no level is taken as it is. */
export function levelOfLabels(labels: Labels, limits: TenantLimits): string | undefined {
  if (!findsLevels(limits)) return undefined;
  for (const name of limits.logLevelFields) {
    const value = labelValue(labels, name);
    if (value !== '') return levelOf(value) ?? value;
  }
  return undefined;
}

export function findsLevels(limits: TenantLimits): boolean {
  return limits.discoverLogLevels && limits.allowStructuredMetadata;
}

const FINDERS = new WeakMap<TenantLimits, LevelFinder>();

/** What finds levels in lines by a tenant's limits. */
export function levelFinder(limits: TenantLimits): LevelFinder {
  let finder = FINDERS.get(limits);
  if (finder === undefined) {
    finder = new LevelFinder(limits.logLevelFields, limits.logLevelFromJsonMaxDepth);
    FINDERS.set(limits, finder);
  }
  return finder;
}
