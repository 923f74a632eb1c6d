import type { Files, ReadFile } from '../../ops/base/world.ts';

/** An operation to be held back. */
export interface Hold {
  /** Resolves once it is held. */
  readonly reached: Promise<void>;
  release(): void;
}

/** A view of `files` in which a test holds operations back before they are done. Those on files that are open for appending are not held. */
export class GatedFiles {
  readonly files: Files;
  readonly #holds = new Set<{ call: string; prefix: string; reach: () => void; open: Promise<void> }>();

  constructor(files: Files) {
    const gated = {} as Record<string, unknown>;
    for (const call of CALLS) {
      gated[call] = async (...args: [string, ...unknown[]]) => {
        await this.#pass(call, call === 'link' || call === 'rename' ? (args[1] as string) : args[0]);
        return (files[call] as (...all: unknown[]) => unknown)(...args);
      };
    }
    gated.open = async (path: string): Promise<ReadFile> => {
      await this.#pass('open', path);
      const file = await files.open(path);
      const read = async (from: number, to: number): Promise<Buffer> => {
        await this.#pass('read', path);
        return file.read(from, to);
      };
      return { ...file, read };
    };
    this.files = gated as unknown as Files;
  }

  /** Holds back the next `call` on a path that begins with `prefix`; for link and rename the new path counts. */
  hold(call: (typeof CALLS)[number], prefix: string): Hold {
    const reached = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const hold = { call, prefix, reach: reached.resolve, open: open.promise };
    this.#holds.add(hold);
    return { reached: reached.promise, release: () => open.resolve() };
  }

  async #pass(call: string, path: string): Promise<void> {
    for (const hold of this.#holds) {
      if (hold.call !== call || !path.startsWith(hold.prefix)) continue;
      this.#holds.delete(hold);
      hold.reach();
      await hold.open;
    }
  }
}

const CALLS = [
  'makeDirectory',
  'list',
  'stat',
  'create',
  'write',
  'read',
  'open',
  'rename',
  'link',
  'unlink',
  'removeDirectory',
  'syncFile',
  'syncDirectory',
] as const satisfies (keyof Files)[];
