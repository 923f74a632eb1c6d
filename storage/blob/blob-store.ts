import { KiB } from '../../ops/base/bytes.ts';

/** Immutable objects under string keys: what a directory, S3 and GCS can all do, and no more. Safe to call concurrently.
 *  Keys: '/'-separated, no empty, '.' or '..' part, no leading '/'; no object's key is another's up to a '/'; text from outside becomes
 *  a part by keyPart. Ranges: byte offsets [from, to), cut at the object's end.
 *  Bytes returned belong to the caller. Deleting what is absent succeeds, so retries are harmless.
 *  Throws Fault not_found (404), exists (409, from ifAbsent), denied (403), disk_full (503), unavailable (503, retry). */
export interface BlobStore {
  /** Resolves once the object survives a power cut. With ifAbsent: `exists` if there is one already, whatever its content. */
  put(key: string, body: Uint8Array | readonly Uint8Array[], options?: PutOptions): Promise<void>;
  get(key: string, range?: readonly [from: number, to: number]): Promise<Buffer>;
  /** Objects whose key starts with `prefix`, in key order (UTF-8). What is listed survives a power cut, also if the process that put it was killed before its put
   *  resolved. */
  list(prefix: string): AsyncIterable<BlobInfo>;
  delete(key: string): Promise<void>;
}

export interface PutOptions {
  readonly ifAbsent?: boolean;
  /** For a put that nobody waits for. The body is written in pieces of PIECE_BYTES, each of them durable before the next is begun, and this is awaited between them: so there are never
   *  many bytes on their way to the disk that the sync of something else would have to wait for. What it throws ends the put, and there is no object. */
  readonly pace?: () => Promise<void>;
}

export const PIECE_BYTES = 256 * KiB;

export interface BlobInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the store's own clock, milliseconds since the epoch. What a listing lacks and a later one has was created no more than PUT_LIMIT_MS before the first of
   *  them began: a put that hangs for longer fails. */
  readonly createdMs: number;
}

export const PUT_LIMIT_MS = 120_000;
