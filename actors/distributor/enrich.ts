import { type Label, type Labels, labelValue, toLabels } from '../../logql/model.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { TenantLimits } from '../limits.ts';
import { type Level, LevelFinder, levelOf } from './levels.ts';

export const DETECTED_LEVEL = 'detected_level';
const SERVICE_NAME = 'service_name';
const UNKNOWN_SERVICE = 'unknown_service';

/** The labels of a stream with the service that they name; that label is added where the client did not send it. */
export function withServiceName(pairs: readonly Label[], limits: TenantLimits): Labels {
  const labels = toLabels(pairs.filter(([, value]) => value !== '')); // an empty one takes nothing from another of its name
  if (limits.discoverServiceName.length === 0 || labelValue(labels, SERVICE_NAME) !== '') return labels;
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

/** The same of an entry's metadata, names and values in turn, none of them empty; where no level is named, by OpenTelemetry's severity number. */
export function levelOfMetadata(pairs: readonly string[], limits: TenantLimits): string | undefined {
  for (const name of limits.logLevelFields) {
    for (let index = 0; index < pairs.length; index += 2) if (pairs[index] === name) return levelOf(pairs[index + 1]) ?? pairs[index + 1];
  }
  const number = pairs.findIndex((name, index) => index % 2 === 0 && name === 'severity_number');
  return number < 0 ? undefined : levelOfSeverity(pairs[number + 1]);
}

const SEVERITIES: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** Four numbers to a level, from 1 on. Source: OpenTelemetry's log data model; what is no number counts as info, as in Loki. */
function levelOfSeverity(text: string): Level {
  if (!/^[+-]?\d+$/.test(text)) return 'info';
  const severity = Number(text);
  return severity === 0 ? 'unknown' : (SEVERITIES[Math.max(0, Math.ceil(severity / 4) - 1)] ?? 'unknown');
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

const RESERVED = /^__(.*)__$/s;
const OTHER_CHARACTERS = /[^a-zA-Z0-9]+/gu;
const CLEAN = /^(?:[a-zA-Z][a-zA-Z0-9]*(?:_[a-zA-Z0-9]+)*_?|_[a-zA-Z0-9]+(?:_[a-zA-Z0-9]+)*_?)$/;

/** A metadata name as a label name: each run of other characters than letters and digits becomes `_`, a leading digit gets `key_` in front, and the underscores
 *  around `__name__` stay. Throws Fault bad_request if nothing is left. */
export function sanitizeName(name: string): string {
  if (CLEAN.test(name)) return name;
  const reserved = RESERVED.exec(name)?.[1];
  const plain = (reserved ?? name).replace(OTHER_CHARACTERS, '_');
  const clean = reserved === undefined ? (/^\d/.test(plain) ? `key_${plain}` : plain) : `__${plain}__`;
  if (/^_*$/.test(clean))
    throw new Fault('bad_request', `structured metadata name ${JSON.stringify(name.slice(0, 100))} holds no letter or digit`);
  return clean;
}
