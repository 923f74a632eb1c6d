import { Fault } from '../../ops/base/fault.ts';
import type { Ring, SeenProcess } from '../../topology/ring/ring.ts';

/** What an ingester's process knows from the ring of itself and of the others. */
export interface Neighbours {
  /** Why nothing may be pushed here, Fault unavailable: some might not look for it here, since they have not heard of this start of the process yet, or know of a later one.
   *  `meantFor`: the start that is wanted, if not any. */
  whyNoWrites(meantFor?: string): Fault | undefined;
  /** Why nothing may be read here, Fault unavailable: another start of the process is wanted, or has taken its place, and may have more. */
  whyNoReads(meantFor?: string): Fault | undefined;
  /** Whether this registration of a process is known here. */
  hasHeardOf(process: string, registration: string): boolean;
  /** The processes that somebody who knows those of these names does not know. */
  beyond(known: readonly string[]): SeenProcess[];
}

/** Of a process that is alone. */
export const noNeighbours: Neighbours = {
  whyNoWrites: () => undefined,
  whyNoReads: () => undefined,
  hasHeardOf: () => true,
  beyond: () => [],
};

/** As a ring tells; `incarnation` is this start of `process`. */
export function ringNeighbours(ring: Ring, process: string, incarnation: string): Neighbours {
  return {
    whyNoWrites(meantFor = incarnation) {
      const own = ring.instance(process);
      if (own === undefined || (own.incarnation === incarnation && !own.introduced)) return unheard();
      return own.incarnation === incarnation && meantFor === incarnation ? undefined : another();
    },
    whyNoReads(meantFor = incarnation) {
      const own = ring.instance(process) ?? { incarnation };
      return own.incarnation === incarnation && meantFor === incarnation ? undefined : another();
    },
    hasHeardOf: (other, registration) => ring.instance(other)?.registration === registration,
    beyond(known) {
      const names = new Set(known);
      return ring.processes().filter((other) => !names.has(other.process));
    },
  };
}

function unheard(): Fault {
  return new Fault('unavailable', 'the others have not heard of this instance yet', { retryAfterS: 1 });
}

function another(): Fault {
  return new Fault('unavailable', 'this is another start of the instance', { retryAfterS: 1 });
}
