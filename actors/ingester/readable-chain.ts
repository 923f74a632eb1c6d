import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import { type Chain, readChain } from '../../storage/segment/chain.ts';
import { wayOn } from '../../storage/segment/damaged-object.ts';
import type { StartContext } from '../kernel/define.ts';

export interface ReadableChainDeps {
  readonly blobs: BlobStore;
  /** Of the records that the log still has; undefined if it has none. */
  readonly oldest: () => Promise<Position | undefined>;
  /** Told of what somebody has to do before it goes on. */
  readonly waits: (why: string | undefined) => void;
  readonly context: Pick<StartContext, 'world' | 'instruments'>;
  readonly signal: AbortSignal;
}

/** How often an object that holds up a start is looked at again. */
const LOOK_AGAIN_MS = 5_000;

/** The chain of a log's objects. Waits while storage is away, and while the newest object cannot be read and the log does not have its records either: up to where they are stored is not known
 *  then. Tells of objects that were given up. */
export async function readableChain(log: string, deps: ReadableChainDeps): Promise<Chain> {
  const { instruments } = deps.context;
  const chain = await foundChain(log, deps);
  deps.waits(undefined);
  for (const { key, from, to } of chain.givenUp) {
    const fields = { log, object: key, from, ...(to !== undefined && { to, records: to - from }) };
    instruments.log.warn('object was given up: of its records only those are found that were compacted or that the log still had', fields);
  }
  return chain;
}

async function foundChain(log: string, { blobs, oldest, waits, context, signal }: ReadableChainDeps): Promise<Chain> {
  const { world, instruments } = context;
  let told = '';
  for (;;) {
    const chain = await retrying(() => readChain(blobs, log), context, signal);
    if (chain.unreadable === undefined) return chain;
    const { key, fault } = chain.unreadable;
    const fields = { log, object: key, error: fault.message };
    const isDamaged = fault.code !== 'unsupported' && !fault.retry;
    const first = isDamaged ? await oldest() : undefined;
    if (first !== undefined && first <= chain.end) {
      instruments.log.error(
        `newest object cannot be read: its records are read from the log again. Queries fail until you ${wayOn(key)}`,
        fields,
      );
      return chain;
    }
    const todo = fault.code === 'unsupported' ? fault.message : `${fault.message}; ${fault.retry ? 'if that lasts, ' : ''}${wayOn(key)}`;
    if (told !== todo) instruments.log.error(`ingest log cannot go on: ${todo}`, fields);
    told = todo;
    waits(todo);
    await world.timers.sleep(LOOK_AGAIN_MS, signal);
  }
}

/** `work`, again and again while storage is away. */
export async function retrying<T>(
  work: () => Promise<T>,
  { world, instruments }: Pick<StartContext, 'world' | 'instruments'>,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      // An incarnation that is over is refused for ever.
      if (!(error instanceof Fault) || !error.retry || error.code === 'stale_incarnation') throw error;
      instruments.log.warn('storage is away, recovery waits', { attempt, error: error.message });
      await world.timers.sleep(Math.min(100 * 2 ** attempt, 5_000), signal);
    }
  }
}
