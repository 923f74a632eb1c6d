import { randomBytes } from 'node:crypto';
import { realFiles } from './files-real.ts';

/** Everything that makes a run unrepeatable comes through here, so that a simulation can own it and replay it from a seed. */
export interface World {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly files: Files;
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number;
  /** Never goes back; milliseconds since an arbitrary start. */
  monotonicMs(): number;
  /** CPU time that the calling thread has had, milliseconds since an arbitrary start. Absent in a world that cannot tell. */
  threadCpuMs?(): number;
}

export interface Timers {
  /** Runs `action` once after `delayMs`; returns what cancels it. Does not keep the process alive. */
  after(delayMs: number, action: () => void): () => void;
  /** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. Keeps the process alive. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Resolves in a later turn of the event loop, so that I/O and other messages get theirs between two slices of work. */
  yield(): Promise<void>;
}

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** 128 random bits as 32 hex digits. */
  id(): string;
}

/** A file that is only ever appended to. One call is in flight at a time; that is the caller's duty. */
export interface AppendFile {
  /** Writes all of `chunks` at the end, in order (one writev where it fits). After an error the file's tail is unknown: abandon it. */
  append(chunks: readonly Uint8Array[]): Promise<void>;
  /** fdatasync: what was appended before survives a power cut once this resolves, provided the file's name was made durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A file open for reading. */
export interface ReadFile {
  /** When it was opened. */
  readonly sizeBytes: number;
  /** Bytes [from, to), fewer if the file was shorter when it was opened. Owned by the caller. */
  read(from: number, to: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** The file system as we use it. Paths are absolute. Errors are Node's (`code` ENOENT, EEXIST, ENOSPC …).
 *  Durability is explicit: data by `sync` or `write`'s sync, names by `syncDirectory` of the folder that holds them. */
export interface Files {
  /** Creates one folder (its parent exists); nothing happens if it is there. Its name is durable after syncDirectory of the parent. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a folder with their kind, sorted by code unit. ENOENT if there is no such folder. */
  list(path: string): Promise<{ name: string; directory: boolean }[]>;
  stat(path: string): Promise<{ sizeBytes: number; modifiedMs: number }>;
  /** Opens for appending; the file must not exist. */
  create(path: string): Promise<AppendFile>;
  /** Creates or replaces a whole file and fsyncs its data; not its name. */
  write(path: string, body: Uint8Array): Promise<void>;
  /** Bytes [from, to) of a file, fewer if it is shorter; the whole file without a range. Owned by the caller. */
  read(path: string, range?: readonly [from: number, to: number]): Promise<Buffer>;
  open(path: string): Promise<ReadFile>;
  rename(from: string, to: string): Promise<void>;
  /** Hard link; EEXIST if `to` is there. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  /** Makes the data of an existing file durable, whoever wrote it. */
  syncFile(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

/** The code of a Node file error, or undefined. */
export function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function realWorld(): World {
  return { clock: realClock, timers: realTimers, random: realRandom, files: realFiles };
}

const realClock: Clock = {
  nowMs: () => Date.now(),
  // hrtime is the same in every thread of the process; performance.now() starts anew in each, and deadlines cross threads.
  monotonicMs() {
    const [seconds, nanos] = process.hrtime();
    return seconds * 1000 + nanos / 1e6;
  },
  threadCpuMs() {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
};

const realTimers: Timers = {
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, delayMs);
      signal?.addEventListener('abort', stop, { once: true });
    });
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

const realRandom: Random = { next: () => Math.random(), id: () => randomBytes(16).toString('hex') };
