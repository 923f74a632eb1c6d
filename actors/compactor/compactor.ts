import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { bytes, duration, type OptionsOf, section } from '../../ops/base/options.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { defineActor, type Handlers, type StartContext } from '../kernel/define.ts';
import { type CompactorAsk, type CompactorReply, compactorProtocol } from '../protocol/jobs.ts';
import { CompactorRuns } from './runs.ts';

export const compactorOptions = section('compactor', 'compactor', {
  compactionInterval: duration('10m', 'How often storage is looked through for something to compact or to delete.', { min: 1 }),
  segmentSize: bytes('32MB', 'Size of a segment at most, unless a single flush is larger; from half of it on it is not compacted again.'),
  filteredSize: bytes('256KB', 'Segments with less than this of lines have no skip filters: to read all of one takes about as long.'),
  levelZeroAge: duration('2h', 'What was flushed is compacted after this time even if it is little.'),
  deletionDelay: duration(
    '15m',
    'What was compacted is deleted this long after the compactor first saw what took its place; at least twice the longest query and the age of listings (querier.max-listing-age) together. Not to be less than 12m where puts can hang.',
  ),
});

export interface CompactorDeps {
  readonly options: OptionsOf<typeof compactorOptions>;
  readonly blobs: BlobStore;
  /** How long a querier may go on with a listing, plus the longest query. */
  readonly recentObjectsMs: () => number;
  /** Whether anybody waits for an answer of this process. */
  readonly busy: () => boolean;
  /** Whether it is this one's turn to work by itself, where there are several; always, if absent. */
  readonly isChosen?: () => boolean;
}

/** Merges flushed objects into segments and deletes what was merged. One of them is enough; several do not harm each other. */
export const compactor = defineActor<CompactorAsk, CompactorReply, CompactorDeps>({
  name: compactorProtocol.component,
  mailbox: { messages: 16, bytes: MiB, concurrency: 16, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 1_000, max: 30_000 } },
  async start(deps, context) {
    const runs = new CompactorRuns(deps, context);
    runAtIntervals(runs, deps, context);
    const handlers: Handlers<CompactorAsk, CompactorReply> = { compact: () => runs.run() };
    return { handlers, observe: () => ({ ...runs.state }), stop: async () => {} };
  },
});

/** Until the incarnation ends. */
function runAtIntervals(
  runs: CompactorRuns,
  { options, isChosen }: CompactorDeps,
  { world, incarnation, instruments }: StartContext,
): void {
  const loop = async (): Promise<void> => {
    for (;;) {
      await world.timers.sleep(options.compactionInterval * (0.9 + world.random.next() / 5), incarnation.signal);
      if (isChosen?.() === false) continue;
      await runs.run().catch((error) => {
        incarnation.signal.throwIfAborted();
        if (!(error instanceof Fault)) throw error;
        instruments.log.warn('compaction failed, will be tried again', { error: error.message });
      });
    }
  };
  loop().catch((error) => incarnation.fail(error));
}
