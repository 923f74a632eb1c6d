import { errno, type Files } from '../../ops/base/world.ts';
import type { LogGap, LogRecord, Position } from './ingest-log.ts';
import { type Segment, scanSegment } from './segments.ts';

export interface Replay {
  readonly files: Files;
  readonly logId: string;
  /** In the order they were made. */
  readonly segments: readonly Segment[];
  /** Records [from, end) are wanted. */
  readonly from: Position;
  readonly end: Position;
  /** Records below it may go while the replay runs, and are then passed over. */
  readonly trimmedTo: () => Position;
}

/** The log's records in order, and what is missing between them. Where two files hold a position the later one counts: the earlier was abandoned before that record
 *  was acknowledged. */
export async function* replay({ files, logId, segments, from, end, trimmedTo }: Replay): AsyncGenerator<LogRecord | LogGap, void, void> {
  let expected: Position | undefined;
  let lostBytes = 0;
  for (const [number, segment] of segments.entries()) {
    const next = segments[number + 1];
    const until = Math.min(next?.first ?? end, end);
    if (until <= from || until <= segment.first) continue;
    expected ??= Math.max(from, segment.first);
    try {
      for await (const item of scanSegment(files, logId, segment)) {
        if (item.kind === 'damage') {
          lostBytes += item.sizeBytes;
          continue;
        }
        if (item.position >= until) break;
        if (item.position > expected) {
          const oneGroup = item.group <= expected && next?.epoch !== segment.epoch;
          const doubtful = oneGroup && !(await hasGroupAfter(files, logId, segment, item));
          yield gap(expected, item.position, lostBytes, doubtful);
          expected = item.position;
        }
        lostBytes = 0;
        if (item.position < expected) continue;
        expected = item.position + 1;
        yield { kind: 'record', position: item.position, bytes: item.bytes };
        if (expected === until) break;
      }
    } catch (error) {
      if (errno(error) !== 'ENOENT' || until > trimmedTo()) throw error;
      expected = until;
    }
    if (expected >= until) lostBytes = 0;
  }
  expected ??= Math.max(from, segments[0]?.first ?? from);
  if (expected < end) yield gap(expected, end, lostBytes, false);
}

/** Whether the file holds a later group than the record's: that was begun only once the record's group was durable. */
async function hasGroupAfter(files: Files, logId: string, segment: Segment, record: { group: Position; next: number }): Promise<boolean> {
  for await (const item of scanSegment(files, logId, segment, record.next)) {
    if (item.kind === 'record' && item.group > record.group) return true;
  }
  return false;
}

function gap(from: Position, to: Position, lostBytes: number, doubtful: boolean): LogGap {
  const place = lostBytes > 0 ? `${lostBytes} unreadable bytes stand in their place` : 'nothing stands in their place';
  return { kind: 'gap', from, to, lostBytes, doubtful, reason: doubtful ? `${place}, in the last write before a stop` : place };
}
