import { compareUtf8, formatLabels, type Label, type Labels } from '../../logql/model.ts';
import type { TenantLimits } from '../limits.ts';

/** Values of the label `reason` of loki_discarded_samples_total. */
export type DiscardReason =
  | 'missing_labels'
  | 'invalid_labels'
  | 'missing_enforced_labels'
  | 'max_label_names_per_series'
  | 'label_name_too_long'
  | 'label_value_too_long'
  | 'duplicate_label_names'
  | 'greater_than_max_sample_age'
  | 'too_far_in_future'
  | 'line_too_long'
  | 'disallowed_structured_metadata'
  | 'structured_metadata_too_large'
  | 'structured_metadata_too_many';

/** Why a stream or an entry is not taken, and Loki's text about it: clients match on it. */
export interface Refusal {
  readonly reason: DiscardReason;
  readonly message: string;
}

const SERVICE_NAME = 'service_name';
/** Names and values are shown up to this length; a client can send megabytes of them. */
const MAX_SHOWN = 4_096;

/** What of a text is shown in a message. */
function shown(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

/** Why no entry of a stream is taken; undefined if they are. `pairs`: labels as they came in, where a name may stand twice; `stream`: canonical text of `labels`. */
export function refuseLabels(
  tenant: string,
  pairs: readonly Label[],
  labels: Labels,
  stream: string,
  limits: TenantLimits,
): Refusal | undefined {
  if (labels.length === 0) return { reason: 'missing_labels', message: 'error at least one label pair is required per stream' };
  const names = new Set(labels.map(([name]) => name));
  const count = names.has(SERVICE_NAME) ? names.size - 1 : names.size;
  if (count > limits.maxLabelNamesPerSeries) {
    const message = `entry for stream '${shown(stream)}' has ${count} label names; limit ${limits.maxLabelNamesPerSeries}`;
    return { reason: 'max_label_names_per_series', message };
  }
  for (const [name, value] of labels) {
    if (Buffer.byteLength(name) > limits.maxLabelNameLength) {
      return { reason: 'label_name_too_long', message: `stream '${shown(stream)}' has label name too long: '${shown(name)}'` };
    }
    if (Buffer.byteLength(value) > limits.maxLabelValueLength) {
      return { reason: 'label_value_too_long', message: `stream '${shown(stream)}' has label value too long: '${shown(value)}'` };
    }
  }
  const sent = pairs.filter(([, value]) => value !== '');
  if (new Set(sent.map(([name]) => name)).size < sent.length) return refuseRepeated(sent, labels);
  const missing = limits.enforcedLabels.filter((name) => !names.has(name));
  if (missing.length > 0) {
    const message = `missing required labels '${missing.join(',')}' for user '${tenant}' for stream '${shown(stream)}' (policy: '')`;
    return { reason: 'missing_enforced_labels', message };
  }
  return undefined;
}

/** The message shows the stream with every pair that it came with, and names the first label that stands twice there. */
function refuseRepeated(sent: readonly Label[], labels: Labels): Refusal {
  const names = new Set(sent.map(([name]) => name));
  const all = [...sent, ...labels.filter(([name]) => !names.has(name))].sort(([a], [b]) => compareUtf8(a, b));
  const twice = all.findIndex(([name], index) => index > 0 && name === all[index - 1][0]);
  const message = `stream '${shown(formatLabels(all))}' has duplicate label name: '${shown(all[twice][0])}'`;
  return { reason: 'duplicate_label_names', message };
}

export function tooOld(stream: string, seconds: number, oldestSeconds: number): Refusal {
  return {
    reason: 'greater_than_max_sample_age',
    message: `entry for stream '${shown(stream)}' has timestamp too old: ${rfc3339(seconds)}, oldest acceptable timestamp is: ${rfc3339(oldestSeconds)}`,
  };
}

export function tooNew(stream: string, seconds: number): Refusal {
  return { reason: 'too_far_in_future', message: `entry for stream '${shown(stream)}' has timestamp too new: ${rfc3339(seconds)}` };
}

export function lineTooLong(stream: string, length: number, limit: number): Refusal {
  return {
    reason: 'line_too_long',
    message: `max entry size '${limit}' bytes exceeded for stream '${shown(stream)}' while adding an entry with length '${length}' bytes`,
  };
}

/** Why an entry with `count` metadata pairs of `size` bytes is not taken; undefined if it is. Wants count > 0. */
export function refuseMetadata(stream: string, count: number, size: number, limits: TenantLimits): Refusal | undefined {
  const of = `stream '${shown(stream)}'`;
  if (!limits.allowStructuredMetadata) {
    return {
      reason: 'disallowed_structured_metadata',
      message: `${of} includes structured metadata, but this feature is disallowed. Please see \`limits_config.allow_structured_metadata\` or contact your Loki administrator to enable it`,
    };
  }
  if (limits.maxStructuredMetadataSize > 0 && size > limits.maxStructuredMetadataSize) {
    return {
      reason: 'structured_metadata_too_large',
      message: `${of} has structured metadata too large: '${size}' bytes, limit: '${limits.maxStructuredMetadataSize}' bytes. Please see \`limits_config.max_structured_metadata_size\` or contact your Loki administrator to increase it`,
    };
  }
  if (limits.maxStructuredMetadataEntriesCount > 0 && count > limits.maxStructuredMetadataEntriesCount) {
    return {
      reason: 'structured_metadata_too_many',
      message: `${of} has too many structured metadata labels: '${count}', limit: '${limits.maxStructuredMetadataEntriesCount}'. Please see \`limits_config.max_structured_metadata_entries_count\` or contact your Loki administrator to increase it`,
    };
  }
  return undefined;
}

/** Second 0 of the year 1, which is what a time that is absent is to Go. */
const YEAR_1 = -62_135_596_800;
const YEAR_10000 = 253_402_300_800;

function rfc3339(seconds: number): string {
  const within = Math.min(Math.max(seconds, YEAR_1), YEAR_10000 - 1);
  return `${new Date(within * 1_000).toISOString().slice(0, 19)}Z`;
}
