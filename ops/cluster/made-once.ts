import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What is fetched or built once for this checkout. */
export const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
const POLL_MS = 200;

/** Resolves once `target` is there: `make` fills a folder beside it, and names the file or folder in it that is to be there. Of several processes one makes it, the others wait.
 *  Throws what `make` throws, and an Error if another one takes longer than `limitMs`. */
export async function madeOnce(target: string, limitMs: number, make: (folder: string) => Promise<string>): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  const lock = `${target}.lock`;
  const untilMs = Date.now() + limitMs;
  while (!existsSync(target)) {
    if (takeLock(lock, limitMs)) {
      const folder = `${target}.${process.pid}`;
      try {
        renameSync(await make(folder), target);
      } finally {
        rmSync(folder, { recursive: true, force: true });
        rmSync(lock, { recursive: true, force: true });
      }
    } else if (Date.now() > untilMs) throw new Error(`${target} is being made by somebody else for too long; if not, remove ${lock}`);
    else await sleep(POLL_MS);
  }
}

/** One that is older than making it may take was left behind. */
function takeLock(lock: string, limitMs: number): boolean {
  if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > limitMs) rmSync(lock, { recursive: true, force: true });
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}
