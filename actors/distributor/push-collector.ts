import { Fault } from '../../ops/base/fault.ts';
import { BatchBuilder } from '../../storage/batch/batch.ts';
import type { LabelForm, PushSink } from '../../storage/batch/push-sink.ts';
import type { TenantLimits } from '../limits.ts';
import type { RefusedEntry } from '../protocol/ingest.ts';
import type { DecodedPush } from './decode-push.ts';
import { Discards } from './discards.ts';
import { DETECTED_LEVEL, findsLevels, levelFinder } from './enrich.ts';
import { EntryMetadata, metadataSize } from './entry-metadata.ts';
import type { LevelFinder } from './levels.ts';
import type { StreamBatch } from './replicate.ts';
import type { KnownStream, StreamCache } from './stream-cache.ts';
import { lineTooLong, type Refusal, refuseMetadata, tooNew, tooOld } from './validate.ts';
import { ZeroedPages } from './zeroed-pages.ts';

const SECONDS_PER_HOUR = 3_600;
/** Batches count hours in 32 bits. */
const LAST_SECOND = 2 ** 32 * SECONDS_PER_HOUR - 1;
/** Bytes of a body that an entry takes at least, its time being among them; a client cannot make us reserve rows that it cannot fill. */
const MIN_ENTRY_BYTES = 8;
/** What a stream, and each of its batches, takes beside entries and labels: header, level column, objects around them. */
const OVERHEAD = 200;
/** What a pair takes in a batch at most, its name and value being there already. */
const INDEX_BYTES = 4;
/** Most bytes of one push as limits count them; batches count theirs in 32 bits, with the levels that were found. */
const MAX_BYTES = 2 ** 31;
/** Builders take some kilobytes each. Beyond this many they are finished, though more entries may come for their streams, and then get batches of their own. */
const MAX_OPEN = 1_024;
/** Streams and entries between two looks at the clock. */
const STEPS_PER_LOOK = 4_096;

/** The batches of one stream within one push. Nearly always all entries are of one hour. */
interface StreamBatches {
  readonly known: KnownStream;
  readonly byHour: Map<number, BatchBuilder>;
  /** Room to reserve in the next builder. The first gets what all entries need, since it nearly always gets them all. */
  reserve: { rows: number; lineBytes: number };
  /** The builder used last covers seconds [hourStart, hourStart + 3600). */
  hourStart: number;
  builder: BatchBuilder | undefined;
}

const NO_RESERVE = { rows: 0, lineBytes: 0 };

/** Checks, enriches and sorts into batches what a decoder finds in one push. */
export class PushCollector implements PushSink {
  readonly #tenant: string;
  readonly #limits: TenantLimits;
  readonly #cache: StreamCache;
  /** Most bytes that labels, which a stream repeats for each hour, and batches with sparse metadata may take: a body can be made to swell there. */
  readonly #maxOverheadBytes: number;
  readonly #finder: LevelFinder | undefined;
  /** Accepted times lie in [oldest, newest]. */
  readonly #oldestS: number;
  readonly #oldestN: number;
  readonly #newestS: number;
  readonly #newestN: number;
  readonly #streams = new Map<string, StreamBatches>();
  readonly #discards = new Discards();
  readonly #batches: StreamBatch[] = [];
  readonly #pages = new ZeroedPages();
  #stream: StreamBatches | undefined;
  /** Why the stream in hand is refused, if it is; and whether the client is told already. */
  #refusal: Refusal | undefined;
  #told = false;
  /** Builders that are not finished. */
  #open = 0;
  #lines = 0;
  #bytes = 0;
  #overheadBytes = 0;
  /** So many were seen. */
  #entries = 0;
  readonly #refused: RefusedEntry[] = [];
  readonly #namesRefused: boolean;
  readonly #metadata: EntryMetadata;

  readonly #overdue: () => boolean;
  /** Streams and entries until the next look at the clock. */
  #stepsLeft = STEPS_PER_LOOK;

  constructor(
    tenant: string,
    nowMs: number,
    limits: TenantLimits,
    cache: StreamCache,
    maxOverheadBytes: number,
    overdue: () => boolean = () => false,
    namesRefused = false,
  ) {
    this.#overdue = overdue;
    this.#namesRefused = namesRefused;
    this.#tenant = tenant;
    this.#limits = limits;
    this.#cache = cache;
    this.#maxOverheadBytes = maxOverheadBytes;
    this.#metadata = new EntryMetadata(limits);
    this.#finder = findsLevels(limits) ? levelFinder(limits) : undefined;
    // Batches count hours from 1970, so that is the oldest time where no age is too old.
    const oldestMs = limits.rejectOldSamples ? Math.max(0, nowMs - limits.rejectOldSamplesMaxAge) : 0;
    this.#oldestS = Math.floor(oldestMs / 1_000);
    this.#oldestN = (oldestMs - this.#oldestS * 1_000) * 1e6;
    const newestMs = Math.min(nowMs + limits.creationGracePeriod, LAST_SECOND * 1_000);
    this.#newestS = Math.floor(newestMs / 1_000);
    this.#newestN = (newestMs - this.#newestS * 1_000) * 1e6;
  }

  stream(form: LabelForm, bytes: Buffer, from: number, to: number, rows: number, lineBytes: number): void {
    this.#step(1 + ((to - from) >> 6)); // reading labels takes as long as many entries
    const known = this.#cache.of(this.#tenant, form, bytes, from, to, this.#limits);
    this.#refusal = known.refusal;
    this.#told = false;
    this.#stream = undefined;
    if (known.refusal !== undefined) return;
    let stream = this.#streams.get(known.hash);
    if (stream === undefined) {
      const reserve = { rows: Math.min(rows, Math.ceil(lineBytes / MIN_ENTRY_BYTES)), lineBytes };
      this.#charge(OVERHEAD + known.labels.length);
      stream = { known, byHour: new Map(), reserve, hourStart: Number.NaN, builder: undefined };
      this.#streams.set(known.hash, stream);
    }
    this.#stream = stream;
  }

  refuseStream(why: string): void {
    this.#refusal = { reason: 'invalid_labels', message: why };
    this.#told = false;
    this.#stream = undefined;
  }

  resource(pairs: readonly string[]): void {
    this.#metadata.resource(pairs);
  }

  scope(pairs: readonly string[]): void {
    this.#metadata.scope(pairs);
  }

  entry(seconds: number, nanos: number, bytes: Buffer, from: number, to: number, pairs: readonly string[]): void {
    this.#entries++;
    this.#take(seconds, nanos, bytes, from, to, pairs);
  }

  #take(seconds: number, nanos: number, bytes: Buffer, from: number, to: number, pairs: readonly string[]): void {
    this.#step(1);
    const stream = this.#stream;
    const metadata = this.#metadata;
    const count = metadata.sharedCount + pairs.length / 2;
    const size = to - from + metadata.sharedBytes + (pairs.length === 0 ? 0 : metadataSize(pairs));
    if (stream === undefined) {
      this.#refuseWithStream(size);
      return;
    }
    if (seconds < this.#oldestS || (seconds === this.#oldestS && nanos < this.#oldestN)) {
      this.#refuseOld(stream, seconds, size);
      return;
    }
    if (seconds > this.#newestS || (seconds === this.#newestS && nanos > this.#newestN)) {
      this.#refuseNew(stream, seconds, size);
      return;
    }
    const { maxLineSize } = this.#limits;
    if (to - from > maxLineSize && maxLineSize > 0) {
      const cut = this.#cutLine(bytes, from);
      if (cut === undefined) this.#refuseLong(stream, to - from, size);
      else this.#take(seconds, nanos, cut, 0, cut.length, pairs);
      return;
    }
    if (count > 0 && this.#refusesMetadata(stream, count, size - (to - from), size)) return;
    const sinceHour = seconds - stream.hourStart;
    const builder = sinceHour >= 0 && sinceHour < SECONDS_PER_HOUR ? stream.builder! : this.#builderAt(stream, seconds);
    builder.add((seconds - stream.hourStart) * 1e9 + nanos, bytes, from, to);
    if (count > 0) metadata.write(pairs, builder);
    if (this.#finder !== undefined) {
      const level = count > 0 ? metadata.level(stream.known.level) : stream.known.level;
      builder.metadata(DETECTED_LEVEL, level ?? this.#finder.find(bytes, from, to));
    }
    this.#lines++;
    this.#bytes += size;
    if (metadata.sharedCount > 0) this.#chargeShared(metadata.sharedCount);
    if (builder.sparse) this.#cut(stream, builder);
  }

  #step(count: number): void {
    this.#stepsLeft -= count;
    if (this.#stepsLeft > 0) return;
    this.#stepsLeft = STEPS_PER_LOOK;
    if (this.#overdue()) throw new Fault('deadline', 'the push takes too long to decode');
  }

  #builderAt(stream: StreamBatches, seconds: number): BatchBuilder {
    const hour = Math.floor(seconds / SECONDS_PER_HOUR);
    let builder = stream.byHour.get(hour);
    if (builder === undefined) {
      const { labels, hash } = stream.known;
      this.#charge(OVERHEAD + labels.length);
      if (this.#open === MAX_OPEN) {
        this.#closeAll();
        this.#streams.set(hash, stream);
      }
      this.#open++;
      builder = new BatchBuilder(labels, hash, hour, stream.reserve);
      stream.reserve = NO_RESERVE;
      stream.byHour.set(hour, builder);
    }
    stream.hourStart = hour * SECONDS_PER_HOUR;
    stream.builder = builder;
    return builder;
  }

  /** Ends the batch in hand; what follows goes into another. */
  #cut(stream: StreamBatches, builder: BatchBuilder): void {
    this.#charge(this.#close(stream, builder));
    stream.byHour.delete(builder.hour);
    stream.hourStart = Number.NaN;
    stream.builder = undefined;
  }

  #closeAll(): void {
    for (const stream of this.#streams.values()) {
      for (const builder of stream.byHour.values()) this.#close(stream, builder);
      stream.byHour.clear();
      stream.hourStart = Number.NaN;
      stream.builder = undefined;
    }
    this.#streams.clear();
  }

  /** Returns the size of the batch. */
  #close(stream: StreamBatches, builder: BatchBuilder): number {
    const { rows, contentBytes } = builder;
    const bytes = builder.finish((size) => this.#pages.allocate(size));
    this.#batches.push({ hash: stream.known.hash, bytes, rows, contentBytes });
    this.#open--;
    return bytes.length;
  }

  /** Throws Fault too_large if batches come to take much more than the body that they are made from. */
  #charge(bytes: number): void {
    this.#overheadBytes += bytes;
    if (this.#overheadBytes > this.#maxOverheadBytes) throw swollen(this.#maxOverheadBytes);
  }

  /** Pairs that stand in the body once and in the batch once an entry. */
  #chargeShared(pairs: number): void {
    this.#charge(pairs * INDEX_BYTES);
    if (this.#bytes > MAX_BYTES) throw swollen(MAX_BYTES);
  }

  /** The line that starts at `from`, cut to the limit with the identifier at its end; undefined if lines are not to be cut. */
  #cutLine(bytes: Buffer, from: number): Buffer | undefined {
    const { maxLineSize, maxLineSizeTruncate, maxLineSizeTruncateIdentifier } = this.#limits;
    const identifier = Buffer.from(maxLineSizeTruncateIdentifier);
    if (!maxLineSizeTruncate || identifier.length >= maxLineSize) return undefined;
    return Buffer.concat([bytes.subarray(from, from + maxLineSize - identifier.length), identifier]);
  }

  /** An entry of a stream that is refused as a whole: the client is told so once for the stream. */
  #refuseWithStream(size: number): void {
    const refusal = this.#refusal!;
    this.#discards.count(refusal.reason, size);
    if (this.#namesRefused) this.#name(refusal);
    if (!this.#told) this.#discards.tell(refusal.reason, refusal.message, 0, () => refusal);
    this.#told = true;
  }

  // Apart from `#take`, whose every call would otherwise allocate what these closures hold on to.

  #refuseOld(stream: StreamBatches, seconds: number, size: number): void {
    this.#refuse('greater_than_max_sample_age', size, stream.known, seconds, () => tooOld(stream.known.labels, seconds, this.#oldestS));
  }

  #refuseNew(stream: StreamBatches, seconds: number, size: number): void {
    this.#refuse('too_far_in_future', size, stream.known, seconds, () => tooNew(stream.known.labels, seconds));
  }

  #refuseLong(stream: StreamBatches, length: number, size: number): void {
    this.#refuse('line_too_long', size, stream.known, length, () => lineTooLong(stream.known.labels, length, this.#limits.maxLineSize));
  }

  #refusesMetadata(stream: StreamBatches, pairs: number, pairBytes: number, size: number): boolean {
    const refusal = refuseMetadata(stream.known.labels, pairs, pairBytes, this.#limits);
    if (refusal === undefined) return false;
    this.#refuse(refusal.reason, size, refusal.message, 0, () => refusal);
    return true;
  }

  /** `of`, `what`: those of equal ones are told once. */
  #refuse(reason: Refusal['reason'], size: number, of: KnownStream | string, what: number, why: () => Refusal): void {
    this.#discards.count(reason, size);
    this.#discards.tell(reason, of, what, why);
    if (this.#namesRefused) this.#name(why());
  }

  /** The entry in hand. */
  #name({ reason, message }: Refusal): void {
    this.#refused.push({ entry: this.#entries - 1, reason, message });
  }

  finish(): DecodedPush {
    this.#closeAll();
    const fault = this.#discards.fault();
    return {
      batches: this.#batches,
      lines: this.#lines,
      bytes: this.#bytes,
      discarded: this.#discards.list(),
      refused: this.#refused,
      ...(fault === undefined ? {} : { fault }),
    };
  }
}

function swollen(limitBytes: number): Fault {
  return new Fault('too_large', `request body too large: its labels and metadata take more than ${limitBytes} bytes when stored`);
}
