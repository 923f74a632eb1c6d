import type { Batch } from '../../storage/batch/batch.ts';
import type { Position } from '../../storage/log/ingest-log.ts';
import type { LogPlace, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import { copyOf, PART_BYTES, type TailedStreams, TailFeed } from './tail-feed.ts';

/** By how much whoever reads a log may be behind its end, usually less. */
const BEHIND_RECORDS = 1_000;

/** A record that a tail goes on with; borrowed until the next is asked for. */
export interface TailedRecord {
  readonly position: Position;
  readonly tenant: string;
  readonly batches: Iterable<Batch>;
}

/** Where tails come from. */
export interface TailSource {
  /** Logs that are read here, and how far each is in the heads. */
  places(): LogPlace[];
  /** Where logs end that may come to be read here. Rejects while that is not known. */
  elsewhere(): Promise<readonly LogPlace[]>;
  /** Records [from, to) of a log that is read here; with `to` undefined, those of a log that may come to be. Of both what is known when it is called; throws Fault not_found if
   *  nobody else can know more. */
  between(from: LogPlace, to: Position | undefined): AsyncIterable<TailedRecord>;
}

/** Who listens to what a shard takes in. */
export class Tails {
  readonly #byTenant = new Map<string, Set<TailFeed>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The batches of the record there, which is now in the heads. Without listeners of the tenant it looks at none of them. */
  publish(place: LogPlace, tenant: string, batches: Iterable<Batch>): void {
    const feeds = this.#count === 0 ? undefined : this.#byTenant.get(tenant);
    if (feeds === undefined) return;
    const behind = [...feeds].filter((feed) => feed.isNew(place));
    if (behind.length === 0) return;
    for (const batch of batches) {
      let copy: Buffer | undefined; // the original is freed once it is in the heads
      for (const feed of behind) {
        if (!feed.wants(batch)) continue;
        if (!feed.hasRoom) feed.miss(batch);
        else {
          copy ??= copyOf(batch);
          feed.add(copy, place);
        }
      }
    }
    const next = { log: place.log, position: place.position + 1 };
    for (const feed of behind) feed.reached(next);
  }

  /** The log is read on from there, whether or not that is where it was. */
  begin(place: LogPlace): void {
    this.#each((feed) => feed.begins(place));
  }

  /** All records below the place were published, whoever's they were. */
  reached(place: LogPlace): void {
    this.#each((feed) => feed.reached(place));
  }

  /** Tells every listener how far a log is, whoever's entries those were: that far it need not read again when it resumes. */
  mark(place: LogPlace): void {
    this.#each((feed) => feed.mark(place));
  }

  /** Everything of the tenant's streams that are asked for, from now on, or from `resume` on. When the first part comes, nothing applied later will be left out.
   *  Ends only by the signal. Throws what the source throws. */
  async *listen(
    tenant: string,
    streams: TailedStreams,
    source: TailSource,
    { resume, signal }: { resume?: readonly LogPlace[] | undefined; signal: AbortSignal },
  ): AsyncGenerator<TailBegun | TailedBatches> {
    const ends = resume === undefined ? await source.elsewhere() : [];
    signal.throwIfAborted();
    const here = source.places();
    const read = new Map(here.map(({ log, position }) => [log, position]));
    const feed = new TailFeed(streams, resume ?? ends.filter(({ log }) => !read.has(log)).map(beforeEnd));
    const named = new Set(resume?.map(({ log }) => log));
    // A log that a tail which goes on does not know is newer than the tail.
    const before = resume === undefined ? [] : [...resume, ...here.flatMap(({ log }) => (named.has(log) ? [] : { log, position: 0 }))];
    const known = before.map((place) => ({ place, to: read.get(place.log), records: source.between(place, read.get(place.log)) }));
    for (const place of here) feed.joins(place);
    this.#add(tenant, feed);
    try {
      yield { kind: 'begun', places: resume ?? here, ends };
      for (const log of known) yield* gathered(log, { tenant, feed });
      for (;;) yield await feed.take(signal);
    } finally {
      this.#remove(tenant, feed);
    }
  }

  #each(action: (feed: TailFeed) => void): void {
    for (const feeds of this.#byTenant.values()) for (const feed of feeds) action(feed);
  }

  #add(tenant: string, feed: TailFeed): void {
    const feeds = this.#byTenant.get(tenant);
    if (feeds === undefined) this.#byTenant.set(tenant, new Set([feed]));
    else feeds.add(feed);
    this.#count++;
  }

  #remove(tenant: string, feed: TailFeed): void {
    const feeds = this.#byTenant.get(tenant);
    feeds?.delete(feed);
    if (feeds?.size === 0) this.#byTenant.delete(tenant);
    this.#count--;
  }
}

/** Where a tail begins in a log that comes to be read here: whoever reads it when the tail begins may be behind its end, and this far may go before it has sent what is between. What the tail
 *  has had, it knows. */
function beforeEnd({ log, position }: LogPlace): LogPlace {
  return { log, position: Math.max(0, position - BEHIND_RECORDS) };
}

/** What `feed` wants of records that were read before. */
async function* gathered(
  { place: { log, position: from }, to, records }: { place: LogPlace; to: Position | undefined; records: AsyncIterable<TailedRecord> },
  { tenant, feed }: { tenant: string; feed: TailFeed },
): AsyncGenerator<TailedBatches> {
  let [told, next, bytes] = [from, from, 0];
  let batches: Buffer[] = [];
  let positions: Position[] = [];
  const part = (): TailedBatches => {
    const taken = { kind: 'batches' as const, from: told, next: { log, position: next }, batches, positions, missed: [] };
    [told, batches, positions, bytes] = [next, [], [], 0];
    return taken;
  };
  for await (const record of records) {
    if (record.position > next) {
      if (next > told) yield part();
      told = record.position;
    }
    for (const batch of record.tenant === tenant ? record.batches : []) {
      if (!feed.wants(batch)) continue;
      batches.push(copyOf(batch));
      positions.push(record.position);
      bytes += batch.bytes.length;
    }
    next = record.position + 1;
    if (bytes >= PART_BYTES) yield part();
  }
  if (next > told) yield part();
  if (to === undefined || next >= to) return;
  [told, next] = [to, to];
  yield part();
}
