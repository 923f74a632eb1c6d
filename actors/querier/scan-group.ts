import type { BlockOutline } from '../../logql/model.ts';
import { groupOverlapping } from '../../storage/chunk/overlap.ts';
import type { SourceUnit, StreamSources } from './sources.ts';

/** A stretch of one stream that is scanned as a whole: one unit as it is stored, or overlapping units to be merged first. */
export interface ScanGroup {
  readonly stream: StreamSources;
  readonly units: readonly SourceUnit[];
  readonly minNs: bigint;
  readonly maxNs: bigint;
}

export function scanGroups(streams: readonly StreamSources[]): ScanGroup[] {
  return streams.flatMap((stream) => groupOverlapping(stream.units).map((units) => ({ stream, units, ...spanOf(units) })));
}

function spanOf(units: readonly SourceUnit[]): { minNs: bigint; maxNs: bigint } {
  let { minNs, maxNs } = units[0];
  for (const unit of units) {
    if (unit.minNs < minNs) minNs = unit.minNs;
    if (unit.maxNs > maxNs) maxNs = unit.maxNs;
  }
  return { minNs, maxNs };
}

export function outlineOf(unit: SourceUnit): BlockOutline {
  if (unit.kind === 'head') return unit.rows;
  const { rows, minOffset, maxOffset, lineBytes, metadataBytes, metadata } = unit.block;
  const { baseNs } = unit.chunk;
  return { rows, baseNs, minOffset, maxOffset, lineBytes, metadataBytes, metadataKeys: () => metadata.map(({ key }) => key) };
}
