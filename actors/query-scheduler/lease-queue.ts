import { noQuerier } from '../schedulers.ts';

/** What is wanted of a querier. */
export interface Wish {
  readonly tenant: string;
  /** The querier that knows most of what the job needs, if it is free. */
  readonly preferred: string;
  /** Those that have failed the job, asked again only where there are no others. */
  readonly avoided: readonly string[];
}

/** A place of one job at a querier. */
export interface HeldLease {
  readonly querier: string;
  /** To be called once. */
  release(): void;
}

interface Waiting extends Wish {
  readonly granted: (lease: HeldLease) => void;
  readonly refused: (error: unknown) => void;
}

interface Place {
  readonly slots: number;
  busy: number;
}

/** A tenant holds at most this share of all slots: the rest is for the others, whose small jobs would wait for its long ones. */
const MOST_OF_ONE_TENANT = 0.75;

/** Queriers and the jobs that wait for them. A tenant's jobs come in their order, tenants take turns. */
export class LeaseQueue {
  readonly #places = new Map<string, Place>();
  /** Of all queriers. */
  #slots = 0;
  /** In the order in which tenants' turns come. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #held = new Map<string, number>();
  readonly #onLength: (tenant: string, length: number) => void;

  /** `onLength` is told how many jobs of a tenant wait, whenever that changes. */
  constructor(onLength: (tenant: string, length: number) => void) {
    this.#onLength = onLength;
  }

  /** Sorted. */
  get queriers(): readonly string[] {
    return [...this.#places.keys()].sort();
  }

  /** Jobs at queriers. */
  get running(): number {
    return [...this.#held.values()].reduce((sum, held) => sum + held, 0);
  }

  /** The querier takes jobs until what is returned is called. One that attaches anew takes the place of its former self. */
  attach(querier: string, slots: number): () => void {
    const place: Place = { slots, busy: 0 };
    this.#slots += slots - (this.#places.get(querier)?.slots ?? 0);
    this.#places.set(querier, place);
    this.#grant();
    return () => {
      if (this.#places.get(querier) !== place) return;
      this.#places.delete(querier);
      this.#slots -= slots;
      if (this.#places.size > 0) return;
      for (const { refused } of [...this.#waiting.values()].flat()) refused(noQuerier());
    };
  }

  /** Resolves when it is the job's turn; rejects with the signal's reason, or with Fault unavailable when there is no querier. */
  lease(wish: Wish, signal: AbortSignal): Promise<HeldLease> {
    if (this.#places.size === 0) return Promise.reject(noQuerier());
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        ...wish,
        granted: (lease) => {
          signal.removeEventListener('abort', stop);
          resolve(lease);
        },
        refused: (error) => {
          signal.removeEventListener('abort', stop);
          this.#remove(waiting);
          reject(error);
        },
      };
      const stop = (): void => waiting.refused(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      const { tenant } = wish;
      const queue = this.#waiting.get(tenant);
      if (queue === undefined) this.#waiting.set(tenant, [waiting]);
      else queue.push(waiting);
      this.#onLength(tenant, this.#waiting.get(tenant)?.length ?? 0);
      this.#grant();
    });
  }

  /** Gives what is free to those whose turn it is. */
  #grant(): void {
    let isFree = true;
    while (isFree) {
      isFree = false;
      for (const [tenant, [first]] of [...this.#waiting]) {
        const querier = this.#querierFor(first);
        if (querier === undefined) continue;
        this.#remove(first);
        this.#toTheEnd(tenant);
        first.granted(this.#hold(tenant, querier));
        isFree = true;
      }
    }
  }

  #querierFor({ tenant, preferred, avoided }: Wish): string | undefined {
    if ((this.#held.get(tenant) ?? 0) >= Math.max(1, Math.floor(this.#slots * MOST_OF_ONE_TENANT))) return undefined;
    const areAllAvoided = [...this.#places.keys()].every((querier) => avoided.includes(querier));
    let least: string | undefined;
    let leastBusy = Number.POSITIVE_INFINITY;
    for (const [querier, { busy, slots }] of this.#places) {
      if (busy >= slots || (!areAllAvoided && avoided.includes(querier))) continue;
      if (querier === preferred) return querier;
      if (busy >= leastBusy) continue;
      least = querier;
      leastBusy = busy;
    }
    return least;
  }

  #hold(tenant: string, querier: string): HeldLease {
    const place = this.#places.get(querier)!;
    place.busy++;
    this.#held.set(tenant, (this.#held.get(tenant) ?? 0) + 1);
    const release = (): void => {
      place.busy--;
      const left = this.#held.get(tenant)! - 1;
      if (left === 0) this.#held.delete(tenant);
      else this.#held.set(tenant, left);
      this.#grant();
    };
    return { querier, release };
  }

  #toTheEnd(tenant: string): void {
    const queue = this.#waiting.get(tenant);
    if (queue === undefined) return;
    this.#waiting.delete(tenant);
    this.#waiting.set(tenant, queue);
  }

  #remove(waiting: Waiting): void {
    const { tenant } = waiting;
    const queue = this.#waiting.get(tenant);
    const at = queue?.indexOf(waiting) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#waiting.delete(tenant);
    this.#onLength(tenant, queue.length);
  }
}
