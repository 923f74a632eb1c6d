import { dirname, join } from 'node:path';
import { makeDurableDirectory } from '../../ops/base/durable-directory.ts';
import { fileFault } from '../../ops/base/file-fault.ts';
import { errno, type Files, type World } from '../../ops/base/world.ts';

/** Where a local log lies. */
export interface LocalLogPlace {
  readonly directory: string;
  /** The shard that it was made for. */
  readonly shard: number;
  readonly id: string;
}

const NAME = /^(\d+)-([0-9a-f]{32})$/;

/** The logs under `root`, by directory name; none if there is no `root`. Throws Fault denied, unavailable. */
export async function listLocalLogs(files: Files, root: string): Promise<LocalLogPlace[]> {
  try {
    const entries = await files.list(root);
    return entries.flatMap(({ name, directory }) => {
      const match = directory ? NAME.exec(name) : null;
      return match === null ? [] : [{ directory: join(root, name), shard: Number(match[1]), id: match[2] }];
    });
  } catch (error) {
    if (errno(error) === 'ENOENT') return [];
    throw fileFault(error, `list the ingest logs in ${root}`);
  }
}

/** Makes the directory of a new log, durably, under an id that no other log ever had. Throws Fault disk_full, denied, unavailable. */
export async function createLocalLog(world: World, root: string, shard: number): Promise<LocalLogPlace> {
  const id = world.random.id();
  const directory = join(root, `${shard}-${id}`);
  try {
    await makeDurableDirectory(world.files, directory);
    return { directory, shard, id };
  } catch (error) {
    throw fileFault(error, `make the ingest log ${directory}`);
  }
}

/** Removes a log that will never be read or appended to again; it is closed. Throws Fault denied, unavailable. */
export async function removeLocalLog(files: Files, { directory }: LocalLogPlace): Promise<void> {
  try {
    for (const { name } of await files.list(directory)) await files.unlink(join(directory, name));
    await files.removeDirectory(directory);
    await files.syncDirectory(dirname(directory));
  } catch (error) {
    throw fileFault(error, `remove the ingest log ${directory}`);
  }
}

/** Removes those of the logs under `root` that have one of the ids, as `removeLocalLog` does. */
export async function removeLocalLogs(files: Files, root: string, ids: ReadonlySet<string>): Promise<void> {
  for (const place of await listLocalLogs(files, root)) if (ids.has(place.id)) await removeLocalLog(files, place);
}
