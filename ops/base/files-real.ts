import * as fs from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { AppendFile, Files, ReadFile } from './world.ts';

// Of the callback API: FileHandles cost twice as much on the way to the thread pool and back.
const openFile = promisify(fs.open) as (path: string, flags: string) => Promise<number>;
const statFile = promisify(fs.fstat) as (fd: number) => Promise<fs.Stats>;
const readFile = promisify(fs.read);
const closeFile = promisify(fs.close);

/** The operating system's files. */
export const realFiles: Files = {
  async makeDirectory(path) {
    await mkdir(path).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  },
  async list(path) {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .map((entry) => ({ name: entry.name, directory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  },
  async stat(path) {
    const { size, mtimeMs } = await stat(path);
    return { sizeBytes: size, modifiedMs: mtimeMs };
  },
  async create(path) {
    return new RealAppendFile(await open(path, 'ax'));
  },
  async write(path, body) {
    await writeFile(path, body, { flush: true });
  },
  async read(path, range) {
    const file = await openToRead(path);
    try {
      return await file.read(range?.[0] ?? 0, range?.[1] ?? file.sizeBytes);
    } finally {
      await file.close();
    }
  },
  open: openToRead,
  rename,
  link,
  unlink,
  removeDirectory: rmdir,
  syncFile: syncPath,
  syncDirectory: syncPath,
};

async function openToRead(path: string): Promise<ReadFile> {
  const fd = await openFile(path, 'r');
  const close = (): Promise<void> => closeFile(fd);
  try {
    const { size } = await statFile(fd);
    return { sizeBytes: size, read: (from, to) => readFrom(fd, Math.min(from, size), Math.min(to, size)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readFrom(fd: number, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(to - from);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await readFile(fd, buffer, filled, buffer.length - filled, from + filled);
    if (bytesRead === 0) return buffer.subarray(0, filled); // shortened meanwhile
    filled += bytesRead;
  }
  return buffer;
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class RealAppendFile implements AppendFile {
  readonly #handle: FileHandle;
  constructor(handle: FileHandle) {
    this.#handle = handle;
  }
  async append(chunks: readonly Uint8Array[]): Promise<void> {
    let rest = chunks.filter((chunk) => chunk.length > 0);
    while (rest.length > 0) {
      // The kernel takes at most IOV_MAX (1024) buffers and may write fewer bytes than asked for.
      const { bytesWritten } = await this.#handle.writev(rest.slice(0, 1024));
      rest = without(rest, bytesWritten);
    }
  }
  sync(): Promise<void> {
    return this.#handle.datasync();
  }
  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** `chunks` less their first `bytes` bytes. */
function without(chunks: Uint8Array[], bytes: number): Uint8Array[] {
  let index = 0;
  let left = bytes;
  while (index < chunks.length && chunks[index].length <= left) left -= chunks[index++].length;
  const rest = chunks.slice(index);
  if (left > 0) rest[0] = rest[0].subarray(left);
  return rest;
}
