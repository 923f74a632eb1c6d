import { labelValue } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { type Batch, batchesIn, HOUR_NS, inShard } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { readPushRecord } from '../../storage/batch/push-record.ts';
import type { IngestLog, Position } from '../../storage/log/ingest-log.ts';
import type { CompiledMatcher } from '../../storage/segment/postings.ts';
import { Bell } from '../bell.ts';
import type { LogPlace, MissedEntries, StreamShard, TailedBatches } from '../protocol/ingest.ts';

/** Bytes of batches that wait for one tail; beyond, it misses them. */
const MOST_WAITING = 8 * MiB;
/** About what goes to a tail at once. */
const PART_BYTES = MiB / 2;
/** Missed entries of one tail that are remembered to be told. */
const MOST_MISSED = 10_000;
/** Streams of which a tail remembers whether it wants them. */
const MOST_STREAMS = 10_000;

/** Where tails come from: a log, and how far it is in the heads. */
export interface TailedLog {
  readonly log: IngestLog;
  readonly appliedTo: Position;
}

/** Streams that a tail is of: those of the shard that all matchers take. */
export interface TailedStreams {
  readonly matchers: readonly CompiledMatcher[];
  readonly shard: StreamShard;
}

/** Who listens to what a shard takes in. */
export class Tails {
  readonly #byTenant = new Map<string, Set<Feed>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The batches of a record that is now in the heads; `next` is the position behind it. Without listeners of the tenant it looks at none of them. */
  publish(tenant: string, batches: Buffer, next: Position): void {
    const feeds = this.#count === 0 ? undefined : this.#byTenant.get(tenant);
    if (feeds === undefined) return;
    for (const batch of batchesIn(batches)) {
      let copy: Buffer | undefined; // the original is freed once it is in the heads
      for (const feed of feeds) {
        if (!feed.wants(batch)) continue;
        if (!feed.hasRoom) feed.miss(batch);
        else {
          copy ??= copyOf(batch);
          feed.add(copy);
        }
      }
    }
    for (const feed of feeds) feed.reached(next);
  }

  /** Tells every listener how far the log is, whoever's entries those were: that far it need not read again when it resumes. */
  mark(appliedTo: Position): void {
    for (const feeds of this.#byTenant.values()) for (const feed of feeds) feed.mark(appliedTo);
  }

  /** Everything of the tenant's streams that are asked for, from now on, or from `resume` on. Its first part has no batches: when it comes, nothing applied later will
   *  be left out. Ends only by the signal. Throws Fault not_found if the log does not reach back to `resume`. */
  async *listen(
    tenant: string,
    streams: TailedStreams,
    source: TailedLog,
    { resume, signal }: { resume?: LogPlace | undefined; signal: AbortSignal },
  ): AsyncGenerator<TailedBatches> {
    const place: LogPlace = { log: source.log.id, position: source.appliedTo };
    const feed = new Feed(streams, place);
    this.#add(tenant, feed);
    try {
      yield { next: resume ?? place, batches: [], missed: [] };
      if (resume !== undefined) yield* recordsBetween(resume, place, source.log, { tenant, feed });
      for (;;) yield await feed.take(signal);
    } finally {
      this.#remove(tenant, feed);
    }
  }

  #add(tenant: string, feed: Feed): void {
    const feeds = this.#byTenant.get(tenant);
    if (feeds === undefined) this.#byTenant.set(tenant, new Set([feed]));
    else feeds.add(feed);
    this.#count++;
  }

  #remove(tenant: string, feed: Feed): void {
    const feeds = this.#byTenant.get(tenant);
    feeds?.delete(feed);
    if (feeds?.size === 0) this.#byTenant.delete(tenant);
    this.#count--;
  }
}

/** What waits for one tail. */
class Feed {
  readonly #streams: TailedStreams;
  readonly #wanted = new Map<string, boolean>();
  readonly #bell = new Bell();
  #waiting: { readonly batch: Buffer; next: Position }[] = [];
  #bytes = 0;
  #missed: MissedEntries[] = [];
  #missedRows = 0;
  #next: LogPlace;
  /** As told last. */
  #told: Position;

  constructor(streams: TailedStreams, next: LogPlace) {
    this.#streams = streams;
    this.#next = next;
    this.#told = next.position;
  }

  get hasRoom(): boolean {
    return this.#bytes < MOST_WAITING;
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

  add(batch: Buffer): void {
    // Its record is not behind the tail before all of it is.
    this.#waiting.push({ batch, next: this.#next.position });
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

  /** All batches of the records below `position` were added. */
  reached(position: Position): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined) last.next = position;
    this.#next = { ...this.#next, position };
  }

  mark(position: Position): void {
    this.reached(position);
    if (position > this.#told) this.#bell.ring();
  }

  /** What waits, or what comes next. */
  async take(signal: AbortSignal): Promise<TailedBatches> {
    while (this.#waiting.length === 0 && this.#missed.length === 0 && this.#told === this.#next.position) await this.#bell.rung(signal);
    signal.throwIfAborted();
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && bytes < PART_BYTES; count++) bytes += this.#waiting[count].batch.length;
    const taken = this.#waiting.splice(0, count);
    for (const { batch } of taken) this.#bytes -= batch.length;
    const missed = this.#missed;
    this.#missed = [];
    this.#missedRows = 0;
    const position = this.#waiting.length === 0 ? this.#next.position : taken[count - 1].next;
    this.#told = position;
    return { next: { log: this.#next.log, position }, batches: taken.map(({ batch }) => batch), missed };
  }
}

/** In a buffer of its own, 8-aligned. */
function copyOf(batch: Batch): Buffer {
  const copy = Buffer.allocUnsafeSlow(batch.bytes.length);
  batch.bytes.copy(copy);
  return copy;
}

/** What `feed` wants of the records [from, to) of the log. */
async function* recordsBetween(
  from: LogPlace,
  to: LogPlace,
  log: IngestLog,
  { tenant, feed }: { tenant: string; feed: Feed },
): AsyncGenerator<TailedBatches> {
  const lost = (): Fault => new Fault('not_found', `the ingest log has lost record ${from.position}, where the tail was to go on`);
  if (from.log !== to.log || from.position > to.position) throw lost();
  let position = from.position;
  if (position < to.position) {
    for await (const item of log.read(position)) {
      if (item.kind === 'gap' || item.position !== position) throw lost();
      const record = readPushRecord(item.bytes);
      const batches = record.tenant === tenant ? [...record.batches].filter((batch) => feed.wants(batch)).map(copyOf) : [];
      position++;
      if (batches.length > 0) yield { next: { log: from.log, position }, batches, missed: [] };
      if (position === to.position) return;
    }
    throw lost();
  }
}
