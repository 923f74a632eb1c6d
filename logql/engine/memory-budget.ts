import { Fault } from '../../ops/base/fault.ts';

/** Memory that several pieces of work share: each may take of it until it is used up. */
export interface MemoryPool {
  /** Throws Fault overloaded if that much is not left. */
  take(bytes: number): void;
  give(bytes: number): void;
}

/** Memory of all queries of one actor. */
export class SharedMemory implements MemoryPool {
  #held = 0;
  readonly #what: string;
  readonly #limitBytes: number;

  /** `what`: whose memory it is, for the message. */
  constructor(what: string, limitBytes: number) {
    this.#what = what;
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#held;
  }

  take(bytes: number): void {
    if (this.#held + bytes > this.#limitBytes) {
      const message = `the queries that ${this.#what} works on hold ${this.#held} bytes together, and one needs ${bytes} more, limit: ${this.#limitBytes}`;
      throw new Fault('overloaded', message, { retryAfterS: 2 });
    }
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** Memory of one piece of a query. What is taken is about what V8 and the buffers hold, not to the byte; `close` gives all of it back. */
export class MemoryBudget {
  #held = 0;
  /** Of the pool, beside what is held: other copies of it. */
  #copies = 0;
  #most = 0;
  #closed = false;
  readonly #limitBytes: number;
  readonly #pool: MemoryPool | undefined;

  /** `limitBytes`: 0 is no limit of its own. */
  constructor(limitBytes: number, pool?: MemoryPool) {
    this.#limitBytes = limitBytes === 0 ? Number.POSITIVE_INFINITY : limitBytes;
    this.#pool = pool;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** The most that was held at a time. */
  get mostBytes(): number {
    return this.#most;
  }

  /** Throws Fault limit_exceeded, what the pool throws, or cancelled once it is closed: nobody would give it back. */
  take(bytes: number): void {
    this.#take(bytes, 0);
  }

  /** Of the same content in so many copies, of which one counts for the query: how many there are is nothing that who asks could do anything about. All count for the pool. Throws as
   *  `take` does. */
  takeCopies(bytes: number, copies: number): void {
    const one = Math.ceil(bytes / copies);
    this.#take(one, bytes - one);
  }

  #take(bytes: number, copiesBytes: number): void {
    if (this.#closed) throw new Fault('cancelled', 'the query that needs memory has ended');
    if (this.#held + bytes > this.#limitBytes) {
      throw new Fault(
        'limit_exceeded',
        `the query needs more memory than it may have (max_query_memory: ${this.#limitBytes} bytes, held: ${this.#held}, wanted: ${bytes} more): ` +
          'ask for less of the time, for fewer lines, or group by labels with fewer values',
      );
    }
    this.#pool?.take(bytes + copiesBytes);
    this.#held += bytes;
    this.#copies += copiesBytes;
    if (this.#held > this.#most) this.#most = this.#held;
  }

  give(bytes: number): void {
    if (this.#closed) return;
    this.#pool?.give(bytes);
    this.#held -= bytes;
  }

  /** Gives back what is held. */
  close(): void {
    this.give(this.#held);
    if (!this.#closed) this.#pool?.give(this.#copies);
    this.#closed = true;
  }
}
