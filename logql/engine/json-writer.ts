const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');
const REPLACEMENT = Buffer.from('\ufffd');
/** The letter behind the backslash for the controls that have one. */
const SHORT: Readonly<Record<number, number>> = { 8: 0x62, 9: 0x74, 10: 0x6e, 12: 0x66, 13: 0x72 };

/** Bytes of JSON text that grow as they are written. */
export class JsonWriter {
  #bytes = Buffer.allocUnsafeSlow(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Forgets what was written. */
  clear(): void {
    this.#length = 0;
  }

  /** What was written, owned by the caller; the next write starts anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.length);
    this.#length = 0;
    return taken;
  }

  /** What was written from `from` on; borrowed until the next write. */
  view(from = 0): Buffer {
    return this.#bytes.subarray(from, this.#length);
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** Text as it is. */
  raw(text: string): this {
    this.#room(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
    return this;
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** `text` as a JSON string that holds it; what is no UTF-8 becomes U+FFFD. */
  string(text: Buffer): this {
    const end = text.length;
    this.#room(end + 2);
    this.#bytes[this.#length++] = QUOTE;
    let from = 0;
    for (let at = 0; at < end; ) {
      const byte = text[at];
      if (byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH) {
        at++;
        continue;
      }
      const length = byte < 0x80 ? 0 : sequenceLength(text, at, end);
      if (length > 0) {
        at += length;
        continue;
      }
      this.#copy(text, from, at);
      if (byte < 0x80) this.#escape(byte);
      else this.bytes(REPLACEMENT);
      from = ++at;
    }
    this.#copy(text, from, end);
    this.#room(1);
    this.#bytes[this.#length++] = QUOTE;
    return this;
  }

  #copy(text: Buffer, from: number, to: number): void {
    if (to === from) return;
    this.#room(to - from);
    text.copy(this.#bytes, this.#length, from, to);
    this.#length += to - from;
  }

  #escape(byte: number): void {
    this.#room(6);
    this.#bytes[this.#length++] = BACKSLASH;
    const letter = byte === QUOTE || byte === BACKSLASH ? byte : SHORT[byte];
    if (letter !== undefined) {
      this.#bytes[this.#length++] = letter;
      return;
    }
    this.#length += this.#bytes.write('u00', this.#length, 'latin1');
    this.#bytes[this.#length++] = HEX[byte >> 4];
    this.#bytes[this.#length++] = HEX[byte & 15];
  }
}

/** Bytes of the UTF-8 sequence at `at`, whose first byte is 0x80 or above; 0 if it is none (cut off, overlong, a surrogate, beyond U+10FFFF). */
function sequenceLength(text: Buffer, at: number, end: number): number {
  const first = text[at];
  const length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > end) return 0;
  const second = text[at + 1];
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let index = 2; index < length; index++) if ((text[at + index] & 0xc0) !== 0x80) return 0;
  return length;
}
