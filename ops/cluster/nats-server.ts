import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE, madeOnce } from './made-once.ts';

const run = promisify(execFile);
const VERSION = 'v2.15.3';
const MODULE = `github.com/nats-io/nats-server/v2@${VERSION}`;
const BUILD_LIMIT_MS = 600_000;

/** The path of a nats-server: what NATS_SERVER_BIN names, one on the PATH, or one that is built once with Go and kept in .cache. Throws with what could not be done. */
export async function natsServerBinary(): Promise<string> {
  const named = process.env.NATS_SERVER_BIN;
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named;
    throw new Error(`NATS_SERVER_BIN names ${named}, which cannot be run`);
  }
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'nats-server'));
  const built = join(CACHE, 'bin', `nats-server-${VERSION}`);
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

async function build(target: string): Promise<string> {
  await madeOnce(target, BUILD_LIMIT_MS, async (folder) => {
    try {
      await run('go', ['install', MODULE], { env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' }, timeout: BUILD_LIMIT_MS });
      return join(folder, 'nats-server');
    } catch (error) {
      throw new Error(`nats-server is not on the PATH, and could not be built with Go: ${(error as Error).message.split('\n')[0]}`);
    }
  });
  return target;
}
