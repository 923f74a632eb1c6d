import type { Files } from '../../ops/base/world.ts';

/** When an operation fails: before it did anything, or after it was done, so that its caller wrongly takes it for undone. */
export type FailsWhen = 'before' | 'after' | undefined;

/** A view of `files` in which `fails` decides, operation by operation, about an EIO. */
export function flakyFiles(files: Files, fails: (path: string) => FailsWhen): Files {
  const perhaps = async <T>(path: string, operation: () => Promise<T>): Promise<T> => {
    const when = fails(path);
    if (when === 'before') throw inputOutputError(path);
    const answer = await operation();
    if (when === 'after') throw inputOutputError(path);
    return answer;
  };
  return {
    makeDirectory: (path) => perhaps(path, () => files.makeDirectory(path)),
    list: (path) => perhaps(path, () => files.list(path)),
    stat: (path) => perhaps(path, () => files.stat(path)),
    create: (path) =>
      perhaps(path, async () => {
        const file = await files.create(path);
        return {
          append: (chunks) => perhaps(path, () => file.append(chunks)),
          sync: () => perhaps(path, () => file.sync()),
          close: () => file.close(),
        };
      }),
    write: (path, body) => perhaps(path, () => files.write(path, body)),
    read: (path, range) => perhaps(path, () => files.read(path, range)),
    open: (path) =>
      perhaps(path, async () => {
        const file = await files.open(path);
        return { ...file, read: (from, to) => perhaps(path, () => file.read(from, to)) };
      }),
    rename: (from, to) => perhaps(to, () => files.rename(from, to)),
    link: (from, to) => perhaps(to, () => files.link(from, to)),
    unlink: (path) => perhaps(path, () => files.unlink(path)),
    removeDirectory: (path) => perhaps(path, () => files.removeDirectory(path)),
    syncFile: (path) => perhaps(path, () => files.syncFile(path)),
    syncDirectory: (path) => perhaps(path, () => files.syncDirectory(path)),
  };
}

function inputOutputError(path: string): Error {
  return Object.assign(new Error(`EIO: '${path}'`), { code: 'EIO' });
}
