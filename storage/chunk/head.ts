import { type Batch, HOUR_NS } from '../batch/batch.ts';
import type { MemoryBlock } from './memory-block.ts';
import { RowBuffer } from './row-buffer.ts';

/** Entries of one stream and UTC hour that are not in storage yet. Taken in any order, repeated or not; given out sorted and once. */
export class Head {
  readonly hour: number;
  readonly #rows: RowBuffer;

  /** `hour`: UTC hours since the epoch. */
  constructor(hour: number) {
    this.hour = hour;
    this.#rows = new RowBuffer(BigInt(hour) * BigInt(HOUR_NS));
  }

  /** Whether the batch's metadata goes with what is here; otherwise it is better put into a head of its own. */
  hasRoomFor(batch: Batch): boolean {
    return this.#rows.hasRoomFor(batch);
  }

  /** Copies the batch's columns; the batch is of this head's stream and hour, its bytes are not needed afterwards. */
  append(batch: Batch): void {
    this.#rows.appendBatch(batch);
  }

  /** Entries held; duplicates among those appended since the last read count. */
  get rows(): number {
    return this.#rows.rows;
  }
  /** Bytes of memory held. */
  get bytes(): number {
    return this.#rows.bytes;
  }
  get lineBytes(): number {
    return this.#rows.lineBytes;
  }
  /** About what metadata takes in memory. */
  get metadataMemoryBytes(): number {
    return this.#rows.metadataMemoryBytes;
  }
  /** Time of the earliest entry, ns after the hour; Infinity if the head is empty. */
  get minOffset(): number {
    return this.#rows.minOffset;
  }
  get maxOffset(): number {
    return this.#rows.maxOffset;
  }

  /** Entries with a time in [fromOffset, toOffset), ns after the hour; undefined if there are none. What is returned never changes. */
  slice(fromOffset: number, toOffset: number): MemoryBlock | undefined {
    return this.#rows.slice(fromOffset, toOffset);
  }

  /** Everything. What is returned never changes, and ends with `free`. */
  block(): MemoryBlock {
    return this.#rows.block();
  }

  /** Frees the memory at once, if no slice was ever given out. The head, and what `block` returned, are done for. */
  free(): void {
    this.#rows.free();
  }
}
