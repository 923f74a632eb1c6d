import { sameBytes } from '../../ops/base/bytes.ts';

const MOST = 20_000;

/** What is known of a key as it stands in lines. */
export interface KeyEntry {
  /** For keys inside this one. */
  readonly id: number;
  /** As it stands in the line, escapes resolved. */
  readonly key: string;
  /** The key that it is inside of. */
  readonly parent: KeyEntry | undefined;
  /** The label's name. '' if the key has none. */
  readonly name: string;
  /** Somebody looks at the label, or at the one that it becomes if the name is taken. */
  readonly wanted: boolean;
  /** Somebody may look at a label inside. */
  readonly wantedInside: boolean;
  /** The key as it stands in lines, if that is always the same. */
  readonly literal: KeyLiteral | undefined;
  /** The key that came next when this one was met last, whether inside of this one, beside it or behind the object that both are in. */
  follower: KeyEntry | undefined;
}

/** Which keys somebody looks at: those of a label, and those whose inner ones may be. */
export interface WantedKeys {
  mayHave(name: string): boolean;
  hasUnder(prefix: string): boolean;
}

/** A key with what stands around it, to be found again in lines. */
export class KeyLiteral {
  readonly length: number;
  /** Its bytes in fours; the last four overlap with those before. */
  readonly #words: Int32Array;

  /** Wants text of four bytes at least. */
  constructor(text: string) {
    const bytes = Buffer.from(text);
    this.length = bytes.length;
    this.#words = Int32Array.from({ length: Math.ceil(bytes.length / 4) }, (_, index) =>
      bytes.readInt32LE(Math.min(index * 4, bytes.length - 4)),
    );
  }

  /** Whether it stands at `from`. */
  isAt(view: DataView, from: number, end: number): boolean {
    if (from + this.length > end) return false;
    const words = this.#words;
    const last = words.length - 1;
    for (let index = 0; index < last; index++) if (view.getInt32(from + index * 4, true) !== words[index]) return false;
    return view.getInt32(from + this.length - 4, true) === words[last];
  }
}

/** The keys seen by one parser. They recur in every line, so that a string is made of each only once. */
export class KeyTable {
  readonly #wanted: WantedKeys;
  readonly #literalOf: (key: string) => KeyLiteral | undefined;
  readonly #byHash = new Map<number, { bytes: Buffer; parent: number; entry: KeyEntry }[]>();
  #count = 0;
  /** Ids are never used again, so that entries outlive the table's contents. */
  #lastId = 0;

  /** `literalOf`: how a key stands in lines; undefined if that is not always the same. */
  constructor(wanted: WantedKeys, literalOf: (key: string) => KeyLiteral | undefined) {
    this.#wanted = wanted;
    this.#literalOf = literalOf;
  }

  /** The entry of bytes [from, to), a key inside `parent` if there is one. `hash`: of the bytes, by `hashByte`. */
  find(bytes: Buffer, from: number, to: number, hash: number, parent: KeyEntry | undefined): KeyEntry {
    const parentId = parent === undefined ? 0 : parent.id;
    const mixed = (hash ^ Math.imul(parentId, 0x9e3779b1)) | 0;
    const known = this.#byHash.get(mixed);
    if (known !== undefined) {
      for (const candidate of known) {
        if (candidate.parent === parentId && sameBytes(bytes, from, to, candidate.bytes)) return candidate.entry;
      }
    }
    const entry = this.#entry(bytes.toString('utf8', from, to), parent);
    if (this.#count++ >= MOST) {
      // Or each would keep the next alive.
      for (const records of this.#byHash.values()) for (const forgotten of records) forgotten.entry.follower = undefined;
      this.#byHash.clear();
      this.#count = 1;
    }
    const record = { bytes: Buffer.from(bytes.subarray(from, to)), parent: parentId, entry };
    this.#byHash.set(mixed, [...(this.#byHash.get(mixed) ?? []), record]);
    return entry;
  }

  #entry(key: string, parent: KeyEntry | undefined): KeyEntry {
    const prefix = parent?.name ?? '';
    const own = sanitiseLabel(key, prefix === '');
    const name = prefix === '' || own === '' ? prefix + own : `${prefix}_${own}`;
    const wanted = name !== '' && this.#wanted.mayHave(name);
    const wantedInside = this.#wanted.hasUnder(name);
    return { id: ++this.#lastId, key, parent, name, wanted, wantedInside, literal: this.#literalOf(key), follower: undefined };
  }
}

/** The keys from the outermost object of the line to this one. */
export function pathOf(entry: KeyEntry): string[] {
  const path: string[] = [];
  for (let at: KeyEntry | undefined = entry; at !== undefined; at = at.parent) path.unshift(at.key);
  return path;
}

/** Goes on with a hash that starts at 0. */
export function hashByte(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

/** What Go takes for white space, at the ends. */
const OUTER_SPACE =
  /^[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g;

/** A label name of a field's: what no name may contain becomes `_`, and one goes in front of a digit where the name starts. */
export function sanitiseLabel(key: string, starts: boolean): string {
  const trimmed = key.replace(OUTER_SPACE, '');
  const clean = trimmed.replace(/[^A-Za-z0-9_]/gu, '_');
  return starts && /^\d/.test(clean) ? `_${clean}` : clean;
}
