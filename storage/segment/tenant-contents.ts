import type { Labels } from '../../logql/model.ts';
import { Fault } from '../../ops/base/fault.ts';
import { HOUR_NS, type StreamHash } from '../batch/batch.ts';
import type { ChunkRef } from '../chunk/chunk.ts';
import type { Part, TenantContents } from './footer.ts';
import { TenantSectionBuilder } from './tenant-section.ts';

export interface SegmentStream {
  readonly tenant: string;
  /** Canonical text. */
  readonly labels: string;
  /** The same as pairs. */
  readonly parsed: Labels;
  readonly hash: StreamHash;
}

const HOURS_A_DAY = 24;

/** Gathers what a footer says of one tenant. Chunks come sorted by their stream's labels (code units) and base. */
export class TenantUnderWay {
  readonly name: string;
  readonly #section = new TenantSectionBuilder();
  readonly #parts = new Map<number, Part>();
  #stream: SegmentStream | undefined;
  #chunks: ChunkRef[] = [];

  constructor(name: string) {
    this.name = name;
  }

  add(stream: SegmentStream, chunk: ChunkRef): void {
    const before = this.#stream;
    if (before?.labels !== stream.labels) {
      if (before !== undefined && stream.labels < before.labels)
        throw new Fault('internal', `stream ${stream.labels} after ${before.labels}`);
      this.#endStream();
      this.#stream = stream;
    } else if (chunk.baseNs < this.#chunks[this.#chunks.length - 1].baseNs) {
      throw new Fault('internal', `chunks of ${stream.labels} not in the order of their hours`);
    }
    this.#chunks.push(chunk);
    this.#count(chunk);
  }

  #endStream(): void {
    if (this.#stream === undefined) return;
    const { labels, hash, parsed } = this.#stream;
    this.#section.add({ labels, hash, chunks: this.#chunks }, parsed);
    this.#chunks = [];
  }

  #count({ baseNs, minOffset, maxOffset, rows, lineBytes }: ChunkRef): void {
    const hour = Number(baseNs / BigInt(HOUR_NS));
    const day = Math.floor(hour / HOURS_A_DAY);
    const hourOffset = (hour - day * HOURS_A_DAY) * HOUR_NS;
    const part = this.#parts.get(day);
    this.#parts.set(day, {
      day,
      minOffset: Math.min(part?.minOffset ?? Number.POSITIVE_INFINITY, hourOffset + minOffset),
      maxOffset: Math.max(part?.maxOffset ?? 0, hourOffset + maxOffset),
      rows: (part?.rows ?? 0) + rows,
      lineBytes: (part?.lineBytes ?? 0) + lineBytes,
    });
  }

  finish(): TenantContents {
    this.#endStream();
    const parts = [...this.#parts.values()].sort((a, b) => a.day - b.day);
    return { tenant: this.name, parts, section: this.#section.finish() };
  }
}
