import { sampleExecution } from '../../logql/engine/sample-execution.ts';
import { finishInTurns } from '../../logql/engine/steps.ts';
import type { Labels } from '../../logql/model.ts';
import type { PipelineProfile } from '../../logql/pipeline/profile.ts';
import { type AskContext, type Asker, askOptions } from '../kernel/define.ts';
import { type MutualHelp, noScanStats, type QuerierAsk, type QuerierReply, querierProtocol, type SharedGroup } from '../protocol/query.ts';
import { withTenant } from '../tenants.ts';
import type { Slices } from '../turns.ts';
import { openedOnce, type Scanner } from './scan.ts';
import { scanGroups } from './scan-group.ts';
import { type SharedScan, takenOver } from './sharing.ts';
import type { ScanNeeds } from './skip.ts';
import type { JobTools } from './source-reader.ts';
import type { StreamSources } from './sources.ts';

export type SamplesAsk = Extract<QuerierAsk, { kind: 'samples' }>;

export interface SamplesOptions {
  /** Takes down what each stage does. */
  readonly profile: PipelineProfile | undefined;
  /** What other jobs of the query can spare, asked once this one has nothing left to do. */
  readonly others?: (slices: Slices) => AsyncIterable<readonly SharedGroup[]>;
}

/** The samples of a range aggregation over one shard of the streams, and over what is taken over of other shards. */
export async function samples(ask: SamplesAsk, tools: JobTools, { profile, others }: SamplesOptions): Promise<QuerierReply['samples']> {
  const stats = noScanStats();
  const execution = sampleExecution(ask.query, ask, {
    memory: tools.memory,
    ...(ask.maxSeries !== undefined && { maxSeries: ask.maxSeries }),
    ...(profile && { profile }),
  });
  const { matchers, fromNs, toNs } = execution;
  const streams = await tools.gather(
    { matchers, fromNs, toNs, shard: ask.shard, partial: ask.partial, afterWrite: ask.afterWrite },
    stats,
    ask.most,
  );
  const samplesOf = openedOnce((labels) => execution.stream(labelled(labels, ask)));
  const scanner: Scanner = {
    backward: false,
    demanding: execution.demanding,
    lineless: (outline) => execution.lineless(outline),
    unordered: (outline) => execution.unordered(outline),
    needs: needsOf(execution, ask),
    wanted: () => true,
    header: (group, outline) => samplesOf(group).header(outline),
    block: (group, block) => samplesOf(group).block(block),
  };
  await tools.scan(scanGroups(streams), stats, scanner);
  // What headers or a few columns tell is done before anybody could help.
  if (others !== undefined && execution.demanding) {
    const known = new Map(streams.map((stream) => [stream.hash, stream]));
    const streamOf = ({ labels, hash }: SharedGroup): StreamSources => {
      const stream = known.get(hash) ?? { labels, hash, units: [] };
      known.set(hash, stream);
      return stream;
    };
    for await (const groups of others(tools.slices)) await tools.scan(takenOver(groups, streamOf), stats, scanner);
  }
  const frame = await finishInTurns(execution.frame(), () => tools.slices.giveWay());
  return { frame, stats: { ...stats, ...execution.stats }, ...(profile && { stages: profile.stages }) };
}

/** Asks the other queriers in turn, until none can spare anything. */
export async function* groupsOfOthers(
  { job, others }: MutualHelp,
  shared: SharedScan,
  asker: Asker,
  asked: AskContext,
  slices: Slices,
): AsyncGenerator<readonly SharedGroup[]> {
  for (let spared = true; spared; ) {
    spared = false;
    for (const other of others) {
      const { groups } = await slices.leaving(asker.ask(querierProtocol, other, { kind: 'spare_groups', job }, askOptions(asked)));
      if (groups.length === 0) continue;
      spared = true;
      shared.isMixed = true;
      yield groups;
    }
  }
}

/** For skip filters. They know nothing of the label that a query of several tenants gives its streams. */
export function needsOf(execution: ScanNeeds, { tenantLabel }: { tenantLabel?: string }): ScanNeeds {
  return tenantLabel === undefined ? execution : { required: execution.required, requiredLabels: [] };
}

export function labelled(labels: Labels, { tenantLabel }: { tenantLabel?: string }): Labels {
  return tenantLabel === undefined ? labels : withTenant(labels, tenantLabel);
}
