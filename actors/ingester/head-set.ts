import { type Labels, labelValue } from '../../logql/model.ts';
import type { Batch } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { Head } from '../../storage/chunk/head.ts';
import type { CompiledMatcher } from '../../storage/segment/postings.ts';

/** One stream's heads by hour: one, or more where a single one would have too many metadata keys. */
export interface StreamHeads {
  readonly tenant: string;
  /** Canonical text. */
  readonly labels: string;
  readonly parsed: Labels;
  readonly hash: string;
  readonly hours: Map<number, Head[]>;
}

/** Memory beside lines and metadata's text, rounded up from what was measured: many streams, or many hours, with a short line each take far more than their lines. */
const STREAM_BYTES = 2_048;
const HEAD_BYTES = 4_096;
const ROW_BYTES = 16;

/** The heads of all streams that one log filled between two cuts. A flush takes a whole set, so it is either growing or frozen. */
export class HeadSet {
  readonly #tenants = new Map<string, TenantHeads>();
  #lineBytes = 0;
  #rows = 0;
  #streams = 0;
  #heads = 0;
  #metadataMemory = 0;

  append(tenant: string, batch: Batch): void {
    let heads = this.#tenants.get(tenant);
    if (heads === undefined) {
      heads = new TenantHeads(tenant);
      this.#tenants.set(tenant, heads);
    }
    const made = heads.append(batch);
    this.#streams += made.streams;
    this.#heads += made.heads;
    this.#metadataMemory += made.metadataMemory;
    this.#lineBytes += batch.lineBytes + batch.metadataBytes;
    this.#rows += batch.rows;
  }

  /** Bytes of lines and metadata taken in, duplicates included. */
  get lineBytes(): number {
    return this.#lineBytes;
  }
  /** About what they take in memory. */
  get memoryBytes(): number {
    return this.#lineBytes + this.#metadataMemory + this.#rows * ROW_BYTES + this.#heads * HEAD_BYTES + this.#streams * STREAM_BYTES;
  }
  get rows(): number {
    return this.#rows;
  }
  get streamCount(): number {
    return this.#streams;
  }

  /** The tenant's streams that all matchers let through. */
  *select(tenant: string, matchers: readonly CompiledMatcher[]): Generator<StreamHeads> {
    const heads = this.#tenants.get(tenant);
    if (heads !== undefined) yield* heads.select(matchers);
  }

  /** Frees what no query borrowed: tens of megabytes that the garbage collector would be told of late. */
  free(): void {
    for (const tenant of this.#tenants.values())
      for (const stream of tenant.streams.values()) for (const heads of stream.hours.values()) for (const head of heads) head.free();
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
  /** Label name → value → streams, so that an equality finds its streams without visiting the others. */
  readonly #postings = new Map<string, Map<string, StreamHeads[]>>();

  constructor(tenant: string) {
    this.tenant = tenant;
  }

  /** Returns how many streams and heads were made for it, and by how much the memory of metadata grew. */
  append(batch: Batch): { streams: number; heads: number; metadataMemory: number } {
    const known = this.streams.get(batch.hash);
    const stream = known ?? this.#create(batch);
    let heads = stream.hours.get(batch.hour);
    if (heads === undefined) {
      heads = [];
      stream.hours.set(batch.hour, heads);
    }
    let head = heads.at(-1);
    const made = head === undefined || !head.hasRoomFor(batch);
    if (head === undefined || made) {
      head = new Head(batch.hour);
      heads.push(head);
    }
    const before = head.metadataMemoryBytes;
    head.append(batch);
    return { streams: known === undefined ? 1 : 0, heads: made ? 1 : 0, metadataMemory: head.metadataMemoryBytes - before };
  }

  #create(batch: Batch): StreamHeads {
    const labels = batch.labels();
    const parsed = parseCanonicalLabels(labels);
    const stream: StreamHeads = { tenant: this.tenant, labels, parsed, hash: batch.hash, hours: new Map() };
    this.streams.set(batch.hash, stream);
    for (const [name, value] of parsed) {
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
