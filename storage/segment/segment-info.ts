import type { ByteReader, ByteWriter } from '../../ops/base/bytes.ts';
import type { Position } from '../log/ingest-log.ts';
import type { Arrival } from './arrival.ts';
import { Closure } from './closure.ts';

/** Per log, the position below which no level-0 object is needed any more: whatever of the log lies there has long been in segments. */
export type LogCover = ReadonlyMap<string, Position>;

/** What a segment's footer says of it as a whole. */
export interface SegmentInfo extends Arrival {
  /** From 1: one more than that of what it was made from, which is all of one level. */
  readonly level: number;
  /** Deletes up to this sequence number have been applied. */
  readonly deletesApplied: number;
  readonly closure: Closure;
  readonly cover: LogCover;
}

/** Layout: FORMAT.md. */
export function writeSegmentInfo(out: ByteWriter, { level, deletesApplied, oldestMs, first, closure, cover }: SegmentInfo): void {
  out.varint(level).varint(deletesApplied).varint(oldestMs).text(first);
  const logs = [...new Set([...closure.levelZero.keys(), ...cover.keys()])].sort();
  out.varint(logs.length);
  for (const log of logs) {
    const positions = closure.levelZero.get(log) ?? new Float64Array(0);
    out
      .text(log)
      .varint(cover.get(log) ?? 0)
      .varint(positions.length);
    let before = 0;
    for (const position of positions) {
      out.varint(position - before);
      before = position;
    }
  }
  out.varint(closure.segments.size);
  for (const key of closure.segments) out.text(key);
}

/** `withFirst`: whether it has the key that was added in version 3. Throws RangeError on bytes that `writeSegmentInfo` does not write. */
export function readSegmentInfo(reader: ByteReader, withFirst: boolean): SegmentInfo {
  const level = reader.varint();
  if (level === 0) throw new RangeError('segment of level 0');
  const deletesApplied = reader.varint();
  const oldestMs = reader.varint();
  const first = withFirst ? reader.text() : undefined;
  const cover = new Map<string, Position>();
  const levelZero: { log: string; from: Position }[] = [];
  const logs = countOf(reader);
  for (let number = 0; number < logs; number++) {
    const log = reader.text();
    cover.set(log, reader.varint());
    const positions = countOf(reader);
    let from = 0;
    for (let index = 0; index < positions; index++) {
      from += reader.varint();
      levelZero.push({ log, from });
    }
  }
  const segments: string[] = [];
  const keys = countOf(reader);
  for (let number = 0; number < keys; number++) segments.push(reader.text());
  const closure = Closure.of(levelZero, segments);
  return { level, deletesApplied, oldestMs, first: first ?? closure.first, closure, cover };
}

/** A count of items, which take a byte at least. */
export function countOf(reader: ByteReader): number {
  const count = reader.varint();
  if (count > reader.left) throw new RangeError(`${count} items in ${reader.left} bytes`);
  return count;
}
