import { formatLabels } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { type StreamHash, streamHash } from '../../storage/batch/batch.ts';
import { checkLabelsSize, readLabels } from '../../storage/batch/labels-text.ts';
import type { LabelForm } from '../../storage/batch/push-sink.ts';
import type { TenantLimits } from '../limits.ts';
import { levelOfLabels, withServiceName } from './enrich.ts';
import { type Refusal, refuseLabels } from './validate.ts';

/** What is known of a stream from its labels alone. */
export interface KnownStream {
  /** Canonical, service_name included. */
  readonly labels: string;
  readonly hash: StreamHash;
  /** The level of all its entries, if a label gives one. */
  readonly level: string | undefined;
  /** Why none of its entries is taken. */
  readonly refusal: Refusal | undefined;
  /** The limits that the above follows from. */
  readonly limits: TenantLimits;
}

/** Labels as clients send them, to what follows from them: clients repeat them in every push, and parsing, hashing and checking them is dear.
 *  Bounded in bytes: what was not asked for while half of that came in is forgotten. */
export class StreamCache {
  readonly #halfBytes: number;
  #young = new Map<string, KnownStream>();
  #old = new Map<string, KnownStream>();
  #youngBytes = 0;

  constructor(maxBytes = 96 * MiB) {
    this.#halfBytes = maxBytes / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The stream whose labels are bytes [from, to). Throws Fault bad_request, too_large on labels that cannot be read. */
  of(tenant: string, form: LabelForm, bytes: Buffer, from: number, to: number, limits: TenantLimits): KnownStream {
    checkLabelsSize(to - from);
    const key = `${tenant}\0${form}${bytes.toString('latin1', from, to)}`;
    const young = this.#young.get(key);
    if (young !== undefined && young.limits === limits) return young;
    const old = this.#old.get(key);
    const known = old !== undefined && old.limits === limits ? old : this.#read(tenant, form, bytes, from, to, limits);
    // Map, strings and objects around the texts are worth about 400 bytes.
    this.#youngBytes += key.length + known.labels.length + 400;
    if (this.#youngBytes > this.#halfBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = key.length + known.labels.length + 400;
    }
    this.#young.set(key, known);
    return known;
  }

  #read(tenant: string, form: LabelForm, bytes: Buffer, from: number, to: number, limits: TenantLimits): KnownStream {
    const pairs = readLabels(form, bytes, from, to);
    const labels = withServiceName(pairs, limits);
    const text = formatLabels(labels);
    return {
      labels: text,
      hash: streamHash(tenant, text),
      level: levelOfLabels(labels, limits),
      refusal: refuseLabels(tenant, pairs, labels, text, limits),
      limits,
    };
  }
}
