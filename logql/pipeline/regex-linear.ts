import { setFlagsFromString } from 'node:v8';

// V8 then leaves backtracking after 50,000 steps for an engine whose time is linear in the text. Has to be set before a pattern runs.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

const ATTEMPTS = 3;
let proven: boolean | undefined;

/** Whether V8's linear engine takes over, found out once. Without it every pattern of a user has to run elsewhere. */
export function linearEngineWorks(): boolean {
  proven ??= prove();
  return proven;
}

/** Backtracking needs 64 times as long for six more letters, the linear engine as long. A disturbed measurement is repeated; being
 *  wrong for good costs 30 ms an attempt. */
function prove(): boolean {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (timeMs(22) < 8 * timeMs(16)) return true;
  }
  return false;
}

function timeMs(letters: number): number {
  const evil = /^(?:a+)+$/;
  const text = `${'a'.repeat(letters)}!`;
  const start = performance.now();
  evil.test(text);
  return performance.now() - start;
}
