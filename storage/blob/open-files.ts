import type { ReadFile, World } from '../../ops/base/world.ts';

/** How many files stay open at most. */
const MOST_OPEN = 64;
/** How often files are closed that were open for this long: one that was deleted takes up its room on the disk until then, and one that was put in its place is not seen. */
const OPEN_MS = 5_000;

interface OpenFile {
  readonly opened: Promise<ReadFile>;
  readers: number;
  readonly openedMs: number;
  /** To be closed by its last reader. */
  dropped: boolean;
}

/** Files that never change stay open for a while once they were read: reading more of one takes one trip to the thread pool then, not four. */
export class OpenFiles {
  readonly #world: World;
  /** By path, in the order of their last use. */
  readonly #files = new Map<string, OpenFile>();
  #isArmed = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Bytes [from, to) of the file, fewer if it is shorter. Throws as opening and reading it do. */
  async read(path: string, [from, to]: readonly [from: number, to: number]): Promise<Buffer> {
    const file = this.#take(path);
    try {
      const { read } = await file.opened;
      return await read(from, to);
    } catch (error) {
      if (this.#files.get(path) === file) this.drop(path); // the next reader opens it anew
      throw error;
    } finally {
      file.readers--;
      if (file.dropped && file.readers === 0) close(file);
    }
  }

  /** The file is read no more under this path: it was deleted, or another one took its name. */
  drop(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    file.dropped = true;
    if (file.readers === 0) close(file);
  }

  #take(path: string): OpenFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { opened: this.#world.files.open(path), readers: 0, openedMs: this.#world.clock.monotonicMs(), dropped: false };
      const [longestUnused] = this.#files.keys();
      if (this.#files.size >= MOST_OPEN) this.drop(longestUnused);
    }
    this.#files.delete(path);
    this.#files.set(path, file);
    file.readers++;
    this.#arm();
    return file;
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#world.timers.after(OPEN_MS, () => {
      this.#isArmed = false;
      const sinceMs = this.#world.clock.monotonicMs() - OPEN_MS;
      for (const [path, { openedMs }] of this.#files) if (openedMs <= sinceMs) this.drop(path);
      if (this.#files.size > 0) this.#arm();
    });
  }
}

function close({ opened }: OpenFile): void {
  opened.then((file) => file.close()).catch(() => {}); // not opened, or of no use any more
}
