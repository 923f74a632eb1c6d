import { KiB, MiB } from './bytes.ts';

/** Of a thread. */
const MOST_KEPT_BYTES = 8 * MiB;
/** Smaller buffers come from the allocator's own stock. */
const LEAST_BYTES = 64 * KiB;
/** Sizes are rounded up to this, so that what was used for one block does for the next. */
const GRAIN = 256 * KiB;

const kept: ArrayBuffer[] = [];
let keptBytes = 0;
const lent = new WeakSet<ArrayBuffer>();

/** A buffer of `size` bytes, whatever they are, in memory that was used before if there is some. The pages of new memory are cleared by the system as they are
 *  first touched: decompressing a megabyte into it took two and a half times as long. To be given to `recycle` when it is done with; if not, the collector frees it. */
export function usedMemory(size: number): Buffer {
  if (size < LEAST_BYTES) return Buffer.allocUnsafeSlow(size);
  const at = kept.findIndex(({ byteLength }) => byteLength >= size && byteLength < 2 * size + GRAIN);
  const [memory] = at < 0 ? [Buffer.allocUnsafeSlow(Math.ceil(size / GRAIN) * GRAIN).buffer] : kept.splice(at, 1);
  if (at >= 0) keptBytes -= memory.byteLength;
  lent.add(memory);
  return Buffer.from(memory, 0, size);
}

/** Takes back what `usedMemory` gave; other buffers are left alone. Whoever still reads the bytes finds them empty. */
export function recycle(bytes: Buffer): void {
  const memory = bytes.buffer as ArrayBuffer;
  if (!lent.delete(memory)) return;
  const again = memory.transfer(); // the same memory
  if (keptBytes + again.byteLength > MOST_KEPT_BYTES) {
    again.transfer(0);
    return;
  }
  keptBytes += again.byteLength;
  kept.push(again);
}
