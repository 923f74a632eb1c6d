import { MiB } from '../../ops/base/bytes.ts';
import { groupMemory, memoryWithin, type ScanGroup } from './scan-group.ts';
import type { SourceUnit } from './sources.ts';

/** About what is merged at once. */
const WINDOW_BYTES = 8 * MiB;
/** Two halves that take nearly as much as the whole are not worth a cut: the same blocks lie in both. */
const LEAST_GAIN = 0.75;

/** A group in windows of time, each merged by itself, the first one first; blocks that lie in several are read for each. Copies of a stream that are cut at other times than each other
 *  overlap without an end, and would not fit in memory all together. */
export function inWindows(group: ScanGroup): ScanGroup[] {
  if (groupMemory(group) <= WINDOW_BYTES) return [group];
  const { stream } = group;
  const windows: ScanGroup[] = [];
  const cut = (units: readonly SourceUnit[], fromNs: bigint, toNs: bigint): void => {
    const inside = units.filter(({ minNs, maxNs }) => maxNs >= fromNs && minNs < toNs);
    if (inside.length === 0) return;
    const bytes = memoryWithin(inside, fromNs, toNs);
    const middleNs = fromNs + (toNs - fromNs) / 2n;
    const most = LEAST_GAIN * bytes;
    if (
      bytes > WINDOW_BYTES &&
      middleNs > fromNs &&
      !(memoryWithin(inside, fromNs, middleNs) > most && memoryWithin(inside, middleNs, toNs) > most)
    ) {
      cut(inside, fromNs, middleNs);
      cut(inside, middleNs, toNs);
      return;
    }
    const [first] = inside;
    if (inside.length === 1 && first.minNs >= fromNs && first.maxNs < toNs) {
      windows.push({ stream, units: inside, minNs: first.minNs, maxNs: first.maxNs });
    } else windows.push({ stream, units: inside, minNs: fromNs, maxNs: toNs - 1n, within: { fromNs, toNs } });
  };
  cut(group.units, group.minNs, group.maxNs + 1n);
  return windows;
}
