import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import { openLocalLog } from '../../storage/log/local.ts';
import { createLocalLog, type LocalLogPlace, listLocalLogs, removeLocalLog } from '../../storage/log/local-logs.ts';
import { listSegments } from '../../storage/log/segments.ts';
import type { StartContext } from '../kernel/define.ts';
import type { StreamShard } from '../protocol/ingest.ts';
import type { AppliedListener, LogHeadsOptions } from './log-heads.ts';
import { OwnLog } from './own-log.ts';
import { readableChain, retrying } from './readable-chain.ts';

export interface RecoveryProgress {
  records: number;
  logsLeft: number;
  /** What somebody has to do before it goes on. */
  waitsFor?: string | undefined;
}

export interface RecoveredLogs {
  /** Every log whose entries are readable here; grows while logs are opened. */
  readonly logs: readonly OwnLog[];
  /** The log that takes pushes; undefined until all is replayed. */
  readonly own: OwnLog | undefined;
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
  const logs: OwnLog[] = [];
  const progress: RecoveryProgress = { records: 0, logsLeft: 1 };
  const recovered = { logs, own: undefined as OwnLog | undefined, progress, ready: Promise.resolve() };

  const open = async ({ directory, id }: LocalLogPlace): Promise<OwnLog> => {
    const oldest = async (): Promise<Position | undefined> => (await listSegments(world.files, directory))[0]?.first;
    const waits = (why: string | undefined): void => {
      progress.waitsFor = why;
    };
    const chain = await readableChain(id, { blobs: deps.blobs, oldest, waits, context, signal: incarnation.signal });
    const log = await openLocalLog({ ...deps.log, directory, id, world, instruments, floor: chain.floor });
    if (incarnation.signal.aborted) {
      await log.close();
      throw incarnation.signal.reason;
    }
    const own = new OwnLog(incarnation.fence(log), chain, deps, context);
    logs.push(own);
    await own.replay(() => {
      recovered.progress.records++;
    });
    recovered.progress.logsLeft--;
    return own;
  };

  const run = async (): Promise<void> => {
    const found = (await listLocalLogs(world.files, deps.root)).filter(({ shard }) => shard % deps.shard.of === deps.shard.index);
    const mine = found.find(({ shard }) => shard === deps.shard.index) ?? (await createLocalLog(world, deps.root, deps.shard.index));
    const adopted = found.filter((log) => log.id !== mine.id);
    recovered.progress.logsLeft = 1 + adopted.length;
    const own = await open(mine);
    const others: [OwnLog, LocalLogPlace][] = [];
    for (const place of adopted) {
      const { heads } = others[others.push([await open(place), place]) - 1][0];
      // Flushed when pushes and queries are served already, for storage may be full; but many logs must not fill memory together.
      if (logs.reduce((sum, { heads: { bytes } }) => sum + bytes, 0) >= deps.options.ceilingBytes) await heads.flush();
    }
    recovered.own = own;
    for (const [{ heads }] of others) await retrying(() => heads.flush(), context, incarnation.signal);
    // A start of this shard names the newest object only of logs that it finds: they stay until every listing is younger than their objects.
    if (others.length > 0) await world.timers.sleep(deps.options.recentObjectsMs(), incarnation.signal);
    for (const [{ log }, place] of others) {
      await log.close();
      await removeLocalLog(world.files, place).catch((error) => {
        // All of it is in storage: the next start adopts it again, and finds nothing to do but this.
        instruments.log.warn('adopted ingest log could not be removed', { log: place.id, error: String(error) });
      });
    }
  };

  recovered.ready = run();
  return recovered;
}
