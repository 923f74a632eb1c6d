import type { BlockOutline } from '../../logql/model.ts';
import { groupOverlapping } from '../../storage/chunk/overlap.ts';
import type { SourceUnit, StreamSources } from './sources.ts';

/** A stretch of one stream that is scanned as a whole: one unit as it is stored, or overlapping units to be merged first. */
export interface ScanGroup {
  readonly stream: StreamSources;
  readonly units: readonly SourceUnit[];
  readonly minNs: bigint;
  readonly maxNs: bigint;
  /** Only rows of these times are the group's: others have the rest of its units. */
  readonly within?: TimeRange;
}

/** [fromNs, toNs) */
export interface TimeRange {
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

/** Whether it takes a merge to know its rows. */
export function isMerged({ units, within }: ScanGroup): boolean {
  return units.length > 1 || within !== undefined;
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

/** Rows beside their lines and metadata: times, ends, and what a merge makes of them. */
const ROW_BYTES = 32;

/** About what a group takes once it is decompressed, and merged if need be; heads are there anyway. */
export function groupMemory(group: ScanGroup): number {
  const { units, minNs, maxNs, within = { fromNs: minNs, toNs: maxNs + 1n } } = group;
  if (isMerged(group)) return memoryWithin(units, within.fromNs, within.toNs);
  return units[0].kind === 'head' ? 0 : unitMemory(units[0]);
}

/** Of one that is to be read, or to be copied as it is merged. */
function unitMemory(unit: SourceUnit): number {
  return (unit.kind === 'stored' ? unit.block.storedBytes : 0) + rowMemory(outlineOf(unit));
}

/** Of rows that are decompressed. */
export function rowMemory({ lineBytes, metadataBytes, rows }: BlockOutline): number {
  return lineBytes + metadataBytes + rows * ROW_BYTES;
}

/** Blocks of which only some rows are a group's are read this many at a time, and those rows copied. */
export const CUT_AT_ONCE = 4;

/** What it takes to merge the units' rows of the times [fromNs, toNs), as far as rows are spread evenly, and to have read them. */
function memoryWithin(units: readonly SourceUnit[], fromNs: bigint, toNs: bigint): number {
  let largest = 0;
  for (const unit of units) if (unit.kind === 'stored' && isCut(unit, fromNs, toNs)) largest = Math.max(largest, unitMemory(unit));
  return rowsMemory(units, fromNs, toNs) + CUT_AT_ONCE * largest;
}

/** What the units' rows of the times [fromNs, toNs) take, as far as rows are spread evenly. */
export function rowsMemory(units: readonly SourceUnit[], fromNs: bigint, toNs: bigint): number {
  let bytes = 0;
  for (const unit of units) {
    const { minNs, maxNs } = unit;
    if (maxNs < fromNs || minNs >= toNs) continue;
    const spanNs = (maxNs < toNs ? maxNs + 1n : toNs) - (minNs > fromNs ? minNs : fromNs);
    bytes += (Number(spanNs) / Number(maxNs - minNs + 1n)) * unitMemory(unit);
  }
  return bytes;
}

/** What is read for the units' rows of the times [fromNs, toNs): blocks as a whole. */
export function readWithin(units: readonly SourceUnit[], fromNs: bigint, toNs: bigint): number {
  let bytes = 0;
  for (const unit of units) if (unit.kind === 'stored' && unit.maxNs >= fromNs && unit.minNs < toNs) bytes += unitMemory(unit);
  return bytes;
}

/** Whether rows of the unit lie outside of the times [fromNs, toNs). */
export function isCut({ minNs, maxNs }: SourceUnit, fromNs: bigint, toNs: bigint): boolean {
  return minNs < fromNs || maxNs >= toNs;
}
