import { SharedMemory } from '../../logql/engine/memory-budget.ts';
import { patternExecution } from '../../logql/patterns/pattern-execution.ts';
import { toFrame } from '../../logql/patterns/pattern-series.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { bool, bytes, type OptionsOf, section } from '../../ops/base/options.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { Ingesters } from '../ingesters.ts';
import { type Asker, defineActor, type Handlers } from '../kernel/define.ts';
import { noScanStats, type PatternAsk, type PatternReply, patternProtocol } from '../protocol/query.ts';
import { openedOnce } from '../querier/scan.ts';
import { type ScanGroup, scanGroups } from '../querier/scan-group.ts';
import { type JobTools, SourceReader } from '../querier/source-reader.ts';

export const patternIngesterOptions = section('pattern_ingester', 'pattern-ingester', {
  enabled: bool('true', 'Answer questions for patterns, which are mined from the stored lines when they are asked for.'),
  maxBytesPerQuery: bytes('512MB', 'Lines that are mined for one answer; of more only a part is looked at, and counts are estimates.'),
});

export interface PatternIngesterDeps {
  readonly options: OptionsOf<typeof patternIngesterOptions>;
  readonly maxListingAgeMs: number;
  readonly asker: Asker;
  readonly ingesters: Ingesters;
  readonly blobs: BlobStore;
}

const FOOTER_BYTES = 16 * MiB;
/** What is listed and read of the streams at a time; templates are bounded by their number. */
const MEMORY_BYTES = 128 * MiB;

/** Mines the templates of lines. It takes nothing in: patterns cost nothing until somebody asks, reach as far back as the lines do, and survive restarts with
 *  them. One question at a time, beside the querier of the same thread. */
export const patternIngester = defineActor<PatternAsk, PatternReply, PatternIngesterDeps>({
  name: patternProtocol.component,
  mailbox: { messages: 64, bytes: MiB, concurrency: 1, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, { world }) {
    const memory = new SharedMemory('the pattern ingester', MEMORY_BYTES);
    const reader = new SourceReader({ ...deps, footerBytes: FOOTER_BYTES, memory, longJobs: 1 }, world);
    const handlers: Handlers<PatternAsk, PatternReply> = {
      mine: (ask, asked) => reader.planned(asked, 0, (tools) => mine(ask, tools)),
    };
    return { handlers, observe: () => ({}), stop: async () => {} };
  },
});

async function mine({ query, maxBytes, shard }: PatternAsk, tools: JobTools): Promise<PatternReply['mine']> {
  const execution = patternExecution(query);
  const stats = noScanStats();
  const { startNs, endNs } = query;
  const streams = await tools.gather({ matchers: execution.matchers, fromNs: startNs, toNs: endNs, shard }, stats);
  const groups = scanGroups(streams);
  const stride = Math.max(1, Math.ceil(groups.reduce((sum, group) => sum + lineBytes(group), 0) / maxBytes));
  const streamOf = openedOnce(() => execution.stream());
  await tools.scan(
    groups.filter((_, index) => index % stride === 0),
    stats,
    {
      backward: false,
      wanted: () => true,
      header: (group, outline) => streamOf(group).header(outline),
      block: (group, block) => streamOf(group).block(block, stride),
    },
  );
  return { series: execution.series().map(toFrame), sampled: stride > 1 };
}

function lineBytes({ units }: ScanGroup): number {
  return units.reduce((sum, unit) => sum + (unit.kind === 'head' ? unit.rows.lineBytes : unit.block.lineBytes), 0);
}
