import { statsBody } from '../../logql/engine/response-stats.ts';
import { addStream, noExtents, type ShardBounds, type SizedStream, shardBounds } from '../../logql/engine/shard-bounds.ts';
import type { Matcher } from '../../logql/model.ts';
import { logRangesOf } from '../../logql/plan.ts';
import { parseExpr, parseSelector } from '../../logql/syntax/parse.ts';
import { float64View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { type FrontendServices, Jobs } from './jobs.ts';

type Ask<K extends FrontendAsk['kind']> = Extract<FrontendAsk, { kind: K }>;
type TimeRange = { startNs: bigint; endNs: bigint };

/** How many streams, chunks, entries and bytes a selector takes. */
export async function indexStats(ask: Ask<'index_stats'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const matchers = parseSelector(ask.query);
  const sum = noExtents();
  for (const stream of await sizedStreams(matchers, ask, new Jobs(services, asked))) addStream(sum, stream);
  return { body: [Buffer.from(JSON.stringify(sum))] };
}

/** Ranges of stream hashes with about as many bytes each, for a query of any kind. */
export async function indexShards(ask: Ask<'index_shards'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const matchers = matchersOf(ask.query);
  const jobs = new Jobs(services, asked);
  const streams = await sizedStreams(matchers, ask, jobs);
  const shards = shardBounds(streams, ask.targetBytes).map(shardText).join(',');
  const statistics = JSON.stringify(statsBody(jobs.stats(), 0));
  return { body: [Buffer.from(`{"shards":[${shards}],"statistics":${statistics},"chunkGroups":null}`)] };
}

/** The query's one selector; a query without any is about all streams. */
function matchersOf(query: string): Matcher[] {
  const selectors = [...logRangesOf(parseExpr(query))].map(({ log }) => log.matchers);
  if (selectors.length > 1) throw new Fault('bad_request', 'a query of several selectors cannot be sharded: ask for each of them');
  return [...(selectors[0] ?? [])];
}

/** Of entries from startNs to endNs, both included: what Loki has in its index are chunks, and it tells them so. */
async function sizedStreams(matchers: Matcher[], { startNs, endNs }: TimeRange, jobs: Jobs): Promise<SizedStream[]> {
  const replies = await jobs.run({ kind: 'stream_sizes', matchers, fromNs: startNs, toNs: endNs + 1n }, true);
  return replies.flatMap(({ hashes, ...columns }) => {
    const chunks = float64View(columns.chunks, 0, hashes.length);
    const entries = float64View(columns.entries, 0, hashes.length);
    const bytes = float64View(columns.bytes, 0, hashes.length);
    return hashes.map((hash, row) => ({ hash, chunks: chunks[row], entries: entries[row], bytes: bytes[row] }));
  });
}

/** As JSON; bounds are beyond the numbers that JSON.stringify can write. */
function shardText({ min, max, stats }: ShardBounds): string {
  return `{"bounds":{"min":${min},"max":${max}},"stats":${JSON.stringify(stats)}}`;
}
