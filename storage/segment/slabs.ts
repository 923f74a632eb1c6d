import { MiB } from '../../ops/base/bytes.ts';

const SLAB_BYTES = MiB;

/** A byte string that grows in pieces, so that growing copies nothing and small columns do not become objects of their own. */
export class Slabs {
  #full: Buffer[] = [];
  #slab = Buffer.alloc(0);
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#slab.length) {
      if (this.#used > 0) this.#full.push(this.#slab.subarray(0, this.#used));
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes.length));
      this.#used = 0;
    }
    this.#slab.set(bytes, this.#used);
    this.#used += bytes.length;
    this.#length += bytes.length;
  }

  parts(): Buffer[] {
    return this.#used === 0 ? this.#full : [...this.#full, this.#slab.subarray(0, this.#used)];
  }
}
