import { join } from 'node:path';
import type { Files } from '../../ops/base/world.ts';
import type { Position } from './ingest-log.ts';
import { type Scanned, scanRecords, sealOf } from './record.ts';

/** One file of a local log. */
export interface Segment {
  readonly path: string;
  /** Grows with every opening of the log and every abandoned file: only the last file of an epoch may end in records that were never acknowledged. */
  readonly epoch: number;
  /** Position of its first record. */
  readonly first: Position;
  /** Bytes that are known to be in the file. */
  sizeBytes: number;
}

const NAME = /^(\d{10})-(\d{16})\.log$/;

export function segmentPath(directory: string, epoch: number, first: Position): string {
  return join(directory, `${String(epoch).padStart(10, '0')}-${String(first).padStart(16, '0')}.log`);
}

/** The files of the log in `directory`, in the order they were made. */
export async function listSegments(files: Files, directory: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const { name } of await files.list(directory)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const path = join(directory, name);
    segments.push({ path, epoch: Number(match[1]), first: Number(match[2]), sizeBytes: (await files.stat(path)).sizeBytes });
  }
  return segments; // names sort as they were made
}

/** What stands in a segment from byte `at` on. */
export async function* scanSegment(files: Files, logId: string, segment: Segment, at = 0): AsyncGenerator<Scanned, void, void> {
  const scan = scanRecords(sealOf(logId, segment.epoch), segment.sizeBytes, at);
  for (let step = scan.next(); !step.done; ) {
    if (step.value.kind === 'need') {
      step = scan.next(await files.read(segment.path, [step.value.from, step.value.to]));
    } else {
      yield step.value;
      step = scan.next();
    }
  }
}
