import { labelValue } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { type Batch, HOUR_NS, inShard } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import type { CompiledMatcher } from '../../storage/segment/postings.ts';
import { Bell } from '../bell.ts';
import type { LogPlace, MissedEntries, StreamShard, TailedBatches } from '../protocol/ingest.ts';

/** Bytes of batches that wait for one tail; beyond, it misses them. */
const MOST_WAITING = 8 * MiB;
/** About what goes to a tail at once. */
export const PART_BYTES = MiB / 2;
/** Missed entries of one tail that are remembered to be told. */
const MOST_MISSED = 10_000;
/** Streams of which a tail remembers whether it wants them. */
const MOST_STREAMS = 10_000;

/** Streams that a tail is of: those of the shard that all matchers take. */
export interface TailedStreams {
  readonly matchers: readonly CompiledMatcher[];
  readonly shard: StreamShard;
}

/** How far a tail is in one log. */
interface Tailed {
  readonly log: string;
  /** Records below it were looked at. */
  next: Position;
  /** As told last. */
  told: Position;
  /** What waits of it. */
  waiting: number;
}

interface Waiting {
  readonly tailed: Tailed;
  /** Absent: records [next, position) were read by others, which is told. */
  readonly batch: Buffer | undefined;
  /** Of its record. */
  readonly position: Position;
  /** What is told once it was taken. */
  next: Position;
}

/** What waits for one tail. */
export class TailFeed {
  readonly #streams: TailedStreams;
  /** Where the tail begins in logs that may come to be read here. */
  readonly #starts: ReadonlyMap<string, Position>;
  readonly #logs = new Map<string, Tailed>();
  readonly #wanted = new Map<string, boolean>();
  readonly #bell = new Bell();
  #waiting: Waiting[] = [];
  #bytes = 0;
  #missed: MissedEntries[] = [];
  #missedRows = 0;

  constructor(streams: TailedStreams, starts: readonly LogPlace[]) {
    this.#streams = streams;
    this.#starts = new Map(starts.map(({ log, position }) => [log, position]));
  }

  get hasRoom(): boolean {
    return this.#bytes < MOST_WAITING;
  }

  /** The log is read here, up to `position` now; how what was before it comes is not this feed's to say. */
  joins({ log, position }: LogPlace): void {
    const next = Math.max(position, this.#starts.get(log) ?? 0);
    this.#logs.set(log, { log, next, told: next, waiting: 0 });
  }

  /** The log comes to be read here, from `position` on. */
  begins({ log, position }: LogPlace): void {
    let tailed = this.#logs.get(log);
    if (tailed === undefined) {
      const start = this.#starts.get(log) ?? position;
      tailed = { log, next: start, told: start, waiting: 0 };
      this.#logs.set(log, tailed);
    }
    if (position <= tailed.next) return;
    this.#waiting.push({ tailed, batch: undefined, position, next: tailed.next });
    tailed.waiting++;
    tailed.next = position;
    this.#bell.ring();
  }

  /** Whether the record there is one that it was not given yet. */
  isNew({ log, position }: LogPlace): boolean {
    const tailed = this.#logs.get(log);
    return tailed !== undefined && position >= tailed.next;
  }

  wants(batch: Batch): boolean {
    const { matchers, shard } = this.#streams;
    let wanted = this.#wanted.get(batch.hash);
    if (wanted === undefined) {
      const labels = parseCanonicalLabels(batch.labels());
      wanted = inShard(batch.hash, shard) && matchers.every(({ name, test }) => test(labelValue(labels, name)));
      if (this.#wanted.size >= MOST_STREAMS) this.#wanted.clear();
      this.#wanted.set(batch.hash, wanted);
    }
    return wanted;
  }

  /** A batch of the record there. */
  add(batch: Buffer, { log, position }: LogPlace): void {
    const tailed = this.#logs.get(log)!;
    // Its record is not behind the tail before all of it is.
    this.#waiting.push({ tailed, batch, position, next: tailed.next });
    tailed.waiting++;
    this.#bytes += batch.length;
    this.#bell.ring();
  }

  miss(batch: Batch): void {
    const rows = Math.min(batch.rows, MOST_MISSED - this.#missedRows);
    if (rows === 0) return;
    const hourNs = BigInt(batch.hour) * BigInt(HOUR_NS);
    this.#missed.push({ labels: batch.labels(), timesNs: Array.from(batch.times().subarray(0, rows), (time) => hourNs + BigInt(time)) });
    this.#missedRows += rows;
    this.#bell.ring();
  }

  /** All batches of the log's records below `position` were added. */
  reached({ log, position }: LogPlace): void {
    const tailed = this.#logs.get(log);
    if (tailed === undefined || position <= tailed.next) return;
    const last = this.#waiting.at(-1);
    if (last?.tailed === tailed && last.batch !== undefined) last.next = position;
    tailed.next = position;
  }

  /** As `reached`, which is told though there is nothing else to tell. */
  mark(place: LogPlace): void {
    this.reached(place);
    const tailed = this.#logs.get(place.log);
    if (tailed !== undefined && tailed.next > tailed.told) this.#bell.ring();
  }

  /** What waits, or what comes next. */
  async take(signal: AbortSignal): Promise<TailedBatches> {
    for (;;) {
      signal.throwIfAborted();
      const part = this.#taken();
      if (part !== undefined) return part;
      await this.#bell.rung(signal);
    }
  }

  #taken(): TailedBatches | undefined {
    const [first] = this.#waiting;
    if (first !== undefined && first.batch === undefined) return this.#jump(first);
    const tailed = this.#waiting[0]?.tailed ?? this.#untold();
    if (tailed === undefined) return undefined;
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && bytes < PART_BYTES; count++) {
      const { batch, tailed: of } = this.#waiting[count];
      if (of !== tailed || batch === undefined) break;
      bytes += batch.length;
    }
    return this.#part(tailed, count, tailed.waiting === count ? tailed.next : this.#waiting[count - 1].next);
  }

  #jump({ tailed, position, next }: Waiting): TailedBatches {
    if (tailed.told < next) return this.#part(tailed, 0, next);
    this.#waiting.shift();
    tailed.waiting--;
    tailed.told = position;
    return this.#part(tailed, 0, position);
  }

  /** The first `count` of those that wait. */
  #part(tailed: Tailed, count: number, position: Position): TailedBatches {
    const taken = this.#waiting.splice(0, count);
    const batches = taken.map(({ batch }) => batch!);
    for (const batch of batches) this.#bytes -= batch.length;
    tailed.waiting -= count;
    const { log, told: from } = tailed;
    tailed.told = position;
    const missed = this.#missed;
    this.#missed = [];
    this.#missedRows = 0;
    return { kind: 'batches', from, next: { log, position }, batches, positions: taken.map((one) => one.position), missed };
  }

  /** One that has come further than was told; any if there is something else to tell. */
  #untold(): Tailed | undefined {
    for (const tailed of this.#logs.values()) if (this.#missed.length > 0 || tailed.told !== tailed.next) return tailed;
    return undefined;
  }
}

/** In a buffer of its own, 8-aligned. */
export function copyOf(batch: Batch): Buffer {
  const copy = Buffer.allocUnsafeSlow(batch.bytes.length);
  batch.bytes.copy(copy);
  return copy;
}
