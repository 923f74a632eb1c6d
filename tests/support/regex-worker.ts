import { parentPort, threadId } from 'node:worker_threads';
import { Fault } from '../../ops/base/fault.ts';
import { EVIL_PATTERNS, evilText } from './evil-patterns.ts';
import { REGEX_PATHS } from './regex-paths.ts';

/** A worker thread that runs evil patterns, one after the other, so that a run that does not end can be. */
export interface RegexJob {
  readonly path: string;
  /** Index in EVIL_PATTERNS. */
  readonly evil: number;
  readonly sizes: readonly number[];
  /** Runs of which the fastest counts. */
  readonly runs: number;
}
/** Milliseconds for each size, or why the pattern was refused. */
export type RegexOutcome = { readonly ms: readonly number[] } | { readonly refused: string };

function run({ path, evil, sizes, runs }: RegexJob): RegexOutcome {
  const row = EVIL_PATTERNS[evil];
  try {
    const prepared = sizes.map((size) => REGEX_PATHS[path](row.pattern, evilText(row, size)));
    const best = prepared.map(() => Number.POSITIVE_INFINITY);
    // Sizes take turns, so that a busy machine disturbs all of them alike.
    for (let count = 0; count < runs; count++) for (const [at, once] of prepared.entries()) best[at] = Math.min(best[at], timeMs(once));
    return { ms: best };
  } catch (error) {
    if (!(error instanceof Fault) || error.status !== 400) throw error;
    return { refused: error.message };
  }
}

function timeMs(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

if (threadId !== 0) parentPort?.on('message', (job: RegexJob) => parentPort?.postMessage(run(job)));
