import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeDurableDirectory } from '../../../ops/base/durable-directory.ts';
import { errno, type Files } from '../../../ops/base/world.ts';
import { seededRandom } from '../../../ops/base/world-fake.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

test('a folder survives a power cut once it was made, also if a process was killed while making it', async () => {
  const whole = new PowerCutFiles();
  await makeDurableDirectory(whole, '/a/b/c');
  for (let stopAt = 0; stopAt <= whole.steps; stopAt++) {
    const files = new PowerCutFiles();
    files.stopAt = stopAt;
    await makeDurableDirectory(files, '/a/b/c').catch(() => {});
    const after = files.crash('killed', seededRandom(1));
    await makeDurableDirectory(after, '/a/b/c');
    assert.deepEqual(await after.crash('nothing', seededRandom(1)).list('/a/b/c'), [], `step ${stopAt}`);
  }
});

test('a folder whose parent we may not open is fine if it is there, and an error if it is not', async () => {
  const files = new PowerCutFiles();
  await files.makeDirectory('/a');
  const denied = async () => {
    throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
  };
  const closed = new Proxy<Files>(files, {
    get: (target, name: keyof Files) => (name === 'syncDirectory' ? denied : target[name].bind(target)),
  });
  await makeDurableDirectory(closed, '/a');
  await assert.rejects(makeDurableDirectory(closed, '/b'), (error) => errno(error) === 'EACCES');
});
