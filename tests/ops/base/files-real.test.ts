import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { realFiles } from '../../../ops/base/files-real.ts';
import { errno, type Files } from '../../../ops/base/world.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

const scratch = mkdtempSync(join(tmpdir(), 'millrace-files-'));
after(() => rmSync(scratch, { recursive: true }));

/** The files of tests behave as the real ones do, errors included. */
const makes: [name: string, files: Files, root: string][] = [
  ['real', realFiles, scratch],
  ['in memory', new PowerCutFiles(), '/'],
];

for (const [name, files, root] of makes) {
  describe(`files: ${name}`, () => {
    const at = (path: string) => join(root, path);
    const isCode = (code: string) => (error: unknown) => errno(error) === code;

    test('append, read, stat', async () => {
      const file = await files.create(at('appended'));
      await file.append([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c')]);
      await file.append(Array.from({ length: 3_000 }, () => Buffer.from('12345')));
      await file.sync();
      await file.close();
      assert.equal((await files.stat(at('appended'))).sizeBytes, 15_003);
      assert.equal((await files.read(at('appended'), [1, 5])).toString(), 'bc12');
      assert.equal((await files.read(at('appended'), [15_000, 99_999])).toString(), '345');
      assert.equal((await files.read(at('appended'), [99_999, 100_000])).length, 0);
      assert.equal((await files.read(at('appended'))).length, 15_003);
      await files.syncFile(at('appended'));
      await assert.rejects(files.create(at('appended')), isCode('EEXIST'));
    });

    test('folders and names', async () => {
      await files.makeDirectory(at('folder'));
      await files.makeDirectory(at('folder'));
      await files.write(at('folder/b'), Buffer.from('b'));
      await files.write(at('folder/b'), Buffer.from('B'));
      await files.link(at('folder/b'), at('folder/a'));
      await files.makeDirectory(at('folder/c'));
      await files.syncDirectory(at('folder'));
      assert.deepEqual(await files.list(at('folder')), [
        { name: 'a', directory: false },
        { name: 'b', directory: false },
        { name: 'c', directory: true },
      ]);
      await files.rename(at('folder/b'), at('folder/a'));
      assert.equal((await files.read(at('folder/a'))).toString(), 'B');
      await files.removeDirectory(at('folder/c'));
    });

    test('errors', async () => {
      await files.makeDirectory(at('full'));
      await files.write(at('full/file'), Buffer.from('x'));
      await assert.rejects(files.list(at('none')), isCode('ENOENT'));
      await assert.rejects(files.list(at('full/file')), isCode('ENOTDIR'));
      await assert.rejects(files.stat(at('none')), isCode('ENOENT'));
      await assert.rejects(files.read(at('none')), isCode('ENOENT'));
      await assert.rejects(files.read(at('full')), isCode('EISDIR'));
      await assert.rejects(files.read(at('full/file/under')), isCode('ENOTDIR'));
      await assert.rejects(files.create(at('none/file')), isCode('ENOENT'));
      await assert.rejects(files.unlink(at('none')), isCode('ENOENT'));
      await assert.rejects(files.link(at('full/file'), at('full/file')), isCode('EEXIST'));
      await assert.rejects(files.rename(at('none'), at('full/new')), isCode('ENOENT'));
      await assert.rejects(files.makeDirectory(at('none/folder')), isCode('ENOENT'));
      await assert.rejects(files.removeDirectory(at('full')), isCode('ENOTEMPTY'));
      await assert.rejects(files.syncDirectory(at('none')), isCode('ENOENT'));
    });

    // Both of a rename to a name of the same file stay, as POSIX has it.
    test('a rename onto another name of the same file changes nothing', async () => {
      await files.write(at('one'), Buffer.from('x'));
      await files.link(at('one'), at('two'));
      await files.rename(at('one'), at('two'));
      assert.equal((await files.read(at('one'))).toString(), 'x');
    });
  });
}
