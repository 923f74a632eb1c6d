import { Fault } from '../../ops/base/fault.ts';
import type { DiscardReason, Refusal } from './validate.ts';

/** Different texts that a client is shown; a push can have one for each of its entries. */
const MAX_MESSAGES = 10;

export interface Discarded {
  readonly reason: DiscardReason;
  readonly lines: number;
  readonly bytes: number;
}

/** Counts what of a push is refused, and puts together what the client is told. */
export class Discards {
  readonly #byReason = new Map<DiscardReason, { lines: number; bytes: number }>();
  readonly #messages = new Map<string, number>();
  #others = 0;

  count(reason: DiscardReason, bytes: number): void {
    const known = this.#byReason.get(reason);
    if (known === undefined) this.#byReason.set(reason, { lines: 1, bytes });
    else {
      known.lines++;
      known.bytes += bytes;
    }
  }

  /** `refusal` is asked for only while its text would be shown. */
  tell(refusal: () => Refusal): void {
    if (this.#messages.size >= MAX_MESSAGES) {
      this.#others++;
      return;
    }
    const { message } = refusal();
    this.#messages.set(message, (this.#messages.get(message) ?? 0) + 1);
  }

  list(): Discarded[] {
    return [...this.#byReason].map(([reason, counts]) => ({ reason, ...counts }));
  }

  /** One text for all, equal ones counted; undefined if nothing was refused. */
  fault(): Fault | undefined {
    const messages = [...this.#messages];
    if (messages.length === 0) return undefined;
    const [[first, times]] = messages;
    if (messages.length === 1 && times === 1 && this.#others === 0) return new Fault('bad_request', first);
    const parts = messages.map(([message, count]) => `${count} errors like: ${message}`);
    if (this.#others > 0) parts.push(`${this.#others} other errors`);
    return new Fault('bad_request', parts.join('; '));
  }
}
