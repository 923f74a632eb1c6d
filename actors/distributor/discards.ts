import { Fault } from '../../ops/base/fault.ts';
import type { DiscardReason, Refusal } from './validate.ts';

/** Different texts that a client is shown; a push can have one for each of its entries. */
const MAX_MESSAGES = 10;

/** A text that the client is told, and how often it is true. */
interface Told {
  readonly reason: DiscardReason;
  readonly about: unknown;
  readonly value: number;
  readonly message: string;
  times: number;
}

export interface Discarded {
  readonly reason: DiscardReason;
  readonly lines: number;
  readonly bytes: number;
}

/** Counts what of a push is refused, and puts together what the client is told. */
export class Discards {
  readonly #byReason = new Map<DiscardReason, { lines: number; bytes: number }>();
  readonly #told: Told[] = [];
  #others = 0;

  count(reason: DiscardReason, bytes: number): void {
    const known = this.#byReason.get(reason);
    if (known === undefined) this.#byReason.set(reason, { lines: 1, bytes });
    else {
      known.lines++;
      known.bytes += bytes;
    }
  }

  /** Of one reason, texts are equal where `about` and `value` are. `refusal` is asked for only if its text is shown and not known: of one push, millions of entries
   *  can be refused. */
  tell(reason: DiscardReason, about: unknown, value: number, refusal: () => Refusal): void {
    for (const told of this.#told) {
      if (told.value === value && told.about === about && told.reason === reason) {
        told.times++;
        return;
      }
    }
    if (this.#told.length === MAX_MESSAGES) this.#others++;
    else this.#told.push({ reason, about, value, message: refusal().message, times: 1 });
  }

  list(): Discarded[] {
    return [...this.#byReason].map(([reason, counts]) => ({ reason, ...counts }));
  }

  /** One text for all, equal ones counted; undefined if nothing was refused. */
  fault(): Fault | undefined {
    const told = this.#told;
    if (told.length === 0) return undefined;
    if (told.length === 1 && told[0].times === 1 && this.#others === 0) return new Fault('bad_request', told[0].message);
    const parts = told.map(({ message, times }) => `${times} errors like: ${message}`);
    if (this.#others > 0) parts.push(`${this.#others} other errors`);
    return new Fault('bad_request', parts.join('; '));
  }
}
