import { dirname } from 'node:path';
import { errno, type Files } from './world.ts';

/** Makes a folder and those above it that are missing. Once this resolves they survive a power cut. */
export async function makeDurableDirectory(files: Files, path: string): Promise<void> {
  const parent = dirname(path);
  const there = await exists(files, path);
  if (!there) {
    if (parent !== path) await makeDurableDirectory(files, parent);
    await files.makeDirectory(path);
  }
  // Also for a folder that was there: a process killed between its mkdir and its fsync may have left it. One level is enough, since the level above
  // is synced before the next is made.
  if (parent === path) return;
  await files.syncDirectory(parent).catch((error) => {
    // A parent that we may not even open for reading was not made by us, and neither was what is in it.
    if (!(there && (errno(error) === 'EACCES' || errno(error) === 'EPERM'))) throw error;
  });
}

async function exists(files: Files, path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if (errno(error) === 'ENOENT') return false;
    throw error;
  }
}
