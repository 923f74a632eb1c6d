import type { Footer } from './footer.ts';

/** How much larger a footer gets while it is used: labels and postings become maps. */
const DECODED_FACTOR = 3;

/** Footers by object key, the longest unused dropped first once they exceed a size. Asked for at the same time by many, a footer is loaded once. */
export class FooterCache {
  readonly #maxBytes: number;
  readonly #load: (key: string, sizeBytes: number) => Promise<Footer>;
  /** In the order of their last use. */
  readonly #footers = new Map<string, Footer>();
  readonly #loading = new Map<string, Promise<Footer>>();
  #bytes = 0;

  constructor(maxBytes: number, load: (key: string, sizeBytes: number) => Promise<Footer>) {
    this.#maxBytes = maxBytes;
    this.#load = load;
  }

  /** Rejects as the load does; a failed load is tried again by the next call. */
  get(key: string, sizeBytes: number): Promise<Footer> {
    const known = this.#footers.get(key);
    if (known !== undefined) {
      this.#footers.delete(key);
      this.#footers.set(key, known);
      return Promise.resolve(known);
    }
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#load(key, sizeBytes)
        .then((footer) => this.#keep(key, footer))
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  delete(key: string): void {
    const footer = this.#footers.get(key);
    if (footer === undefined) return;
    this.#footers.delete(key);
    this.#bytes -= weight(footer);
  }

  #keep(key: string, footer: Footer): Footer {
    this.#footers.set(key, footer);
    this.#bytes += weight(footer);
    for (const oldest of this.#footers.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === key) break;
      this.delete(oldest);
    }
    return footer;
  }
}

function weight(footer: Footer): number {
  return footer.sizeBytes * DECODED_FACTOR;
}
