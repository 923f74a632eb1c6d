import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/bin/', import.meta.url));
const VERSION = 'v2.15.3';
const MODULE = `github.com/nats-io/nats-server/v2@${VERSION}`;
const BUILD_LIMIT_MS = 600_000;
const POLL_MS = 200;

/** The path of a nats-server: what NATS_SERVER_BIN names, one on the PATH, or one that is built once with Go and kept in .cache. Throws with what could not be done. */
export async function natsServerBinary(): Promise<string> {
  const named = process.env.NATS_SERVER_BIN;
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named;
    throw new Error(`NATS_SERVER_BIN names ${named}, which cannot be run`);
  }
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'nats-server'));
  const built = join(CACHE, `nats-server-${VERSION}`);
  return [...onPath, built].find(isExecutable) ?? (await build(built));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** One process builds; others that want it at the same time wait. */
async function build(target: string): Promise<string> {
  mkdirSync(CACHE, { recursive: true });
  const lock = `${target}.lock`;
  const untilMs = Date.now() + BUILD_LIMIT_MS;
  while (!isExecutable(target)) {
    if (takeLock(lock)) {
      const folder = `${target}.${process.pid}`;
      try {
        await run('go', ['install', MODULE], { env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' }, timeout: BUILD_LIMIT_MS });
        renameSync(join(folder, 'nats-server'), target);
      } catch (error) {
        throw new Error(`nats-server is not on the PATH, and could not be built with Go: ${(error as Error).message.split('\n')[0]}`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
        rmSync(lock, { recursive: true, force: true });
      }
    } else if (Date.now() > untilMs) throw new Error(`nats-server is being built by somebody else for too long; if not, remove ${lock}`);
    else await sleep(POLL_MS);
  }
  return target;
}

/** One that is older than a build may take was left behind. */
function takeLock(lock: string): boolean {
  if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > BUILD_LIMIT_MS) rmSync(lock, { recursive: true, force: true });
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}
