import { release } from '../../ops/base/bytes.ts';
import { asFault, Fault, type WireFault } from '../../ops/base/fault.ts';
import { Batch } from '../../storage/batch/batch.ts';
import { pushRecordHeader } from '../../storage/batch/push-record.ts';
import { splitBatch } from '../../storage/batch/split.ts';
import type { PartitionWriter } from '../../storage/log/partition-writer.ts';
import { placementHash } from '../../topology/ring/placement.ts';
import type { ActiveStreams } from '../active-streams.ts';
import type { AskContext } from '../kernel/define.ts';
import { Refusals } from '../refusals.ts';
import type { Replicated, StreamBatch } from './replicate.ts';

export interface BufferDeps {
  /** One for each partition; none while the topic is not there. */
  readonly writers: () => readonly PartitionWriter[];
  /** Why there are none. */
  readonly waitsFor: () => string;
  readonly streams: ActiveStreams;
  /** What a record may have. */
  readonly maxRecordBytes: number;
}

/** What of a push goes into one record. */
interface RecordPart {
  readonly batches: Buffer[];
  sizeBytes: number;
  lines: number;
  contentBytes: number;
}

interface Written {
  readonly part: RecordPart;
  /** Absent: Kafka has it. */
  readonly fault: WireFault | undefined;
}

/** Batches go into Kafka, each into the partition of its stream, where ingesters find them. Nobody behind it can refuse a stream any more: so limits of streams are kept here, by what this
 *  distributor sees of them. */
export class IngestBuffer {
  readonly #deps: BufferDeps;

  constructor(deps: BufferDeps) {
    this.#deps = deps;
  }

  /** Resolves once it is known of every batch whether Kafka has it, or that nobody knows. `batches` are given away. */
  async send(batches: readonly StreamBatch[], { tenant }: AskContext): Promise<Replicated> {
    const refusals = new Refusals();
    let written: Promise<Written>[];
    try {
      written = this.#append(tenant, batches, refusals);
    } finally {
      for (const { bytes } of batches) release(bytes); // writers have copied them
    }
    return outcome(await Promise.all(written), refusals);
  }

  #append(tenant: string, batches: readonly StreamBatch[], refusals: Refusals): Promise<Written>[] {
    const writers = this.#deps.writers();
    if (writers.length === 0) throw new Fault('unavailable', this.#deps.waitsFor(), { retryAfterS: 1 });
    const partitions = new Map<number, RecordPart[]>();
    for (const { hash, bytes } of batches) {
      const batch = new Batch(bytes);
      if (!this.#deps.streams.admit(tenant, batch, refusals)) continue;
      const partition = placementHash(tenant, hash) % writers.length;
      const parts = partitions.get(partition) ?? [];
      partitions.set(partition, parts);
      this.#add(parts, batch, tenant);
    }
    const header = pushRecordHeader(tenant);
    return [...partitions].flatMap(([partition, parts]) =>
      parts.map(async (part) => ({ part, fault: await faultOf(writers[partition].append([header, ...part.batches])) })),
    );
  }

  #add(parts: RecordPart[], batch: Batch, tenant: string): void {
    const most = this.#deps.maxRecordBytes - pushRecordHeader(tenant).length;
    for (const bytes of splitBatch(batch, most)) {
      const { rows, lineBytes, metadataBytes } = bytes === batch.bytes ? batch : new Batch(bytes);
      let part = parts.at(-1);
      if (part === undefined || part.sizeBytes + bytes.length > most) {
        part = { batches: [], sizeBytes: 0, lines: 0, contentBytes: 0 };
        parts.push(part);
      }
      part.batches.push(bytes);
      part.sizeBytes += bytes.length;
      part.lines += rows;
      part.contentBytes += lineBytes + metadataBytes;
    }
  }
}

async function faultOf(append: Promise<unknown>): Promise<WireFault | undefined> {
  try {
    await append;
    return undefined;
  } catch (error) {
    return asFault(error).toWire();
  }
}

function outcome(written: readonly Written[], refusals: Refusals): Replicated {
  const taken = written.filter(({ fault }) => fault === undefined);
  return {
    acceptedLines: taken.reduce((sum, { part }) => sum + part.lines, 0),
    acceptedBytes: taken.reduce((sum, { part }) => sum + part.contentBytes, 0),
    refusals: refusals.list(),
    faults: written.flatMap(({ fault }) => fault ?? []),
  };
}
