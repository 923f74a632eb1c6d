import type { ChildProcess } from 'node:child_process';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A test that dies leaves none of these behind. */
export function endsWithTest(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** For the `skip` option of tests that need something: false, or why it is not there. The totals tell of skips that begin like this. */
export function lacking(what: string, found: Promise<unknown>): Promise<string | false> {
  return found.then(
    () => false as const,
    (error: Error) => `lacks ${what}: ${error.message}`,
  );
}
