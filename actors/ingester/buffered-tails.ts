import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Batch } from '../../storage/batch/batch.ts';
import { readPushRecord } from '../../storage/batch/push-record.ts';
import type { LogRecord, Position } from '../../storage/log/ingest-log.ts';
import type { LogPlace } from '../protocol/ingest.ts';
import type { ReadListener } from './owned-partition.ts';
import { type TailedRecord, type TailSource, Tails } from './tails.ts';

/** Of records that were read last, for tails that come back: a start may read a partition before a tail that was with the one before finds it. */
const KEPT_BYTES = 8 * MiB;

interface Kept extends LogPlace {
  readonly bytes: Buffer;
}

/** Tails of partitions, which one owner after the other reads: each begins at what was taken in last, in partitions that come to be read here later too. */
export class BufferedTails implements ReadListener {
  readonly tails = new Tails();
  #kept: Kept[] = [];
  #keptFrom = 0;
  #keptBytes = 0;

  begins(place: LogPlace): void {
    this.tails.begin(place);
  }

  /** The next records of a log are in the heads; borrowed for the call. */
  took(log: string, records: readonly LogRecord[]): void {
    if (records.length === 0) return;
    if (this.tails.count > 0) this.#publish(log, records);
    for (const { position, bytes } of records) {
      this.#kept.push({ log, position, bytes: Buffer.from(bytes) });
      this.#keptBytes += bytes.length;
    }
    this.#forget();
  }

  /** Tails are told now how far it is, whatever of it they wanted: nobody may tell them later. */
  passesOn(place: LogPlace): void {
    this.tails.mark(place);
  }

  #publish(log: string, records: readonly LogRecord[]): void {
    for (const { position, bytes } of records) {
      const record = readable(bytes);
      if (record !== undefined) this.tails.publish({ log, position }, record.tenant, record.batches);
    }
    this.tails.reached({ log, position: records[records.length - 1].position + 1 });
  }

  /** `here`: logs that are read here now. */
  source(here: () => LogPlace[], ends: () => Promise<LogPlace[]>): TailSource {
    return { places: here, elsewhere: ends, between: (from, to) => this.#between(from, to) };
  }

  /** Who has to have more than is known here finds out, and others may have it. */
  #between({ log, position: from }: LogPlace, to: Position = Number.POSITIVE_INFINITY): AsyncIterable<TailedRecord> {
    const wanted = this.#kept.slice(this.#keptFrom).filter((one) => one.log === log && one.position >= from && one.position < to);
    // Some may have been read twice.
    const known = new Map(wanted.map(({ position, bytes }) => [position, bytes]));
    return recordsOf([...known].sort(([a], [b]) => a - b));
  }

  #forget(): void {
    while (this.#keptBytes > KEPT_BYTES) this.#keptBytes -= this.#kept[this.#keptFrom++].bytes.length;
    if (this.#keptFrom * 2 < this.#kept.length) return;
    this.#kept = this.#kept.slice(this.#keptFrom);
    this.#keptFrom = 0;
  }
}

async function* recordsOf(known: readonly [position: Position, bytes: Buffer][]): AsyncGenerator<TailedRecord> {
  for (const [position, bytes] of known) yield { position, ...(readable(bytes) ?? { tenant: '', batches: [] }) };
}

/** Undefined: it is damaged, and was told of as lost. */
function readable(bytes: Buffer): { tenant: string; batches: Batch[] } | undefined {
  try {
    const { tenant, batches } = readPushRecord(bytes);
    return { tenant, batches: [...batches] };
  } catch (error) {
    if (error instanceof Fault && error.code === 'corrupt') return undefined;
    throw error;
  }
}
