import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { AskOptions, Messenger } from '../kernel/define.ts';
import { type Lease, schedulerProtocol } from '../protocol/schedule.ts';
import { noQuerier } from '../schedulers.ts';

/** Queriers that a job is given to, one after the other, while they are gone before they answer. */
export const MOST_QUERIERS = 3;
/** One that stands still may be chosen until that is known. */
const MOST_SCHEDULERS = 3;

/** The queriers that are there, sorted. Throws Fault unavailable if there are none. */
export async function queriersThere(messenger: Messenger, options: AskOptions): Promise<readonly string[]> {
  const { queriers } = await fromAnyScheduler(() => messenger.ask(schedulerProtocol, 'any', { kind: 'queriers' }, options));
  if (queriers.length === 0) throw noQuerier();
  return queriers;
}

export interface LeaseWish {
  /** Where the job goes if there is room. */
  readonly preferred: string;
  /** How many queriers are tried. */
  readonly tries: number;
  /** Is told how long the job waited for its turn. */
  readonly waited: (ms: number) => void;
  readonly world: World;
}

/** Runs a job at the querier that a scheduler gives it, the preferred one if it is free; at another if that is gone. The last one's fault is the job's. */
export async function leased<T>(
  messenger: Messenger,
  { preferred, tries, waited, world: { clock } }: LeaseWish,
  options: AskOptions,
  job: (querier: string) => Promise<T>,
): Promise<T> {
  const avoided: string[] = [];
  for (;;) {
    const beganMs = clock.monotonicMs();
    const { querier, end } = await fromAnyScheduler(() => takeLease(messenger, preferred, [...avoided], options));
    waited(clock.monotonicMs() - beganMs);
    avoided.push(querier);
    try {
      return await job(querier);
    } catch (error) {
      if (!isGone(error) || avoided.length === tries) throw error;
    } finally {
      end();
    }
  }
}

/** Whether somebody else may do it. */
export function isGone(error: unknown): boolean {
  return error instanceof Fault && error.code === 'unavailable';
}

async function takeLease(
  messenger: Messenger,
  preferred: string,
  avoided: readonly string[],
  options: AskOptions,
): Promise<Lease & { readonly end: () => void }> {
  const lease = messenger.stream(schedulerProtocol, 'any', { kind: 'lease', preferred, avoided }, options)[Symbol.asyncIterator]();
  const end = (): void => void lease.return?.();
  try {
    const given = await lease.next();
    if (given.done) throw new Fault('unavailable', 'the query scheduler has stopped', { retryAfterS: 1 });
    return { ...given.value, end };
  } catch (error) {
    end();
    throw error;
  }
}

async function fromAnyScheduler<T>(ask: () => Promise<T>): Promise<T> {
  for (let scheduler = 1; ; scheduler++) {
    try {
      return await ask();
    } catch (error) {
      if (!isGone(error) || scheduler === MOST_SCHEDULERS) throw error;
    }
  }
}
