import type { Batch } from '../storage/batch/batch.ts';
import type { StreamRefusal } from './protocol/ingest.ts';

/** What of one push was refused, by reason: a push may name a hundred thousand streams, and the client is told of one for each reason. */
export class Refusals {
  readonly #byReason = new Map<string, { -readonly [K in keyof StreamRefusal]: StreamRefusal[K] }>();

  /** `text` is asked for the first batch of a reason only. */
  add(reason: string, batch: Batch, text: () => string): void {
    let refusal = this.#byReason.get(reason);
    if (refusal === undefined) {
      refusal = { fault: { code: 'rate_limited', message: text(), retryAfterS: 1 }, lines: 0, bytes: 0, reason };
      this.#byReason.set(reason, refusal);
    }
    refusal.lines += batch.rows;
    refusal.bytes += batch.lineBytes + batch.metadataBytes;
  }

  get none(): boolean {
    return this.#byReason.size === 0;
  }

  list(): StreamRefusal[] {
    return [...this.#byReason.values()];
  }
}
