import type { Timers } from '../../ops/base/world.ts';
import { UnsentError } from '../kafka/failures.ts';
import type { Position } from './ingest-log.ts';

/** Records for one partition. */
export interface Parcel {
  readonly partition: number;
  readonly records: readonly Uint8Array[];
}

export interface CourierOptions {
  /** Makes one request of parcels for different partitions, which are at one broker as far as is known, that may wait so long for copies; resolves with the position of the first record of each, undefined for
   *  what was not sent, as the client knows of no such partition. */
  readonly deliver: (parcels: readonly Parcel[], timeoutMs: number) => Promise<readonly (Position | undefined)[]>;
  readonly timeoutMs: number;
  /** Which broker a partition is at. */
  readonly brokerOf: (partition: number) => number;
  readonly timers: Timers;
}

interface Waiting extends Parcel {
  readonly resolve: (first: Position) => void;
  readonly reject: (error: unknown) => void;
}

/** Puts what several partitions of a broker have to send at one time into one request: a request costs as much as what is in it. Which of its partitions one that failed was about is not told: so of each it is in doubt. */
export class Courier {
  readonly #options: CourierOptions;
  #waiting: Waiting[] = [];

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Resolves with the position of the first record. `alone`: in a request of its own, whose failure says what it is about. */
  send(partition: number, records: readonly Uint8Array[], alone: boolean): Promise<Position> {
    return new Promise((resolve, reject) => {
      const parcel = { partition, records, resolve, reject };
      // What others send to the broker waits behind it.
      if (alone) void this.#deliver([parcel], this.#options.timeoutMs / 2);
      else if (this.#waiting.push(parcel) === 1) void this.#options.timers.yield().then(() => this.#deliverAll());
    });
  }

  #deliverAll(): void {
    const byBroker = Map.groupBy(this.#waiting, ({ partition }) => this.#options.brokerOf(partition));
    this.#waiting = [];
    for (const parcels of byBroker.values()) void this.#deliver(parcels, this.#options.timeoutMs);
  }

  async #deliver(parcels: readonly Waiting[], timeoutMs: number): Promise<void> {
    try {
      const firsts = await this.#options.deliver(parcels, timeoutMs);
      for (const [index, { partition, resolve, reject }] of parcels.entries()) {
        const first = firsts[index];
        if (first === undefined) reject(new UnsentError(`the client knows of no partition ${partition}`));
        else resolve(first);
      }
    } catch (error) {
      const isShared = parcels.length > 1 && !(error instanceof UnsentError);
      const told = isShared ? new Error(`a request for ${parcels.length} partitions: ${(error as Error).message}`) : error;
      for (const { reject } of parcels) reject(told);
    }
  }
}
