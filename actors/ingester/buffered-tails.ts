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

  async *#between({ log, position: from }: LogPlace, to: Position | undefined): AsyncGenerator<TailedRecord> {
    const known = this.#kept
      .slice(this.#keptFrom)
      .filter((one) => one.log === log && one.position >= from && (to === undefined || one.position < to));
    let next = from;
    for (const { position, bytes } of known) {
      if (position < next) continue; // read twice
      if (to !== undefined && position > next) break;
      next = position + 1;
      const record = readable(bytes);
      yield { position, tenant: record?.tenant ?? '', batches: record?.batches ?? [] };
    }
    if (to !== undefined && next < to)
      throw new Fault('not_found', `records ${next} to ${to - 1} of ${log}, where the tail was to go on, are not in memory any more`);
  }

  #forget(): void {
    while (this.#keptBytes > KEPT_BYTES) this.#keptBytes -= this.#kept[this.#keptFrom++].bytes.length;
    if (this.#keptFrom * 2 < this.#kept.length) return;
    this.#kept = this.#kept.slice(this.#keptFrom);
    this.#keptFrom = 0;
  }
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
