import type { Footer } from './footer.ts';

/** A footer, and what it counted for when it was last asked for: it grows as it is used. */
interface Held {
  readonly footer: Footer;
  bytes: number;
}

/** Footers by object key. Once they exceed a size the longest unused ones lose what they keep decoded; if that is not enough, they are dropped.
 *  Asked for at the same time by many, a footer is loaded once. */
export class FooterCache {
  readonly #maxBytes: number;
  readonly #load: (key: string, sizeBytes: number) => Promise<Footer>;
  /** In the order of their last use. */
  readonly #held = new Map<string, Held>();
  readonly #loading = new Map<string, Promise<Footer>>();
  #bytes = 0;

  constructor(maxBytes: number, load: (key: string, sizeBytes: number) => Promise<Footer>) {
    this.#maxBytes = maxBytes;
    this.#load = load;
  }

  /** Rejects as the load does; a failed load is tried again by the next call. */
  get(key: string, sizeBytes: number): Promise<Footer> {
    const known = this.#held.get(key);
    if (known !== undefined) {
      this.#held.delete(key);
      this.#held.set(key, known);
      this.#weigh(known);
      this.#shrink();
      return Promise.resolve(known.footer);
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
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#bytes -= held.bytes;
  }

  #keep(key: string, footer: Footer): Footer {
    const held = { footer, bytes: 0 };
    this.#held.set(key, held);
    this.#weigh(held);
    this.#shrink();
    return footer;
  }

  #weigh(held: Held): void {
    this.#bytes -= held.bytes;
    held.bytes = held.footer.sizeBytes + held.footer.heldBytes;
    this.#bytes += held.bytes;
  }

  /** The footer used last stays. */
  #shrink(): void {
    for (const held of this.#held.values()) {
      if (this.#bytes <= this.#maxBytes) return;
      held.footer.forget();
      this.#weigh(held);
    }
    for (const key of this.#held.keys()) {
      if (this.#bytes <= this.#maxBytes || this.#held.size === 1) return;
      this.delete(key);
    }
  }
}
