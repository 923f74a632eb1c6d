import { MiB } from '../../ops/base/bytes.ts';
import { groupMemory, readWithin, rowsMemory, type ScanGroup } from './scan-group.ts';
import type { SourceUnit } from './sources.ts';

/** About what is merged at once; and where blocks are as wide as the window, so that most lie in both of its halves and would be read for each. */
const WINDOW_BYTES = 8 * MiB;
const WIDE_WINDOW_BYTES = 24 * MiB;
/** Two halves for each of which so much of the whole is read are that wide. */
const WIDE_SHARE = 0.75;

/** A group in windows of time, each merged by itself, the first one first; blocks that lie in several are read for each. Copies of a stream that are cut at other times than each other
 *  overlap without an end, and would not fit in memory all together. */
export function inWindows(group: ScanGroup): ScanGroup[] {
  if (groupMemory(group) <= WINDOW_BYTES) return [group];
  const { stream } = group;
  const windows: ScanGroup[] = [];
  const cut = (units: readonly SourceUnit[], fromNs: bigint, toNs: bigint): void => {
    const inside = units.filter(({ minNs, maxNs }) => maxNs >= fromNs && minNs < toNs);
    if (inside.length === 0) return;
    const middleNs = fromNs + (toNs - fromNs) / 2n;
    const isWide = (): boolean => {
      const most = WIDE_SHARE * readWithin(inside, fromNs, toNs);
      return readWithin(inside, fromNs, middleNs) > most && readWithin(inside, middleNs, toNs) > most;
    };
    const bytes = rowsMemory(inside, fromNs, toNs);
    if (bytes > WINDOW_BYTES && middleNs > fromNs && (bytes > WIDE_WINDOW_BYTES || !isWide())) {
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
