import { Fault } from '../../ops/base/fault.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { openLocalLog } from '../../storage/log/local.ts';
import { createLocalLog, type LocalLogPlace, listLocalLogs, removeLocalLog } from '../../storage/log/local-logs.ts';
import { listSegments } from '../../storage/log/segments.ts';
import { type Chain, readChain } from '../../storage/segment/chain.ts';
import { wayOn } from '../../storage/segment/damaged-object.ts';
import type { StartContext } from '../kernel/define.ts';
import type { StreamShard } from '../protocol/ingest.ts';
import { type AppliedListener, LogHeads, type LogHeadsOptions } from './log-heads.ts';

/** How often an object that holds up a start is looked at again. */
const LOOK_AGAIN_MS = 5_000;

export interface RecoveryProgress {
  records: number;
  logsLeft: number;
  /** What somebody has to do before it goes on. */
  waitsFor?: string | undefined;
}

export interface RecoveredLogs {
  /** Every log whose entries are readable here; grows while logs are opened. */
  readonly logs: readonly LogHeads[];
  /** The log that takes pushes; undefined until all is replayed. */
  readonly own: LogHeads | undefined;
  readonly progress: RecoveryProgress;
  /** Resolves when pushes are taken; rejects when a log cannot be recovered. */
  readonly ready: Promise<void>;
}

/** Opens this shard's log, and the logs of shards beyond the present count that fall to it, and fills heads from them in the background. An adopted log is
 *  flushed, and removed a while later: it never gets another record. */
export function recoverLogs(
  deps: {
    root: string;
    log: { segmentBytes: number; maxRecordBytes: number };
    shard: StreamShard;
    blobs: BlobStore;
    options: LogHeadsOptions;
    applied?: AppliedListener;
  },
  context: StartContext,
): RecoveredLogs {
  const { world, instruments, incarnation } = context;
  const logs: LogHeads[] = [];
  const progress: RecoveryProgress = { records: 0, logsLeft: 1 };
  const recovered = { logs, own: undefined as LogHeads | undefined, progress, ready: Promise.resolve() };

  /** Waits while the log's newest object cannot be read and the log does not have its records either: up to where they are stored is not known then. */
  const readableChain = async ({ directory, id }: Omit<LocalLogPlace, 'shard'>): Promise<Chain> => {
    for (;;) {
      const chain = await retrying(() => readChain(deps.blobs, id), context);
      if (chain.unreadable === undefined) return chain;
      const { key, fault } = chain.unreadable;
      const fields = { log: id, object: key, error: fault.message };
      const isDamaged = fault.code !== 'unsupported' && !fault.retry;
      const [oldest] = isDamaged ? await listSegments(world.files, directory) : [];
      if (oldest !== undefined && oldest.first <= chain.end) {
        instruments.log.error(
          `newest object cannot be read: its records are read from the log again. Queries fail until you ${wayOn(key)}`,
          fields,
        );
        return chain;
      }
      const todo = fault.code === 'unsupported' ? fault.message : `${fault.message}; ${fault.retry ? 'if that lasts, ' : ''}${wayOn(key)}`;
      if (progress.waitsFor !== todo) instruments.log.error(`ingest log cannot go on: ${todo}`, fields);
      progress.waitsFor = todo;
      await world.timers.sleep(LOOK_AGAIN_MS, incarnation.signal);
    }
  };

  const open = async ({ directory, id }: LocalLogPlace): Promise<LogHeads> => {
    const chain = await readableChain({ directory, id });
    progress.waitsFor = undefined;
    for (const { key, from, to } of chain.givenUp) {
      const fields = { log: id, object: key, from, ...(to !== undefined && { to, records: to - from }) };
      instruments.log.warn(
        'object was given up: of its records only those are found that were compacted or that the log still had',
        fields,
      );
    }
    const log = await openLocalLog({ ...deps.log, directory, id, world, instruments, floor: chain.floor });
    if (incarnation.signal.aborted) {
      await log.close();
      throw incarnation.signal.reason;
    }
    const heads = new LogHeads(incarnation.fence(log), chain, deps, context);
    logs.push(heads);
    await heads.replay(() => {
      recovered.progress.records++;
    });
    recovered.progress.logsLeft--;
    return heads;
  };

  const run = async (): Promise<void> => {
    const found = (await listLocalLogs(world.files, deps.root)).filter(({ shard }) => shard % deps.shard.of === deps.shard.index);
    const mine = found.find(({ shard }) => shard === deps.shard.index) ?? (await createLocalLog(world, deps.root, deps.shard.index));
    const adopted = found.filter((log) => log.id !== mine.id);
    recovered.progress.logsLeft = 1 + adopted.length;
    const own = await open(mine);
    const others: [LogHeads, LocalLogPlace][] = [];
    for (const place of adopted) {
      const heads = await open(place);
      others.push([heads, place]);
      // Flushed when pushes and queries are served already, for storage may be full; but many logs must not fill memory together.
      if (logs.reduce((sum, { bytes }) => sum + bytes, 0) >= deps.options.ceilingBytes) await heads.flush();
    }
    recovered.own = own;
    for (const [heads] of others) await retrying(() => heads.flush(), context);
    // A start of this shard names the newest object only of logs that it finds: they stay until every listing is younger than their objects.
    if (others.length > 0) await world.timers.sleep(deps.options.recentObjectsMs(), incarnation.signal);
    for (const [heads, place] of others) {
      await heads.log.close();
      await removeLocalLog(world.files, place).catch((error) => {
        // All of it is in storage: the next start adopts it again, and finds nothing to do but this.
        instruments.log.warn('adopted ingest log could not be removed', { log: place.id, error: String(error) });
      });
    }
  };

  recovered.ready = run();
  return recovered;
}

/** `work`, again and again while storage is away. */
async function retrying<T>(work: () => Promise<T>, { world, instruments, incarnation }: StartContext): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Fault) || !error.retry) throw error;
      instruments.log.warn('storage is away, recovery waits', { attempt, error: error.message });
      await world.timers.sleep(Math.min(100 * 2 ** attempt, 5_000), incarnation.signal);
    }
  }
}
