import { type KV, type KvEntry as NatsEntry, NatsError, type QueuedIterator } from 'nats';
import { Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { NatsBroker } from '../nats/connect.ts';
import type { Subscription } from '../transport/transport.ts';
import type { Kv, KvEntry, KvWatch } from './kv.ts';

export interface NatsKvOptions {
  /** Letters, digits, `-` and `_`. */
  readonly bucket: string;
  /** Copies in a cluster of NATS servers. */
  readonly replicas: number;
  readonly world: World;
  readonly log: Logger;
  /** How often it is asked whether everything was told of. */
  readonly proofMs?: number;
}

/** JetStream's code for a change whose expected revision was not the last. */
const WRONG_LAST_SEQUENCE = 10_071;
const PROOF_MS = 1_000;
const REQUEST_LIMIT_MS = 3_000;
const RETRY_MS = { least: 200, most: 2_000 };
/** Proofs in a row after which a watch that is behind and does not come on is begun anew. */
const STALE_PROOFS = 2;

/** A bucket of JetStream's key-value store. Nothing expires in it: watches are not told of what does. */
export class NatsKv implements Kv {
  readonly #broker: NatsBroker;
  readonly #options: NatsKvOptions;
  #opening: Promise<KV> | undefined;

  constructor(broker: NatsBroker, options: NatsKvOptions) {
    this.#broker = broker;
    this.#options = options;
  }

  async get(key: string): Promise<KvEntry | undefined> {
    const entry = await this.#asked((kv) => kv.get(key));
    return entry === null || entry.operation !== 'PUT' ? undefined : entryOf(entry);
  }

  async put(key: string, value: string, expected: number): Promise<number | undefined> {
    // An absent key may have been deleted, and then has a last revision of its own.
    return this.#changed((kv) => (expected === 0 ? kv.create(key, value) : kv.update(key, value, expected)));
  }

  async delete(key: string, expected: number): Promise<boolean> {
    const deleted = await this.#changed(async (kv) => {
      await kv.delete(key, { previousSeq: expected });
      return 1;
    });
    return deleted !== undefined;
  }

  async watch(changed: (entry: KvEntry) => void, signal?: AbortSignal): Promise<KvWatch> {
    const watch = new NatsWatch(() => this.#asked(async (kv) => kv), this.#broker, this.#options, changed);
    await watch.begin(signal);
    return watch;
  }

  /** Made if it is not there. */
  #bucket(): Promise<KV> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<KV> {
    const { bucket, replicas } = this.#options;
    const { connection } = this.#broker;
    return connection.jetstream({ timeout: REQUEST_LIMIT_MS }).views.kv(bucket, { history: 1, replicas, timeout: REQUEST_LIMIT_MS });
  }

  async #asked<T>(ask: (kv: KV) => Promise<T>): Promise<T> {
    if (!this.#broker.connected) throw new Fault('unavailable', 'the connection to NATS is lost', { retryAfterS: 1 });
    try {
      return await ask(await this.#bucket());
    } catch (error) {
      this.#opening = undefined; // the bucket may have to be made anew
      throw new Fault('unavailable', `the key-value store does not answer: ${(error as Error).message}`, { retryAfterS: 1, cause: error });
    }
  }

  async #changed(change: (kv: KV) => Promise<number>): Promise<number | undefined> {
    if (!this.#broker.connected) throw new Fault('unavailable', 'the connection to NATS is lost', { retryAfterS: 1 });
    const kv = await this.#asked(async (bucket) => bucket);
    try {
      return await change(kv);
    } catch (error) {
      if (error instanceof NatsError && error.api_error?.err_code === WRONG_LAST_SEQUENCE) return undefined;
      throw new Fault('in_doubt', `the key-value store did not say whether it made the change: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}

function entryOf({ key, revision, operation, value }: NatsEntry): KvEntry {
  return { key, revision, value: operation === 'PUT' ? Buffer.from(value).toString() : undefined };
}

/** One after the other the watches of the client: it does not find out soon that one has fallen silent, so each is begun anew when the connection was lost, or when it
 *  is behind what the bucket says. */
class NatsWatch implements KvWatch {
  readonly #bucket: () => Promise<KV>;
  readonly #world: World;
  readonly #log: Logger;
  readonly #proofMs: number;
  readonly #changed: (entry: KvEntry) => void;
  /** Keys that were told of, and are there. */
  readonly #known = new Map<string, number>();
  readonly #closed = new AbortController();
  readonly #lost: Subscription;
  #entries: QueuedIterator<NatsEntry> | undefined;
  #lastRevision = 0;
  #staleProofs = 0;
  #provenMs = Number.NEGATIVE_INFINITY;

  constructor(
    bucket: () => Promise<KV>,
    broker: NatsBroker,
    { world, log, proofMs = PROOF_MS }: NatsKvOptions,
    changed: (entry: KvEntry) => void,
  ) {
    this.#bucket = bucket;
    this.#world = world;
    this.#log = log;
    this.#proofMs = proofMs;
    this.#changed = changed;
    this.#lost = broker.whenLost(() => this.#entries?.stop());
  }

  provenMs(): number {
    return this.#provenMs;
  }

  close(): void {
    this.#closed.abort();
    this.#lost.close();
    this.#entries?.stop();
  }

  /** Resolves once all keys were told of. */
  async begin(signal?: AbortSignal): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const stop = (): void => {
      this.close();
      ready.reject(signal?.reason);
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    void this.#run(() => {
      signal?.removeEventListener('abort', stop);
      ready.resolve();
    });
    await ready.promise;
  }

  async #run(ready: () => void): Promise<void> {
    const { signal } = this.#closed;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#follow(() => {
          failures = 0;
          ready();
        });
      } catch (error) {
        failures++;
        this.#log.warn('the ring cannot be watched, will be tried again', { error: String(error) });
      }
      const waitMs = Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** failures) * (0.5 + this.#world.random.next() / 2);
      await this.#world.timers.sleep(waitMs, signal).catch(() => {});
    }
  }

  /** Until the watch ends. */
  async #follow(ready: () => void): Promise<void> {
    const kv = await this.#bucket();
    const askedMs = this.#world.clock.monotonicMs();
    const { last_seq: last, messages } = (await kv.status()).streamInfo.state;
    if (last < this.#lastRevision) this.#forget();
    const seen = new Set<string>();
    let isComplete = false;
    const complete = (): void => {
      isComplete = true;
      // What is not there any more was deleted while nobody watched.
      for (const [key, revision] of this.#known) if (!seen.has(key)) this.#take({ key, revision, value: undefined });
      this.#provenMs = askedMs;
      ready();
    };
    const entries = await kv.watch();
    this.#entries = entries;
    const stopProofs = this.#prove(kv);
    try {
      if (messages === 0) complete();
      for await (const entry of entries) {
        this.#lastRevision = Math.max(this.#lastRevision, entry.revision);
        this.#take(entryOf(entry));
        if (isComplete) continue;
        seen.add(entry.key);
        // They come in the order of their revisions.
        if (entry.revision >= last) complete();
      }
    } finally {
      stopProofs();
    }
  }

  /** The bucket was made anew: its revisions begin again. */
  #forget(): void {
    for (const [key, revision] of this.#known) this.#take({ key, revision, value: undefined });
    this.#lastRevision = 0;
  }

  #take(entry: KvEntry): void {
    if (entry.revision < (this.#known.get(entry.key) ?? 0)) return;
    if (entry.value === undefined) this.#known.delete(entry.key);
    else if (this.#known.get(entry.key) === entry.revision) return;
    else this.#known.set(entry.key, entry.revision);
    this.#changed(entry);
  }

  /** Asks the bucket for its last revision again and again: if that was told of, so was everything up to when it was asked. */
  #prove(kv: KV): () => void {
    let cancel: (() => void) | undefined;
    const later = (): void => {
      cancel = this.#world.timers.after(this.#proofMs, () => void once());
    };
    const once = async (): Promise<void> => {
      const askedMs = this.#world.clock.monotonicMs();
      const before = this.#lastRevision;
      try {
        const last = (await kv.status()).streamInfo.state.last_seq;
        if (this.#lastRevision >= last) {
          this.#provenMs = askedMs;
          this.#staleProofs = 0;
        } else if (this.#lastRevision > before) this.#staleProofs = 0;
        else if (++this.#staleProofs >= STALE_PROOFS) {
          this.#staleProofs = 0;
          this.#entries?.stop();
        }
      } catch {
        // What cannot be asked proves nothing.
      }
      if (cancel !== undefined) later();
    };
    later();
    return () => {
      cancel?.();
      cancel = undefined;
    };
  }
}
