import type { DroppedEntry } from '../../logql/engine/render-tail.ts';
import type { Labels } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';

/** Entries, and bytes of label texts, that are remembered to be told. */
const MOST_ENTRIES = 10_000;
const MOST_TEXT_BYTES = MiB;

/** Entries that a client was too slow for, until it is told; more than fit are forgotten. */
export class Dropped {
  #entries: DroppedEntry[] = [];
  /** A stream's labels are kept once. */
  readonly #streams = new Map<string, Labels>();
  #textBytes = 0;

  add({ timeNs, text, labels }: DroppedEntry): void {
    if (this.#entries.length >= MOST_ENTRIES) return;
    let known = this.#streams.get(text);
    if (known === undefined) {
      if (this.#textBytes + text.length > MOST_TEXT_BYTES) return;
      known = labels;
      this.#textBytes += text.length;
      this.#streams.set(text, known);
    }
    this.#entries.push({ timeNs, text, labels: known });
  }

  /** The first `most` of them, which are then forgotten. */
  take(most: number): DroppedEntry[] {
    const taken = this.#entries.splice(0, most);
    if (this.#entries.length === 0) {
      this.#streams.clear();
      this.#textBytes = 0;
    }
    return taken;
  }
}
