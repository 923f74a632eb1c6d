import { type Labels, labelValue } from '../../logql/model.ts';
import { KiB } from '../../ops/base/bytes.ts';
import { type Batch, HOUR_NS } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { Head } from '../../storage/chunk/head.ts';
import type { CompiledMatcher } from '../../storage/segment/postings.ts';
import type { SegmentStream } from '../../storage/segment/tenant-contents.ts';
import { BatchArena, type BatchPlace, NO_BATCH } from './batch-arena.ts';

/** Memory beside lines and metadata's text, rounded up from what was measured: many streams, or many hours, with a short line each take far more than their lines. */
const STREAM_BYTES = 1_024;
const HEAD_BYTES = 4_096;
const ROW_BYTES = 16;
/** Batches of a stream are kept as they came up to this many bytes: a head of its own would be the larger part of what it takes. */
const LOOSE_BYTES = 4 * KiB;
/** Streams with less than this each are better flushed later: a chunk costs as much however small it is, and each query looks into it. */
const STREAM_FLUSH_BYTES = 4 * KiB;
/** How much later, in times of the bytes at which few streams are flushed. */
const MOST_FLUSH_RATIO = 8;

/** Heads of one stream by hour: one, or more where a single one would have too many metadata keys. */
type HoursOfHeads = Map<number, Head[]>;

/** One stream's entries: as batches while they are few, then as heads. */
export class StreamHeads implements SegmentStream {
  readonly tenant: string;
  /** Canonical text. */
  readonly labels: string;
  readonly parsed: Labels;
  readonly hash: string;
  readonly #arena: BatchArena;
  #last: BatchPlace = NO_BATCH;
  #looseBytes = 0;
  #hours: HoursOfHeads | undefined;

  constructor({ tenant, hash, labels, parsed }: SegmentStream, arena: BatchArena) {
    this.tenant = tenant;
    this.hash = hash;
    this.labels = labels;
    this.parsed = parsed;
    this.#arena = arena;
  }

  /** Returns the memory that it takes, without the arena's. */
  append(batch: Batch): number {
    if (this.#hours !== undefined) return appendTo(this.#hours, batch);
    const size = batch.sizeWithoutLabels;
    if (this.#looseBytes + size <= LOOSE_BYTES) {
      this.#last = this.#arena.add(batch, this.#last);
      this.#looseBytes += size;
      return 0;
    }
    this.#hours = new Map();
    let memory = 0;
    for (const loose of this.#arena.list(this.#last)) memory += appendTo(this.#hours, loose);
    return memory + appendTo(this.#hours, batch);
  }

  /** By hour; of few entries, made for the caller. */
  hours(): readonly (readonly [hour: number, heads: readonly Head[]])[] {
    let hours = this.#hours;
    if (hours === undefined) {
      hours = new Map();
      for (const batch of this.#arena.list(this.#last)) appendTo(hours, batch);
    }
    return [...hours].sort(([a], [b]) => a - b);
  }

  /** Whether there may be entries in [fromNs, toNs). */
  touches(fromNs: bigint, toNs: bigint): boolean {
    if (this.#hours === undefined) return this.#arena.list(this.#last).some((batch) => touches(batch, fromNs, toNs));
    return [...this.#hours.values()].some((heads) => heads.some((head) => touches(head, fromNs, toNs)));
  }

  /** Nothing of its entries is left here; it goes on to say which stream it is. */
  free(): void {
    for (const heads of this.#hours?.values() ?? []) for (const head of heads) head.free();
    this.#hours = undefined;
    this.#last = NO_BATCH;
  }
}

function streamOf(tenant: string, batch: Batch): SegmentStream {
  const labels = batch.labels();
  return { tenant, labels, parsed: parseCanonicalLabels(labels), hash: batch.hash };
}

/** Returns by how much the heads' memory grew. */
function appendTo(hours: HoursOfHeads, batch: Batch): number {
  let heads = hours.get(batch.hour);
  if (heads === undefined) {
    heads = [];
    hours.set(batch.hour, heads);
  }
  let head = heads.at(-1);
  const isNew = head === undefined || !head.hasRoomFor(batch);
  if (head === undefined || isNew) {
    head = new Head(batch.hour);
    heads.push(head);
  }
  const before = head.metadataMemoryBytes;
  head.append(batch);
  const columns = batch.lineBytes + batch.metadataBytes + batch.rows * ROW_BYTES;
  return columns + (isNew ? HEAD_BYTES : 0) + head.metadataMemoryBytes - before;
}

/** Whether entries of the hour, with offsets in [minOffset, maxOffset], may be in [fromNs, toNs). */
export function touches(
  { hour, minOffset, maxOffset }: Pick<Batch, 'hour' | 'minOffset' | 'maxOffset'>,
  fromNs: bigint,
  toNs: bigint,
): boolean {
  const base = BigInt(hour) * BigInt(HOUR_NS);
  return base + BigInt(maxOffset) >= fromNs && base + BigInt(minOffset) < toNs;
}

/** The heads of all streams that one log filled between two cuts. A flush takes a whole set, so it is either growing or frozen. */
export class HeadSet {
  readonly #tenants = new Map<string, TenantHeads>();
  readonly #arena = new BatchArena();
  #lineBytes = 0;
  #rows = 0;
  #streams = 0;
  /** Of heads. */
  #headBytes = 0;
  #before: HeadSet | undefined;

  /** `before`: the set that was filled before this one, which mostly has the same streams. */
  constructor(before?: HeadSet) {
    this.#before = before;
  }

  append(tenant: string, batch: Batch): void {
    let heads = this.#tenants.get(tenant);
    if (heads === undefined) {
      heads = new TenantHeads(tenant, this.#arena, this.#before === undefined ? undefined : this.#before.#tenants.get(tenant));
      this.#tenants.set(tenant, heads);
    }
    const { isNew, memory } = heads.append(batch);
    if (isNew) this.#streams++;
    this.#headBytes += memory;
    this.#lineBytes += batch.lineBytes + batch.metadataBytes;
    this.#rows += batch.rows;
  }

  /** Bytes of lines and metadata taken in, duplicates included. */
  get lineBytes(): number {
    return this.#lineBytes;
  }
  /** About what they take in memory. */
  get memoryBytes(): number {
    return this.#headBytes + this.#arena.bytes + this.#streams * STREAM_BYTES;
  }
  get rows(): number {
    return this.#rows;
  }
  get streamCount(): number {
    return this.#streams;
  }

  /** At how many bytes of memory a set with so many streams is flushed, where it is `flushBytes` with few. */
  dueBytes(flushBytes: number): number {
    return Math.min(flushBytes + this.#streams * STREAM_FLUSH_BYTES, flushBytes * MOST_FLUSH_RATIO);
  }

  /** The tenant's streams that all matchers let through. */
  *select(tenant: string, matchers: readonly CompiledMatcher[]): Generator<StreamHeads> {
    const heads = this.#tenants.get(tenant);
    if (heads !== undefined) yield* heads.select(matchers);
  }

  /** Frees what no query borrowed: tens of megabytes that the garbage collector would be told of late. */
  free(): void {
    for (const tenant of this.#tenants.values()) tenant.free();
    this.#arena.free();
    this.#before = undefined; // or each set would keep all that ever were
  }

  /** Every stream, by tenant and labels, as a flush writes them. */
  sorted(): StreamHeads[] {
    const all = [...this.#tenants.values()].flatMap((tenant) => [...tenant.streams.values()]);
    const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    return all.sort((a, b) => order(a.tenant, b.tenant) || order(a.labels, b.labels));
  }
}

class TenantHeads {
  readonly tenant: string;
  readonly streams = new Map<string, StreamHeads>();
  readonly #arena: BatchArena;
  #before: ReadonlyMap<string, SegmentStream> | undefined;
  /** Label name → value → streams, so that an equality finds its streams without visiting the others. */
  readonly #postings = new Map<string, Map<string, StreamHeads[]>>();

  constructor(tenant: string, arena: BatchArena, before: TenantHeads | undefined) {
    this.tenant = tenant;
    this.#arena = arena;
    this.#before = before?.streams;
  }

  /** Returns whether its stream is new here, and what the batch takes beside the arena. */
  append(batch: Batch): { isNew: boolean; memory: number } {
    const known = this.streams.get(batch.hash);
    const stream = known ?? this.#create(batch);
    return { isNew: known === undefined, memory: stream.append(batch) };
  }

  free(): void {
    for (const stream of this.streams.values()) stream.free();
    this.#before = undefined;
  }

  #create(batch: Batch): StreamHeads {
    const { hash } = batch;
    const stream = new StreamHeads(this.#before?.get(hash) ?? streamOf(this.tenant, batch), this.#arena);
    this.streams.set(hash, stream);
    for (const [name, value] of stream.parsed) {
      let values = this.#postings.get(name);
      if (values === undefined) {
        values = new Map();
        this.#postings.set(name, values);
      }
      const list = values.get(value);
      if (list === undefined) values.set(value, [stream]);
      else list.push(stream);
    }
    return stream;
  }

  *select(matchers: readonly CompiledMatcher[]): Generator<StreamHeads> {
    for (const stream of this.#candidates(matchers)) {
      if (matchers.every(({ name, test }) => test(labelValue(stream.parsed, name)))) yield stream;
    }
  }

  /** The shortest list of streams that an equality allows; all of them without one. */
  #candidates(matchers: readonly CompiledMatcher[]): Iterable<StreamHeads> {
    let best: readonly StreamHeads[] | undefined;
    for (const { name, equals } of matchers) {
      if (equals === undefined || equals === '') continue;
      const list = this.#postings.get(name)?.get(equals) ?? [];
      if (best === undefined || list.length < best.length) best = list;
    }
    return best ?? this.streams.values();
  }
}
