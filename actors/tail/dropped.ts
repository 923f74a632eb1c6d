import type { DroppedEntry } from '../../logql/engine/render-tail.ts';
import type { Labels } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';

/** Entries, and bytes of label texts, that are remembered to be told. */
const MOST_ENTRIES = 200_000;
const MOST_TEXT_BYTES = MiB;

interface Stream {
  readonly number: number;
  readonly text: string;
  readonly labels: Labels;
}

/** Entries that a client was too slow for, until it is told: there may be many, so a time and a stream's number is all that is kept of each. More than fit are
 *  forgotten. */
export class Dropped {
  #times = new BigInt64Array(0);
  #streamNumbers = new Uint32Array(0);
  #from = 0;
  #to = 0;
  #streams: Stream[] = [];
  readonly #byText = new Map<string, Stream>();
  #textBytes = 0;

  add({ timeNs, text, labels }: DroppedEntry): void {
    if (this.#to === MOST_ENTRIES) return;
    let stream = this.#byText.get(text);
    if (stream === undefined) {
      if (this.#textBytes + text.length > MOST_TEXT_BYTES) return;
      stream = { number: this.#streams.length, text, labels };
      this.#textBytes += text.length;
      this.#streams.push(stream);
      this.#byText.set(text, stream);
    }
    if (this.#to === this.#times.length) this.#grow();
    this.#times[this.#to] = timeNs;
    this.#streamNumbers[this.#to++] = stream.number;
  }

  #grow(): void {
    const length = Math.max(64, this.#times.length * 2);
    const times = new BigInt64Array(length);
    times.set(this.#times);
    this.#times = times;
    const streamNumbers = new Uint32Array(length);
    streamNumbers.set(this.#streamNumbers);
    this.#streamNumbers = streamNumbers;
  }

  /** The first `most` of them, which are then forgotten. */
  take(most: number): DroppedEntry[] {
    const taken: DroppedEntry[] = [];
    for (; taken.length < most && this.#from < this.#to; this.#from++) {
      const { text, labels } = this.#streams[this.#streamNumbers[this.#from]];
      taken.push({ timeNs: this.#times[this.#from], text, labels });
    }
    if (this.#from === this.#to && this.#to > 0) this.#clear();
    return taken;
  }

  #clear(): void {
    this.#times = new BigInt64Array(0);
    this.#streamNumbers = new Uint32Array(0);
    this.#from = 0;
    this.#to = 0;
    this.#streams = [];
    this.#byText.clear();
    this.#textBytes = 0;
  }
}
