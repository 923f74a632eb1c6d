import { renderVolumes } from '../../logql/engine/render-volume.ts';
import { VolumeBuckets } from '../../logql/engine/volume-buckets.ts';
import { parseVolumeSelector } from '../../logql/engine/volume-execution.ts';
import { VolumeTable } from '../../logql/engine/volume-table.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { type FrontendServices, Jobs } from './jobs.ts';

type Ask = Extract<FrontendAsk, { kind: 'index_volume' }>;

/** The largest volumes. Throws Fault not_found where the tenant's limits say that there are none to be had. */
export async function indexVolume(ask: Ask, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const { volumeEnabled, volumeMaxSeries: maxSeries } = services.limits(asked.tenant);
  if (!volumeEnabled) throw new Fault('not_found', 'not found');
  parseVolumeSelector(ask.query);
  const { query, startNs, endNs, stepNs, targetLabels, aggregateBy } = ask;
  const jobs = new Jobs(services, asked);
  const replies = await jobs.run({ kind: 'volumes', query, startNs, endNs, stepNs, targetLabels, aggregateBy, maxSeries }, true);
  const buckets = new VolumeBuckets(ask);
  const table = new VolumeTable(buckets.count, maxSeries);
  for (const { frame } of replies) table.addFrame(frame);
  return { body: renderVolumes(table.ranked(ask.limit), buckets, { stats: jobs.stats() }) };
}
