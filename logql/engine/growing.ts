/** A column that grows by being appended to. */
export class GrowingFloats {
  #values = new Float64Array(64);
  #length = 0;

  append(more: Float64Array): void {
    const length = this.#length + more.length;
    if (length > this.#values.length) {
      const grown = new Float64Array(Math.max(length, this.#values.length * 2));
      grown.set(this.values());
      this.#values = grown;
    }
    this.#values.set(more, this.#length);
    this.#length = length;
  }

  /** Borrowed until the next append. */
  values(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }
}

export class GrowingIntegers {
  #values = new Uint32Array(64);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** Borrowed until the next push. */
  values(): Uint32Array {
    return this.#values.subarray(0, this.#length);
  }
}
