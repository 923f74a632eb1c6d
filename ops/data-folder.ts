import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where a process keeps what it writes. */
export interface DataFolder {
  readonly root: string;
  /** Ingest logs. */
  readonly logs: string;
  /** The directory blob store. */
  readonly objects: string;
}

/** Creates the folder if it is missing and takes it for this process alone, for as long as it lives. `objects`: where objects are, if not there. Throws an Error that says who is in the way. */
export async function openDataFolder(path: string, objects: string): Promise<DataFolder> {
  mkdirSync(path, { recursive: true });
  const root = realpathSync(resolve(path));
  await takeAlone(root);
  return { root, logs: join(root, 'wal'), objects: objects === '' ? join(root, 'objects') : resolve(objects) };
}

/** A listening socket is the lock: unlike a lock file it goes when its process does, however it ends. */
async function takeAlone(root: string): Promise<void> {
  const name = `millrace-${createHash('sha256').update(root).digest('hex').slice(0, 32)}`;
  // Linux has socket names that are no files; elsewhere a file may be left over from a process that was killed.
  const address = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  if (await listens(address)) throw new Error(`another process is using the data folder ${root}`);
  if (!address.startsWith('\0')) rmSync(address, { force: true });
  await new Promise<void>((taken, refused) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once('error', () => refused(new Error(`another process is using the data folder ${root}`)));
    lock.listen(address, () => {
      lock.unref();
      taken();
    });
  });
}

function listens(address: string): Promise<boolean> {
  return new Promise((answer) => {
    const probe = connect(address);
    probe.once('connect', () => {
      probe.destroy();
      answer(true);
    });
    probe.once('error', () => answer(false));
  });
}
