import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import type { Giver } from '../protocol/ingest.ts';

/** A giver that is silent for so long has given up. */
const GRANT_MS = 30_000;

/** A shard's leave to one giver at a time to send what it had. */
export class Grant {
  readonly #clock: Clock;
  #giver: Giver | undefined;
  #untilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether it is the giver's now. */
  give(giver: Giver): boolean {
    if (this.#isAnothers(giver)) return false;
    this.#giver = giver;
    this.#untilMs = this.#clock.monotonicMs() + GRANT_MS;
    return true;
  }

  /** Throws Fault unavailable if another giver has it by now. */
  renew(giver: Giver): void {
    if (!this.give(giver)) throw new Fault('unavailable', `another handoff is under way, from ${this.#giver?.process}`, { retryAfterS: 1 });
  }

  end(giver: Giver): void {
    if (this.#giver !== undefined && !this.#isAnothers(giver)) this.#giver = undefined;
  }

  /** An earlier attempt of the same process is over. */
  #isAnothers({ process }: Giver): boolean {
    return this.#giver !== undefined && this.#giver.process !== process && this.#clock.monotonicMs() < this.#untilMs;
  }
}
