import { basename, dirname } from 'node:path';
import type { AppendFile, Clock, Files, Random, ReadFile } from '../../ops/base/world.ts';

/** What a stop leaves of what was not synced.
 *  - killed: everything, still unsynced: the process died, the machine lives
 *  - nothing: only what was synced
 *  - names: every name change, no data
 *  - prefixes: a random prefix of each file's data, no name changes
 *  - sectors: random sectors of each file's data with zeros between, and each name change or not */
export const CRASH_MODES = ['killed', 'nothing', 'names', 'prefixes', 'sectors'] as const;
export type CrashMode = (typeof CRASH_MODES)[number];

/** The power is gone: thrown by the operation at which it went, and by all later ones. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

class FileNode {
  readonly kind = 'file';
  data = Buffer.alloc(0);
  durable = Buffer.alloc(0);
  /** Written anew and not synced since, so that the disk may have the old content or some of the new. */
  rewritten = false;
  /** Ranges whose sync failed: clean in the cache, not on the disk, and no later sync writes them. */
  readonly dropped: [from: number, to: number][] = [];
  modifiedMs = 0;

  sync(): void {
    this.durable = Buffer.from(this.data);
    this.rewritten = false;
    for (const [from, to] of this.dropped) this.durable.fill(0, from, to);
  }
  failSync(): void {
    if (this.data.length > this.durable.length) this.dropped.push([this.durable.length, this.data.length]);
  }
}

class DirectoryNode {
  readonly kind = 'directory';
  entries = new Map<string, Node>();
  durable = new Map<string, Node>();
}

type Node = FileNode | DirectoryNode;

const SECTOR_BYTES = 512;

/** A file system in memory that knows what a power cut would leave. Data is durable up to the file's last sync; a name is created, renamed or removed durably only
 *  by syncDirectory of its own folder. It counts operations, can lose power at any of them, run full, and fail a sync. */
export class PowerCutFiles implements Files {
  /** Operations so far. */
  steps = 0;
  /** The operation, counted from 0, that meets the power cut instead of being done. */
  stopAt = Number.POSITIVE_INFINITY;
  /** Bytes that may still be appended before ENOSPC. */
  quotaBytes = Number.POSITIVE_INFINITY;
  /** How many syncs of file data go well before one fails with EIO. */
  goodSyncs = Number.POSITIVE_INFINITY;
  /** Tells the times of files; as long as nobody gives it one they are ahead of every clock. */
  clock: Pick<Clock, 'nowMs'> | undefined;
  readonly #root: DirectoryNode;

  constructor(root: DirectoryNode = new DirectoryNode()) {
    this.#root = root;
  }

  /** The file system after a stop here; this one is done for. */
  crash(mode: CrashMode, random: Random): PowerCutFiles {
    this.stopAt = 0;
    const copies = new Map<Node, Node>();
    const survivor = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      if (node.kind === 'file') {
        const file = survivingFile(node, mode, random);
        copies.set(node, file);
        return file;
      }
      const folder = new DirectoryNode();
      copies.set(node, folder);
      const copied = (entries: Map<string, Node>) => new Map([...entries].map(([name, child]) => [name, survivor(child)]));
      folder.entries = copied(survivingNames(node, mode, random));
      folder.durable = mode === 'killed' ? copied(node.durable) : new Map(folder.entries);
      return folder;
    };
    const after = new PowerCutFiles(survivor(this.#root) as DirectoryNode);
    after.clock = this.clock;
    return after;
  }

  /** Flips one bit of a file, on the disk and in the cache. */
  flipBit(path: string, at: number, bit: number): void {
    const file = this.#file(path, 'flip');
    const flipped = Buffer.from(file.data);
    flipped[at] ^= 1 << bit;
    file.data = flipped;
    file.durable = Buffer.from(flipped);
  }

  /** Takes bytes [from, to) out of a file, on the disk and in the cache. */
  cut(path: string, from: number, to: number): void {
    const file = this.#file(path, 'cut');
    file.data = Buffer.concat([file.data.subarray(0, from), file.data.subarray(to)]);
    file.durable = Buffer.from(file.data);
  }

  async makeDirectory(path: string): Promise<void> {
    this.#step('mkdir', path);
    const { entries } = this.#parent(path, 'mkdir');
    const there = entries.get(basename(path));
    if (there?.kind === 'file') throw failure('EEXIST', 'mkdir', path);
    if (there === undefined) entries.set(basename(path), new DirectoryNode());
  }

  async list(path: string): Promise<{ name: string; directory: boolean }[]> {
    this.#step('readdir', path);
    const { entries } = this.#directory(path, 'readdir');
    return [...entries].map(([name, node]) => ({ name, directory: node.kind === 'directory' })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async stat(path: string): Promise<{ sizeBytes: number; modifiedMs: number }> {
    this.#step('stat', path);
    const node = this.#node(path, 'stat');
    return node.kind === 'file' ? { sizeBytes: node.data.length, modifiedMs: node.modifiedMs } : { sizeBytes: 0, modifiedMs: 0 };
  }

  async create(path: string): Promise<AppendFile> {
    this.#step('open', path);
    const { entries } = this.#parent(path, 'open');
    if (entries.has(basename(path))) throw failure('EEXIST', 'open', path);
    const file = new FileNode();
    file.modifiedMs = this.#nowMs();
    entries.set(basename(path), file);
    return {
      append: async (chunks) => {
        this.#step('append', path);
        this.#append(file, path, Buffer.concat(chunks));
      },
      sync: async () => {
        this.#step('fdatasync', path);
        this.#sync(file, path);
      },
      close: async () => this.#step('close', path),
    };
  }

  async write(path: string, body: Uint8Array): Promise<void> {
    this.#step('write', path);
    const { entries } = this.#parent(path, 'open');
    const there = entries.get(basename(path));
    if (there?.kind === 'directory') throw failure('EISDIR', 'open', path);
    const file = there ?? new FileNode();
    entries.set(basename(path), file);
    file.data = Buffer.alloc(0);
    file.rewritten = true;
    this.#append(file, path, Buffer.from(body));
    this.#step('fsync', path);
    this.#sync(file, path);
  }

  async read(path: string, range?: readonly [from: number, to: number]): Promise<Buffer> {
    this.#step('read', path);
    return Buffer.from(this.#file(path, 'read').data.subarray(range?.[0], range?.[1]));
  }

  async open(path: string): Promise<ReadFile> {
    this.#step('open', path);
    const file = this.#file(path, 'open');
    const read = async (from: number, to: number): Promise<Buffer> => {
      this.#step('read', path);
      return Buffer.from(file.data.subarray(from, to));
    };
    return { sizeBytes: file.data.length, read, close: async () => {} };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step('rename', from);
    const source = this.#parent(from, 'rename').entries;
    const target = this.#parent(to, 'rename').entries;
    const node = this.#node(from, 'rename');
    if (target.get(basename(to))?.kind === 'directory') throw failure('EISDIR', 'rename', to);
    if (target.get(basename(to)) === node) return;
    source.delete(basename(from));
    target.set(basename(to), node);
  }

  async link(from: string, to: string): Promise<void> {
    this.#step('link', from);
    const file = this.#file(from, 'link');
    const { entries } = this.#parent(to, 'link');
    if (entries.has(basename(to))) throw failure('EEXIST', 'link', to);
    entries.set(basename(to), file);
  }

  async unlink(path: string): Promise<void> {
    this.#step('unlink', path);
    this.#file(path, 'unlink');
    this.#parent(path, 'unlink').entries.delete(basename(path));
  }

  async removeDirectory(path: string): Promise<void> {
    this.#step('rmdir', path);
    if (this.#directory(path, 'rmdir').entries.size > 0) throw failure('ENOTEMPTY', 'rmdir', path);
    this.#parent(path, 'rmdir').entries.delete(basename(path));
  }

  async syncFile(path: string): Promise<void> {
    this.#step('fsync', path);
    this.#sync(this.#file(path, 'fsync'), path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#step('fsync', path);
    const folder = this.#directory(path, 'fsync');
    folder.durable = new Map(folder.entries);
  }

  #nowMs(): number {
    return this.clock?.nowMs() ?? Number.MAX_SAFE_INTEGER;
  }

  #step(call: string, path: string): void {
    if (this.steps >= this.stopAt) throw new PowerCut(`power cut at ${call} ${path}, step ${this.stopAt}`);
    this.steps++;
  }

  #append(file: FileNode, path: string, bytes: Buffer): void {
    const written = bytes.subarray(0, this.quotaBytes);
    file.data = Buffer.concat([file.data, written]);
    file.modifiedMs = this.#nowMs();
    this.quotaBytes -= written.length;
    if (written.length < bytes.length) throw failure('ENOSPC', 'write', path);
  }

  #sync(file: FileNode, path: string): void {
    if (this.goodSyncs === 0) {
      this.goodSyncs = Number.POSITIVE_INFINITY;
      file.failSync();
      throw failure('EIO', 'fsync', path);
    }
    this.goodSyncs--;
    file.sync();
  }

  #node(path: string, call: string): Node {
    let node: Node = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node.kind === 'file') throw failure('ENOTDIR', call, path);
      const child: Node | undefined = node.entries.get(name);
      if (child === undefined) throw failure('ENOENT', call, path);
      node = child;
    }
    return node;
  }

  #parent(path: string, call: string): DirectoryNode {
    return this.#directory(dirname(path), call);
  }

  #directory(path: string, call: string): DirectoryNode {
    const node = this.#node(path, call);
    if (node.kind === 'file') throw failure('ENOTDIR', call, path);
    return node;
  }

  #file(path: string, call: string): FileNode {
    const node = this.#node(path, call);
    if (node.kind === 'directory') throw failure('EISDIR', call, path);
    return node;
  }
}

/** A view of `files` in which one of the two syncs does nothing: of file data, or of names in folders. */
export function withoutSync(files: PowerCutFiles, what: 'data' | 'names'): Files {
  const view: Files = {
    makeDirectory: (path) => files.makeDirectory(path),
    list: (path) => files.list(path),
    stat: (path) => files.stat(path),
    create: async (path) => {
      const file = await files.create(path);
      return what === 'data' ? { append: (chunks) => file.append(chunks), sync: async () => {}, close: () => file.close() } : file;
    },
    write: (path, body) => files.write(path, body),
    read: (path, range) => files.read(path, range),
    open: (path) => files.open(path),
    rename: (from, to) => files.rename(from, to),
    link: (from, to) => files.link(from, to),
    unlink: (path) => files.unlink(path),
    removeDirectory: (path) => files.removeDirectory(path),
    syncFile: (path) => (what === 'data' ? Promise.resolve() : files.syncFile(path)),
    syncDirectory: (path) => (what === 'names' ? Promise.resolve() : files.syncDirectory(path)),
  };
  return view;
}

function survivingFile(file: FileNode, mode: CrashMode, random: Random): FileNode {
  const after = new FileNode();
  after.modifiedMs = file.modifiedMs;
  if (mode === 'killed') {
    after.data = Buffer.from(file.data);
    after.durable = Buffer.from(file.durable);
    after.rewritten = file.rewritten;
    after.dropped.push(...file.dropped);
    return after;
  }
  after.data = Buffer.from(file.durable);
  if ((mode === 'prefixes' || mode === 'sectors') && (!file.rewritten || random.next() < 0.5)) {
    const from = file.rewritten ? 0 : file.durable.length;
    const to = from + Math.floor(random.next() * (file.data.length - from + 1));
    after.data = Buffer.concat([file.durable.subarray(0, from), file.data.subarray(from, to)]);
    for (let at = from, next = from; mode === 'sectors' && at < to; at = next) {
      next = (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES;
      if (random.next() < 0.3) after.data.fill(0, at, Math.min(to, next));
    }
  }
  after.durable = Buffer.from(after.data);
  return after;
}

function survivingNames(folder: DirectoryNode, mode: CrashMode, random: Random): Map<string, Node> {
  if (mode === 'killed' || mode === 'names') return folder.entries;
  if (mode !== 'sectors') return folder.durable;
  const after = new Map<string, Node>();
  for (const name of new Set([...folder.durable.keys(), ...folder.entries.keys()])) {
    const was = folder.durable.get(name);
    const is = folder.entries.get(name);
    const survives = is === was || random.next() < 0.5 ? is : was;
    if (survives !== undefined) after.set(name, survives);
  }
  return after;
}

function failure(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code });
}
