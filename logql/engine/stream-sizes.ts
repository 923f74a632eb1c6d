import type { BlockOutline } from '../model.ts';
import { type LinelessBlock, lineBytesIn, metadataBytesIn, rowsWithin } from './extent.ts';

/** How much of a stream lies in a time range. */
export class StreamSize {
  entries = 0;
  /** Lines and structured metadata, as a query over them reads. */
  bytes = 0;
  readonly #fromNs: bigint;
  readonly #toNs: bigint;

  /** Of [fromNs, toNs). */
  constructor(fromNs: bigint, toNs: bigint) {
    this.#fromNs = fromNs;
    this.#toNs = toNs;
  }

  /** Whether the outline tells all: then it is counted, and not to be given to `block`. */
  header({ baseNs, minOffset, maxOffset, rows, lineBytes, metadataBytes }: BlockOutline): boolean {
    if (minOffset < Number(this.#fromNs - baseNs) || maxOffset >= Number(this.#toNs - baseNs)) return false;
    this.entries += rows;
    this.bytes += lineBytes + metadataBytes;
    return true;
  }

  block(block: LinelessBlock): void {
    const rows = rowsWithin(block, this.#fromNs, this.#toNs);
    this.entries += rows.to - rows.from;
    this.bytes += lineBytesIn(block, rows) + metadataBytesIn(block, rows);
  }
}
