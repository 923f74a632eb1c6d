import { HOUR_NS, inShard } from '../../storage/batch/batch.ts';
import type { Head } from '../../storage/chunk/head.ts';
import { type HeadSlice, type MemoryBlock, toHeadSlice } from '../../storage/chunk/memory-block.ts';
import { compileMatchers } from '../matchers.ts';
import type { IngesterAsk, LogCover, SelectReply } from '../protocol/ingest.ts';
import { touches } from './head-set.ts';
import type { LogHeads } from './log-heads.ts';

/** What the heads of some logs have of what is asked for, and where each of them begins. */
export function selected(
  logs: readonly LogHeads[],
  tenant: string,
  ask: Extract<IngesterAsk, { kind: 'select' }>,
): Pick<SelectReply, 'cover' | 'streams'> {
  const matchers = compileMatchers(ask.matchers);
  const streams = new Map<string, { labels: string; hash: string; slices: HeadSlice[] }>();
  const cover: LogCover[] = [];
  for (const heads of logs) {
    cover.push(heads.cover());
    for (const set of heads.sets()) {
      for (const stream of set.select(tenant, matchers)) {
        if (!inShard(stream.hash, ask.shard)) continue;
        const slices: HeadSlice[] = [];
        if (!stream.touches(ask.fromNs, ask.toNs)) continue;
        for (const head of stream.hours().flatMap(([, heads]) => heads)) {
          const slice = sliceBetween(head, ask.fromNs, ask.toNs);
          if (slice !== undefined) slices.push(toHeadSlice(slice));
        }
        if (slices.length === 0) continue;
        const known = streams.get(stream.hash);
        if (known === undefined) streams.set(stream.hash, { labels: stream.labels, hash: stream.hash, slices });
        else known.slices.push(...slices);
      }
    }
  }
  return { cover, streams: [...streams.values()] };
}

/** The labels of streams that any of the sets of matchers lets through. */
export function seriesIn(
  logs: readonly LogHeads[],
  tenant: string,
  ask: Extract<IngesterAsk, { kind: 'series' }>,
): { cover: LogCover[]; labels: string[] } {
  const sets = ask.matcherSets.map(compileMatchers);
  const labels = new Set<string>();
  const cover: LogCover[] = [];
  for (const heads of logs) {
    cover.push(heads.cover());
    for (const set of heads.sets()) {
      for (const matchers of sets) {
        for (const stream of set.select(tenant, matchers)) {
          if (!inShard(stream.hash, ask.shard)) continue;
          if (stream.touches(ask.fromNs, ask.toNs)) labels.add(stream.labels);
        }
      }
    }
  }
  return { cover, labels: [...labels] };
}

const HOUR = BigInt(HOUR_NS);

function sliceBetween(head: Head, fromNs: bigint, toNs: bigint): MemoryBlock | undefined {
  if (!touches(head, fromNs, toNs)) return undefined;
  const base = BigInt(head.hour) * HOUR;
  const clamp = (ns: bigint): number => Number(ns < 0n ? 0n : ns > HOUR ? HOUR : ns);
  return head.slice(clamp(fromNs - base), clamp(toNs - base));
}
