import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import { type BlobInfo, type BlobStore, PIECE_BYTES, type PutOptions } from './blob-store.ts';
import { checkKey, compareKeys } from './keys.ts';

/** Objects in memory, for tests and for processes that keep nothing. */
export class MemoryBlobStore implements BlobStore {
  readonly #clock: Clock;
  readonly #objects = new Map<string, { body: Buffer; createdMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async put(key: string, body: Uint8Array | readonly Uint8Array[], { ifAbsent = false, pace }: PutOptions = {}): Promise<void> {
    checkKey(key);
    const bytes = Buffer.concat(body instanceof Uint8Array ? [body] : body);
    if (pace !== undefined) for (let at = PIECE_BYTES; at < bytes.length; at += PIECE_BYTES) await pace();
    if (ifAbsent && this.#objects.has(key)) throw new Fault('exists', `object ${key} is there already`);
    this.#objects.set(key, { body: bytes, createdMs: this.#clock.nowMs() });
  }

  async get(key: string, range?: readonly [from: number, to: number]): Promise<Buffer> {
    checkKey(key);
    const object = this.#objects.get(key);
    if (object === undefined) throw new Fault('not_found', `no object ${key}`);
    return Buffer.from(range === undefined ? object.body : object.body.subarray(range[0], range[1]));
  }

  async *list(prefix: string): AsyncGenerator<BlobInfo, void, void> {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
    for (const key of keys) {
      const object = this.#objects.get(key);
      if (object !== undefined) yield { key, sizeBytes: object.body.length, createdMs: object.createdMs };
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    this.#objects.delete(key);
  }
}
