import type { Logger } from '../../ops/base/instruments.ts';
import type { Timers } from '../../ops/base/world.ts';

/** What is watched of a worker_threads.Worker. */
export interface WatchedThread {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

/** How a worker thread ended. */
export interface ThreadExit {
  readonly code: number;
  /** It was ended because it made no progress. */
  readonly stalled: boolean;
  /** What it threw and did not catch. */
  readonly error: unknown;
}

export interface ThreadWatchOptions {
  readonly timers: Timers;
  readonly log: Logger;
  readonly name: string;
  /** From {@link progressCounter}; the thread bumps it by {@link reportProgress}. */
  readonly progress: SharedArrayBuffer;
  /** A thread that does not turn its event loop for about this long, its start included, is ended. */
  readonly stallMs: number;
  readonly onExit: (exit: ThreadExit) => void;
}

/** Looks at the counter in this many steps per stallMs. */
const LOOKS = 8;

export function progressCounter(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

/** In the watched thread: bumps the counter as long as the event loop turns. Returns what ends it. */
export function reportProgress(progress: SharedArrayBuffer, timers: Timers, everyMs: number): () => void {
  const counter = new Int32Array(progress);
  let stop = (): void => {};
  const bump = (): void => {
    Atomics.add(counter, 0, 1);
    stop = timers.after(everyMs, bump);
  };
  bump();
  return () => stop();
}

/** In the watching thread: ends `thread` when it makes no progress, since nothing less stops a function that runs, and reports its exit, whatever the cause, once.
 *  Not the time is judged but how often this thread looked in vain: when the whole process was suspended, it has looked once. Returns what ends the watch for
 *  progress; the exit is reported still. */
export function watchThread(thread: WatchedThread, { timers, log, name, progress, stallMs, onExit }: ThreadWatchOptions): () => void {
  const counter = new Int32Array(progress);
  let seen = Atomics.load(counter, 0);
  let inVain = 0;
  let stalled = false;
  let thrown: unknown;
  const look = (): void => {
    const now = Atomics.load(counter, 0);
    inVain = now === seen ? inVain + 1 : 0;
    seen = now;
    if (inVain < LOOKS) {
      stop = timers.after(stallMs / LOOKS, look);
      return;
    }
    stalled = true;
    log.error('thread makes no progress, ending it', { thread: name, stallMs });
    void thread.terminate();
  };
  let stop = timers.after(stallMs / LOOKS, look);
  thread.on('error', (error) => {
    thrown = error;
  });
  thread.on('exit', (code) => {
    stop();
    onExit({ code, stalled, error: thrown });
  });
  return () => stop();
}
