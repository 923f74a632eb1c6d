import { Worker } from 'node:worker_threads';
import type { RegexJob, RegexOutcome } from './regex-worker.ts';

/** Runs jobs one after the other on a worker thread, which is ended when a job takes longer than `killMs`; its outcome is then 'killed'. */
export async function* regexRuns(jobs: readonly RegexJob[], killMs: number): AsyncGenerator<[RegexJob, RegexOutcome | 'killed']> {
  let worker: Worker | undefined;
  try {
    for (const job of jobs) {
      worker ??= new Worker(new URL('./regex-worker.ts', import.meta.url));
      const outcome = await outcomeOf(worker, job, killMs);
      if (outcome === 'killed') {
        await worker.terminate();
        worker = undefined;
      }
      yield [job, outcome];
    }
  } finally {
    await worker?.terminate();
  }
}

function outcomeOf(worker: Worker, job: RegexJob, killMs: number): Promise<RegexOutcome | 'killed'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('killed'), killMs);
    worker.once('error', reject);
    worker.once('message', (outcome: RegexOutcome) => {
      clearTimeout(timer);
      worker.off('error', reject);
      resolve(outcome);
    });
    worker.postMessage(job);
  });
}
