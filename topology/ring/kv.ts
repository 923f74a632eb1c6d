import type { Clock } from '../../ops/base/world.ts';

/** A key as it is; `value` is undefined once it was deleted. */
export interface KvEntry {
  readonly key: string;
  readonly value: string | undefined;
  /** Of its last change, from 1: grows with every change of any key. */
  readonly revision: number;
}

export interface KvWatch {
  /** Up to when, by the clock of monotonic milliseconds, everything that changed was told. While the store cannot be reached, or is silent, it stands still. */
  provenMs(): number;
  close(): void;
}

/** A small store of texts that several processes share, with compare-and-set by key. Makes: in memory and NATS JetStream; one suite runs against both. Keys are letters,
 *  digits, `-`, `_`, `=` and `.`, which parts them. Throws Fault unavailable when the store cannot be reached, and in_doubt when it is not known whether a change was made. */
export interface Kv {
  get(key: string): Promise<KvEntry | undefined>;
  /** Sets the key if its last change has this revision; 0: if there is no such key. Returns the new revision, undefined if it was not so. */
  put(key: string, value: string, expected: number): Promise<number | undefined>;
  /** Returns whether the key had this revision, and is gone. */
  delete(key: string, expected: number): Promise<boolean>;
  /** Tells of every key that there is, then of every change, each key's in order; some changes may be passed over for later ones of the same key. Resolves once every key was told of,
   *  however long that takes. `changed` does not throw. */
  watch(changed: (entry: KvEntry) => void, signal?: AbortSignal): Promise<KvWatch>;
}

/** In one process. */
export class MemoryKv implements Kv {
  readonly #clock: Clock;
  readonly #entries = new Map<string, KvEntry>();
  readonly #watches = new Set<(entry: KvEntry) => void>();
  #revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<KvEntry | undefined> {
    return this.#entries.get(key);
  }

  async put(key: string, value: string, expected: number): Promise<number | undefined> {
    if ((this.#entries.get(key)?.revision ?? 0) !== expected) return undefined;
    const entry = { key, value, revision: ++this.#revision };
    this.#entries.set(key, entry);
    this.#tell(entry);
    return entry.revision;
  }

  async delete(key: string, expected: number): Promise<boolean> {
    if (this.#entries.get(key)?.revision !== expected) return false;
    this.#entries.delete(key);
    this.#tell({ key, value: undefined, revision: ++this.#revision });
    return true;
  }

  async watch(changed: (entry: KvEntry) => void): Promise<KvWatch> {
    const later = (entry: KvEntry): void => queueMicrotask(() => this.#watches.has(later) && changed(entry));
    this.#watches.add(later);
    for (const entry of this.#entries.values()) changed(entry);
    return { provenMs: () => this.#clock.monotonicMs(), close: () => void this.#watches.delete(later) };
  }

  #tell(entry: KvEntry): void {
    for (const watch of this.#watches) watch(entry);
  }
}
