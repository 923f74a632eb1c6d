import { bytesOf, uint32View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Direction, Labels } from '../model.ts';

/** An entry of a log answer. */
export interface FrameEntry {
  readonly timeNs: bigint;
  /** Labels of the stream that the answer shows it in, and their canonical text. */
  readonly labels: Labels;
  readonly text: string;
  /** Hash of the labels of the stream that it was pushed to, in 16 digits, by which streams are ordered. */
  readonly origin: string;
  /** Canonical text of all labels of the entry, whatever of them the answer shows it under. */
  readonly all: string;
  /** The entry as JSON; see EntryWriter. */
  readonly value: Uint8Array;
  /** See entryMark. */
  readonly mark: bigint;
}

interface Header {
  entries: number;
  /** As they are shown; `origin` is an index into `origins`, `all` is left out where it is `text`. */
  streams: { text: string; labels: Labels; origin: number; all?: string }[];
  origins: string[];
}

/** `entries`: in the order of the answer. A header as JSON; times as int64 ns; marks as uint64; for each entry the number of its stream as uint32; the end of
 *  its value in the last part, exclusive, as uint32; all values end to end. */
export function encodeLogFrame(entries: readonly FrameEntry[]): Uint8Array[] {
  const numbers = new Map<string, number>();
  const origins = new Map<string, number>();
  const header: Header = { entries: entries.length, streams: [], origins: [] };
  const times = new BigInt64Array(entries.length);
  const marks = new BigUint64Array(entries.length);
  const streams = new Uint32Array(entries.length);
  const ends = new Uint32Array(entries.length);
  let end = 0;
  for (const [index, { timeNs, labels, text, origin, all, value, mark }] of entries.entries()) {
    const key = `${text}\0${origin}\0${all}`;
    let number = numbers.get(key);
    if (number === undefined) {
      let from = origins.get(origin);
      if (from === undefined) {
        from = header.origins.push(origin) - 1;
        origins.set(origin, from);
      }
      number = header.streams.push({ text, labels, origin: from, ...(all !== text && { all }) }) - 1;
      numbers.set(key, number);
    }
    end += value.length;
    times[index] = timeNs;
    marks[index] = mark;
    streams[index] = number;
    ends[index] = end;
  }
  return [
    Buffer.from(JSON.stringify(header)),
    bytesOf(times),
    bytesOf(marks),
    bytesOf(streams),
    bytesOf(ends),
    Buffer.concat(
      entries.map(({ value }) => value),
      end,
    ),
  ];
}

/** Entries are views into `frames`. Throws Fault corrupt. */
export function decodeLogFrame(frames: readonly Uint8Array[]): FrameEntry[] {
  const [head, timeBytes, markBytes, streamBytes, endBytes, values] = frames;
  const { entries, streams, origins } = JSON.parse(Buffer.from(head).toString()) as Header;
  const sizes = [timeBytes, markBytes, streamBytes, endBytes].map((bytes) => bytes?.length);
  if (sizes.join() !== [8, 8, 4, 4].map((size) => size * entries).join()) {
    throw new Fault('corrupt', `a log frame of ${frames.length} parts does not hold its ${entries} entries`);
  }
  const times = viewOf(timeBytes);
  const marks = viewOf(markBytes);
  const numbers = uint32View(streamBytes, 0, entries);
  const ends = uint32View(endBytes, 0, entries);
  const shown = streams.map((stream) => ({ all: stream.text, ...stream, origin: origins[stream.origin] }));
  return Array.from({ length: entries }, (_, index) => ({
    timeNs: times.getBigInt64(index * 8, true),
    ...shown[numbers[index]],
    value: values.subarray(index === 0 ? 0 : ends[index - 1], ends[index]),
    mark: marks.getBigUint64(index * 8, true),
  }));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface LogMerge {
  readonly limit: number;
  readonly direction: Direction;
  /** Leaves out entries that are closer than this to the one before, of any stream; 0 keeps all. */
  readonly intervalNs: number;
}

/** The answer from the frames of queriers, each over its own set of streams and the same time. The limit comes before the interval, as in Loki, which
 *  answers such queries hour by hour: merge each hour on its own, then `joinLogResults`. */
export function mergeLogFrames(frames: readonly (readonly Uint8Array[])[], { limit, direction, intervalNs }: LogMerge): FrameEntry[] {
  const backward = direction === 'backward';
  // The sort is stable: entries of one stream at one time stay in the order of their frame.
  const all = frames.flatMap(decodeLogFrame);
  all.sort((a, b) => compareTimes(a.timeNs, b.timeNs, backward) || compareTexts(a.origin, b.origin) || compareTexts(a.all, b.all));
  const best = all.slice(0, limit);
  if (intervalNs === 0) return best;
  const gap = BigInt(intervalNs);
  let last: bigint | undefined;
  return best.filter(({ timeNs }) => {
    if (last !== undefined && (backward ? last - timeNs : timeNs - last) < gap) return false;
    last = timeNs;
    return true;
  });
}

/** One answer from the answers for consecutive times, given in the query's direction. */
export function joinLogResults(results: readonly (readonly FrameEntry[])[], limit: number): FrameEntry[] {
  return results.flat().slice(0, limit);
}

function compareTimes(a: bigint, b: bigint, backward: boolean): number {
  return a === b ? 0 : a < b !== backward ? -1 : 1;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
