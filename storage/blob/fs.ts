import { join } from 'node:path';
import { makeDurableDirectory } from '../../ops/base/durable-directory.ts';
import { Fault } from '../../ops/base/fault.ts';
import { fileFault } from '../../ops/base/file-fault.ts';
import { errno, type World } from '../../ops/base/world.ts';
import { type BlobInfo, type BlobStore, PIECE_BYTES, PUT_LIMIT_MS, type PutOptions } from './blob-store.ts';
import { fileName, partOfFileName } from './file-names.ts';
import { checkKey, compareKeys } from './keys.ts';
import { OpenFiles } from './open-files.ts';
import { piecesOf } from './pieces.ts';

const TEMP = '.tmp';
const STATS_AT_ONCE = 32;

/** Opens the store in the folder `root`, which is made if need be. Throws Fault disk_full, denied, unavailable. */
export async function openFsBlobStore({ root, world }: { root: string; world: World }): Promise<FsBlobStore> {
  try {
    await makeDurableDirectory(world.files, join(root, TEMP));
    const store = new FsBlobStore(root, world);
    await store.sweep();
    return store;
  } catch (error) {
    throw fileFault(error, `open the object directory ${root}`);
  }
}

/** Objects as files, each part of a key a folder. rename() replaces whole files and link() refuses an existing one, so no reader ever sees half an object.
 *  One object's key may not be a folder of another's. */
export class FsBlobStore implements BlobStore {
  readonly #root: string;
  readonly #world: World;
  /** Folders whose own name, and all above it, survive a power cut. */
  readonly #durable = new Set<string>();
  /** By folder the names that survive one. */
  readonly #settled = new Map<string, ReadonlySet<string>>();
  readonly #open: OpenFiles;

  /** See openFsBlobStore. */
  constructor(root: string, world: World) {
    this.#root = root;
    this.#world = world;
    this.#open = new OpenFiles(world);
  }

  async put(key: string, body: Uint8Array | readonly Uint8Array[], { ifAbsent = false, pace }: PutOptions = {}): Promise<void> {
    const { folders, path } = this.#place(key);
    const { files, random } = this.#world;
    const temp = join(this.#root, TEMP, random.id());
    try {
      const folder = await this.#makeFolders(folders);
      try {
        await this.#writeTemp(temp, body instanceof Uint8Array ? [body] : body, pace);
        await (ifAbsent ? files.link(temp, path) : files.rename(temp, path));
      } catch (error) {
        await files.unlink(temp).catch(() => {});
        // Who is told `exists` relies on the object, and the process that put it may have died before this.
        if (errno(error) === 'EEXIST') await this.#syncNames(folder);
        throw error;
      }
      if (!ifAbsent) this.#open.drop(path);
      await this.#syncNames(folder);
      if (ifAbsent) await files.unlink(temp).catch(() => {}); // swept later, then
    } catch (error) {
      throw putFault(error, key);
    }
  }

  async get(key: string, range?: readonly [from: number, to: number]): Promise<Buffer> {
    const { path } = this.#place(key);
    try {
      return await (range === undefined ? this.#world.files.read(path) : this.#open.read(path, range));
    } catch (error) {
      throw fileFault(error, `get object ${key}`);
    }
  }

  async *list(prefix: string): AsyncGenerator<BlobInfo, void, void> {
    const parts = prefix.split('/').slice(0, -1);
    if (parts.length > 0) checkKey(parts.join('/'));
    await this.sweep();
    yield* this.#listFolder(parts, prefix);
  }

  async delete(key: string): Promise<void> {
    const { folders, path } = this.#place(key);
    const { files } = this.#world;
    try {
      await files.unlink(path).catch(ignoreAbsent);
      this.#open.drop(path);
      await files.syncDirectory(join(this.#root, ...folders)).catch(ignoreAbsent);
    } catch (error) {
      throw fileFault(error, `delete object ${key}`);
    }
  }

  /** Removes what killed processes left, and with it the temporary file of a put that hangs: the file's time would be the object's, and a put that comes to life
   *  again must not make an object that looks older than those which others have seen meanwhile. */
  async sweep(): Promise<void> {
    const { clock, files } = this.#world;
    const folder = join(this.#root, TEMP);
    try {
      for (const { name } of await files.list(folder)) {
        const { modifiedMs } = await files.stat(join(folder, name));
        if (clock.nowMs() - modifiedMs > PUT_LIMIT_MS) await files.unlink(join(folder, name));
      }
    } catch (error) {
      // Gone since it was listed: renamed, or swept by another process, which sweeps the others too; or there is no store yet.
      if (errno(error) !== 'ENOENT') throw fileFault(error, `sweep ${folder}`);
    }
  }

  /** The names of the folders that hold the object, outermost first, and its path. */
  #place(key: string): { folders: string[]; path: string } {
    checkKey(key);
    const names = key.split('/').map(fileName);
    return { folders: names.slice(0, -1), path: join(this.#root, ...names) };
  }

  async #makeFolders(names: readonly string[]): Promise<string> {
    const { files } = this.#world;
    let path = this.#root;
    for (const name of names) {
      const parent = path;
      path = join(parent, name);
      if (this.#durable.has(path)) continue;
      await files.makeDirectory(path);
      await files.syncDirectory(parent);
      this.#durable.add(path);
    }
    return path;
  }

  async #syncNames(folder: string): Promise<void> {
    try {
      await this.#world.files.syncDirectory(folder);
    } catch (error) {
      this.#settled.delete(folder); // the name is there all the same: whoever lists it makes it durable first
      throw error;
    }
  }

  async #writeTemp(path: string, chunks: readonly Uint8Array[], pace: PutOptions['pace']): Promise<void> {
    const file = await this.#world.files.create(path);
    try {
      let first = true;
      for (const piece of pace === undefined ? [chunks] : piecesOf(chunks, PIECE_BYTES)) {
        if (!first) await pace?.(); // not after the last, whose time is the object's
        first = false;
        await file.append(piece);
        await file.sync();
      }
    } finally {
      await file.close();
    }
  }

  async *#listFolder(parts: readonly string[], prefix: string): AsyncGenerator<BlobInfo, void, void> {
    const folder = join(this.#root, ...parts.map(fileName));
    const above = parts.map((part) => `${part}/`).join('');
    const found = (await this.#entries(folder)).flatMap((entry) => {
      const part = partOfFileName(entry.name);
      if (part === undefined) return [];
      // A folder sorts by what its objects' keys begin with.
      const key = above + part + (entry.directory ? '/' : '');
      const wanted = key.startsWith(prefix) || (entry.directory && prefix.startsWith(key));
      return wanted ? [{ key, part, path: join(folder, entry.name), directory: entry.directory }] : [];
    });
    found.sort((a, b) => compareKeys(a.key, b.key));
    for (let at = 0; at < found.length; at += STATS_AT_ONCE) {
      const some = found.slice(at, at + STATS_AT_ONCE);
      const infos = await Promise.all(some.map(({ key, path, directory }) => (directory ? undefined : this.#info(key, path))));
      for (const [index, { part, directory }] of some.entries()) {
        const info = infos[index];
        if (directory) yield* this.#listFolder([...parts, part], prefix);
        else if (info !== undefined) yield info;
      }
    }
  }

  async #entries(folder: string): Promise<{ name: string; directory: boolean }[]> {
    const { files } = this.#world;
    try {
      const entries = await files.list(folder);
      const settled = this.#settled.get(folder);
      if (settled === undefined || entries.some(({ name }) => !settled.has(name))) {
        // Who sees an object relies on it (a log is trimmed up to it, what it was made from is deleted), and who put it may have died before it synced the name.
        await files.syncDirectory(folder);
        this.#settled.set(folder, new Set(entries.map(({ name }) => name)));
      }
      return entries;
    } catch (error) {
      const fault = fileFault(error, `list objects in ${folder}`);
      if (fault.code === 'not_found') return [];
      throw fault;
    }
  }

  /** Undefined if the object was deleted meanwhile. */
  async #info(key: string, path: string): Promise<BlobInfo | undefined> {
    try {
      const { sizeBytes, modifiedMs } = await this.#world.files.stat(path);
      return { key, sizeBytes, createdMs: modifiedMs };
    } catch (error) {
      if (errno(error) === 'ENOENT') return undefined;
      throw fileFault(error, `list object ${key}`);
    }
  }
}

function ignoreAbsent(error: unknown): void {
  if (errno(error) !== 'ENOENT') throw error;
}

/** A put that finds a file or folder gone met another process's sweep: the same put may succeed later. */
function putFault(error: unknown, key: string): Fault {
  const fault = fileFault(error, `put object ${key}`);
  return fault.code === 'not_found' ? new Fault('unavailable', fault.message, { cause: error }) : fault;
}
