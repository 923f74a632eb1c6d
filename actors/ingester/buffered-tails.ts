import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import type { Batch } from '../../storage/batch/batch.ts';
import { readPushRecord } from '../../storage/batch/push-record.ts';
import type { LogRecord, Position } from '../../storage/log/ingest-log.ts';
import type { LogPlace } from '../protocol/ingest.ts';
import { type TailedRecord, type TailSource, Tails } from './tails.ts';

/** Of records that were read last, for tails that come back. */
const KEPT_BYTES = 8 * MiB;
/** They are kept from the first tail on, and for so long after the last. */
const KEPT_MS = 60_000;

interface Kept extends LogPlace {
  readonly bytes: Buffer;
}

/** Tails of partitions, which one owner after the other reads: each begins at what was taken in last, in partitions that come to be read here later too. */
export class BufferedTails {
  readonly tails = new Tails();
  readonly #clock: Clock;
  #kept: Kept[] = [];
  #keptFrom = 0;
  #keptBytes = 0;
  #tailedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next records of a log are in the heads; borrowed for the call. */
  took(log: string, records: readonly LogRecord[]): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.tails.count > 0) this.#tailedMs = nowMs;
    else if (nowMs - this.#tailedMs > KEPT_MS) {
      this.#forget(0);
      return;
    }
    this.tails.begin({ log, position: records[0].position });
    for (const { position, bytes } of records) {
      const record = readable(bytes);
      if (record !== undefined) this.tails.publish({ log, position }, record.tenant, record.batches);
      this.#keep({ log, position, bytes: Buffer.from(bytes) });
    }
    this.tails.reached({ log, position: records[records.length - 1].position + 1 });
    this.#forget(KEPT_BYTES);
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

  #keep(record: Kept): void {
    this.#kept.push(record);
    this.#keptBytes += record.bytes.length;
  }

  #forget(bytes: number): void {
    while (this.#keptBytes > bytes) this.#keptBytes -= this.#kept[this.#keptFrom++].bytes.length;
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
