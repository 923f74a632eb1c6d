// What must be set before the server's process starts. Plain JavaScript: the launcher may be run by a Node too old for the sources.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Young objects that live on are copied while the thread stands still, so that a large space for them makes long pauses: 100 to 200 ms with the default of 16 MiB
// where queries hold many series, 10 to 30 ms with this.
const HEAP = '--max-semi-space-size=4';

// kafkajs asks timers for times that are over: Node warns of that once, and nobody can do anything about it.
const QUIET = '--disable-warning=TimeoutNegativeWarning';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `env` with what the server needs, unless it is set already. */
export function serverEnvironment(env) {
  return {
    // libuv reads the size of its pool once, at start. Four threads are not enough: shards that fsync at once made reads 37 times slower.
    UV_THREADPOOL_SIZE: String(Math.max(16, 4 * availableParallelism())),
    // glibc: buffers of a megabyte go back to the system when they are freed, instead of into arenas of each thread. 80 MB less at the peak of ingest, as fast.
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '1048576',
    MALLOC_TRIM_THRESHOLD_: '1048576',
    // Sources without their types, compiled: every thread loads them, and so starts in half the time.
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node'),
    ...env,
    NODE_OPTIONS: [HEAP, QUIET, env.NODE_OPTIONS].filter(Boolean).join(' '),
  };
}
